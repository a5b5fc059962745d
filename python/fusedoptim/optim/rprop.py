import math
from typing import Any, Unpack

from fusedoptim.core.checks import number_or_nan, sequence
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Rprop(Optimizer[N]):
    r"""A step of its own for each weight, which looks at the sign of the gradient alone: for full batches.

    .. math::

        s &\leftarrow \text{clip}(\eta_\pm s, min, max), \quad
        \eta_\pm = plus, minus, 1 \text{ where } g\, prev > 0, < 0, = 0 \\
        prev &\leftarrow 0 \text{ where } g\, prev < 0, \text{ else } g \\
        w &\leftarrow w - s\, \text{sign}(prev)

    Where the sign of the gradient has changed, a minimum was passed: the step shrinks, and the weight stays for once.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        First step :math:`s` of a weight, kept in ``state["step"]``, where 0 means that it has not begun. Later values are of
        no effect on a weight that has.
    etas : pair of floats, default (0.5, 1.2)
        Factors (minus, plus) of the step, :math:`0 < minus < 1 < plus`.
    step_sizes : pair of floats, default (1e-6, 50)
        Limits (min, max) of the step, :math:`0 < min \le max`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For full batches, whose gradients have no noise.

    *Usual learning rates.* 1e-2, of the first step alone: each weight finds its own.

    *Deviations.*

    - torch: multiplies the gradients, here their signs are; the product underflows where both are below
      :math:`10^{-19}` in float32, and the step would cease to grow.
    - optax: 0.2 is another algorithm: it takes each step one call late, or not at all if the sign changes then.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Rprop(w, lr=0.1)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w
    array([0.9, 2.1])
    >>> opt.step(np.array([3.0, 5.0]))  # 0.1 · 1.2, and a change of sign
    >>> w
    array([0.78, 2.1 ])

    References
    ----------
    Riedmiller & Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP Algorithm", ICNN 1993.

    Igel & Hüsken, "Improving the Rprop Learning Algorithm", NC 2000.
    """

    rule = "rprop"

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        minus, plus = _pair("etas", arguments["etas"])
        if not 0 < minus < 1 < plus < math.inf:
            raise ValueError(f"etas must be a pair (minus, plus), 0 < minus < 1 < plus, got {shown(arguments['etas'])}")
        least, most = _pair("step_sizes", arguments["step_sizes"])
        if not 0 < least <= most < math.inf:
            raise ValueError(
                f"step_sizes must be a pair (min, max), 0 < min <= max, got {shown(arguments['step_sizes'])}"
            )
        own = {"eta_minus": minus, "eta_plus": plus, "step_min": least, "step_max": most}
        return super().hyper(rule, arguments) | own

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes}, **common)


def _pair(name: str, value: Any) -> tuple[float, float]:
    first, second = map(number_or_nan, sequence(name, value, 2, "a pair of numbers"))
    return first, second
