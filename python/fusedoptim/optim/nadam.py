from typing import ClassVar, Unpack

from fusedoptim.core.checks import flag, number
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.numerics.elementary import power
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class NAdam(Optimizer[N]):
    r"""Adam with Nesterov's look ahead, and a momentum that warms up.

    .. math::

        \mu_t &= \beta_1 (1 - \tfrac12\, 0.96^{t \cdot momentum\_decay}) \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        n &= \frac{1 - \mu_t}{1 - \mu_1 \cdots \mu_t} g + \frac{\mu_{t+1}}{1 - \mu_1 \cdots \mu_{t+1}} m \\
        w &\leftarrow w - \frac{lr\, n}{\sqrt{v / (1 - \beta_2^t)} + eps}

    As in torch, :math:`m` decays with :math:`\beta_1`, where the paper has :math:`\mu_t`. optax has no warm up: that is
    ``momentum_decay=1e6``.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 2e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    eps : float, default 1e-8
        Added outside the root, after the bias correction.
    momentum_decay : float, default 4e-3
        How fast the momentum warms up, from :math:`\beta_1 / 2` to :math:`\beta_1`.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first.
    decoupled_weight_decay : bool, default False
        A step takes :math:`lr \cdot weight\_decay\, w` with it instead, as in :class:`AdamW`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* In place of :class:`Adam`, where a little more speed at the beginning is welcome.

    *Usual learning rates.* 2e-3 for small networks, lower for large ones.

    :math:`\mu_1 \cdots \mu_t` is carried from step to step, and saved with the counts of steps.

    *Deviations.*

    - torch: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - optax: has no warm up: ``momentum_decay=1e6``.
    - the paper: :math:`m` decays with :math:`\mu_t`, and :math:`v` is multiplied by :math:`\beta_2` besides; torch and
      this do neither.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.NAdam(w, lr=0.1)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(3)
    array([0.894, 2.106])

    References
    ----------
    Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop, 2016.
    """

    rule = "nadam"
    variants: ClassVar[tuple[str, ...]] = ("nadam_decoupled",)
    carried: ClassVar[dict[str, float]] = {"mu_product": 1.0}

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        decay = power(0.96, number("momentum_decay", arguments["momentum_decay"], "non_negative"))
        return super().hyper(rule, arguments) | {"mu_decay": decay}

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        mu = hyper["beta1"] * (1 - 0.5 * power(hyper["mu_decay"], t))
        return carried, {"mu_product": carried["mu_product"] * mu}

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 2e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        momentum_decay: float = 4e-3,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        **common: Unpack[Common],
    ) -> None:
        rule = "nadam_decoupled" if flag("decoupled_weight_decay", decoupled_weight_decay) else "nadam"
        arguments = {"lr": lr, "betas": betas, "eps": eps, "momentum_decay": momentum_decay}
        super().__init__(params, arguments | {"weight_decay": weight_decay}, rule=rule, **common)
