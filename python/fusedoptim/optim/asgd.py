from typing import ClassVar, Unpack

from fusedoptim.core.checks import number
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.numerics.elementary import power
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class ASGD(Optimizer[N]):
    r"""Gradient descent with a falling rate, and the average of its weights: for convex problems.

    .. math::

        \eta &= lr\, (1 + lambd \cdot lr \cdot s)^{-alpha} \\
        w &\leftarrow w - (lambd\, \eta\, w + \eta\, g) \\
        \bar w &\leftarrow \bar w + \frac{1}{\max(1, s - t0)} (w - \bar w)

    with :math:`s = 0, 1, \dots` the number of steps that the parameter has taken. The averaged weights :math:`\bar w` are
    ``state["ax"]``, and the copy of :math:`w` until :math:`s > t0 + 1`. For an average that forgets, of any optimizer, see
    `ema`.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2, of the first step
        Learning rate :math:`\eta`.
    lambd : float, default 1e-4
        Decay of the weights, in units of :math:`\eta` a step, and of the learning rate.
    alpha : float, default 0.75
        Power with which the learning rate falls.
    t0 : float, default 1e6
        Number of steps after which averaging begins.
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
    *When to use it.* For convex problems with noisy gradients, where the average of the weights is the result.

    *Usual learning rates.* Those of :class:`SGD`, 1e-2 … 1e-1.

    *Deviations.*

    - torch: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - torch: with a schedule, :math:`\eta` follows from the `lr` of the step before; here from that of this step.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.ASGD(w, lr=0.5, lambd=0.0, t0=0)
    >>> for _ in range(3):
    ...     opt.step(np.array([1.0, -1.0]))
    >>> w, opt.state["ax"]  # the copy at first, then the mean of the last two
    (array([-0.5,  3.5]), array([-0.25,  3.25]))

    References
    ----------
    Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM Journal on Control and
    Optimization 30, 1992.
    """

    rule = "asgd"
    carried: ClassVar[dict[str, float]] = {}

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        for name in ("alpha", "t0"):
            number(name, arguments[name], "non_negative")
        return super().hyper(rule, arguments)

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        steps, alpha, t0 = t - 1, float(hyper["alpha"]), float(hyper["t0"])
        slowdown = power(1 + hyper["lambd"] * hyper["lr"] * steps, -alpha)
        return {"slowdown": slowdown, "mu": 1 / max(1, steps - t0)}, carried

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
