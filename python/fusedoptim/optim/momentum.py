from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Momentum(Optimizer[N]):
    r"""Gradient descent along the running average of the gradient.

    The average cancels what alternates from step to step and keeps what persists: it damps the oscillation across a ravine,
    moves on along its floor, and carries over plateaus and away from saddle points. :math:`\beta = 0.9` averages over about
    ten steps. The first choice where a well-tuned result matters more than a quick one.

    .. math::

        m &\leftarrow \beta m + (1 - \beta) g \\
        w &\leftarrow w - lr\, m

    With :math:`\beta = 0` it is SGD exactly. The averaging form keeps the size of a step when :math:`\beta` changes; the
    accumulating form :math:`m \leftarrow \beta m + g` is this one at :math:`lr / (1 - \beta)`. There is no bias
    correction: the first steps are short, :math:`(1 - \beta^t)` of their later size.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    beta : float in [0, 1), default 0.9
        Decay :math:`\beta` of the running average, kept in ``state["m"]``. Lecture notes often write v for our m.
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
    *When to use it.* For a network that is trained often, so that tuning pays, convolutional ones above all; for
    convex problems.

    *Usual learning rates.* 0.1 … 1, falling to 0: ten times those of torch's momentum of 0.9, which sums where this
    averages.

    *Deviations.*

    - torch and optax: accumulate, :math:`m \leftarrow \beta m + g`: theirs is this one at :math:`lr / (1 - \beta)`, or
      :class:`SGD` with `momentum`.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Momentum(w, lr=0.1, beta=0.5)
    >>> opt.step(np.array([1.0, -1.0]))
    >>> w
    array([0.95, 2.05])

    References
    ----------
    Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Computational Mathematics and
    Mathematical Physics 4(5), 1964.
    """

    rule = "momentum"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "beta": beta, "weight_decay": weight_decay}, **common)
