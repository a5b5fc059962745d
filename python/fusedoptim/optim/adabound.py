from typing import ClassVar, Unpack

from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class AdaBound(Optimizer[N]):
    r"""Adam whose step sizes are clipped to bounds that close in on one rate: it begins as Adam, and ends as SGD.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \eta &= \mathrm{clip}\left(\frac{lr \sqrt{1 - \beta_2^t}}{(1 - \beta_1^t) (\sqrt{v} + eps)},\;
            final\_lr \left(1 - \frac{1}{\gamma t + 1}\right),\ final\_lr \left(1 + \frac{1}{\gamma t}\right)\right) \\
        w &\leftarrow w - \eta\, m

    In the end every weight is stepped with `final_lr`, which is therefore to be chosen as a learning rate of SGD with
    momentum is: the default is too long wherever that would diverge.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate of Adam. Where a schedule has lowered it, `final_lr` is lowered in proportion: it is multiplied by
        `lr` over the largest `lr` so far.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    final_lr : float, default 0.1
        Learning rate of SGD.
    gamma : float > 0, default 1e-3
        How fast the bounds close: at :math:`t = 1 / \gamma` they are half of `final_lr` and twice as long.
    eps : float, default 1e-8
        Added outside the root, before the bias correction.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For the quick start of Adam and the end of SGD, where the rate of the end is known.

    *Usual learning rates.* 1e-3, with a `final_lr` of 0.1 or what SGD with momentum takes.

    The largest `lr` so far is carried from step to step, and saved with the counts of steps.

    *Deviations.*

    - the paper: has no bias correction, and divides the clipped sizes by :math:`\sqrt t`; the authors' code and this do
      not.
    - the authors' code: lowers `final_lr` by `lr` over the `lr` that the optimizer was made with, which may be that of a
      warm-up's peak; here it is over the largest so far.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.AdaBound(w, lr=0.1)  # the first step is that of Adam: lr · sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.9, 2.1])

    References
    ----------
    Luo, Xiong, Liu & Sun, "Adaptive Gradient Methods with Dynamic Bound of Learning Rate", ICLR 2019, arXiv:1902.09843.
    """

    rule = "adabound"
    carried: ClassVar[dict[str, float]] = {"lr_max": 0.0}

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        lr_max = max(hyper["lr"], carried["lr_max"])
        share = hyper["lr"] / lr_max if lr_max > 0 else 1.0
        return {"final_lr": hyper["final_lr"] * share}, {"lr_max": lr_max}

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        final_lr: float = 0.1,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "final_lr": final_lr, "gamma": gamma, "eps": eps}
        super().__init__(params, arguments | {"weight_decay": weight_decay}, **common)
