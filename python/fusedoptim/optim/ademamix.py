from typing import ClassVar, Unpack

from fusedoptim.core.checks import whole
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.numerics.elementary import exp, log
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class AdEMAMix(Optimizer[N]):
    r"""AdamW with a second average of the gradient, over some ten thousand steps: for long runs.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, & \hat m &= m / (1 - \beta_1^t) \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2, & \hat v &= v / (1 - \beta_2^t) \\
        m_{slow} &\leftarrow \beta_3 m_{slow} + (1 - \beta_3) g \\
        w &\leftarrow w - \left(lr \cdot weight\_decay\, w
            + lr\, \frac{\hat m + \alpha\, m_{slow}}{\sqrt{\hat v + eps\_root} + eps}\right)

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-3
        Step size; it scales the decay of the weights too.
    betas : three floats in [0, 1), default (0.9, 0.999, 0.9999)
        Decays :math:`\beta_1, \beta_2, \beta_3` of ``state["m"]``, ``state["v"]`` and ``state["m_slow"]``.
    alpha : float, default 5
        Weight of the slow average beside the fast one.
    warmup : int, optional
        Number :math:`T` of steps in which :math:`\alpha` grows from 0 linearly, and :math:`\beta_3` from
        :math:`\beta_1` so that the half-life of the average does:
        :math:`1 / \ln \beta_3(t) = (1 - t/T) / \ln \beta_1 + (t/T) / \ln \beta_3`. The paper takes all steps of the run;
        without it early training can diverge.
    eps : float, default 1e-8
        Added outside the root, after the bias correction.
    eps_root : float, default 0
        Added inside the root.
    weight_decay : float, default 0
        Decoupled from the averages, and scaled by `lr`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For long runs, of some ten thousand steps and more, in place of :class:`AdamW`.

    *Usual learning rates.* Those of :class:`AdamW`, 1e-4 … 1e-3.

    The slow average has no bias correction: it fills slowly on purpose.

    *Deviations.*

    - pytorch_optimizer: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - the authors' code: has an `alpha` of 2 by default, and their experiments up to 8; here it is 5, as in optax.
    - the authors' code: takes a warm-up for each of :math:`\alpha` and :math:`\beta_3`; here it is the same for both,
      as the paper always has it.
    - the authors' code: adds 1e-8 to :math:`\beta` before the logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.AdEMAMix(w, lr=0.1, warmup=10_000)  # begins as AdamW does
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(3)
    array([0.9, 2.1])

    References
    ----------
    Pagliardini, Ablin & Grangier, "The AdEMAMix Optimizer: Better, Faster, Older", ICLR 2025, arXiv:2409.03137.
    """

    rule = "ademamix"
    carried: ClassVar[dict[str, float]] = {}

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.9999),
        alpha: float = 5.0,
        warmup: int | None = None,
        eps: float = 1e-8,
        eps_root: float = 0.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "alpha": alpha, "warmup": warmup, "eps": eps, "eps_root": eps_root}
        super().__init__(params, arguments | {"weight_decay": weight_decay}, **common)

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        if arguments["warmup"] is not None:
            whole("warmup", arguments["warmup"])
        return super().hyper(rule, arguments)

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        warmup, beta3 = hyper["warmup"], hyper["beta3"]
        if warmup is None or t >= warmup:
            return {"alpha": hyper["alpha"], "beta3": beta3}, carried
        share = t / warmup
        half_life = (1 - share) * _half_life(hyper["beta1"]) + share * _half_life(beta3)
        warm = exp(-1 / half_life) if half_life > 0 else 0.0
        return {"alpha": share * hyper["alpha"], "beta3": min(warm, beta3)}, carried


def _half_life(beta: float) -> float:
    """The half-life of a running average, in units of 1 / ln 2 steps."""
    return -1 / log(beta) if beta > 0 else 0.0
