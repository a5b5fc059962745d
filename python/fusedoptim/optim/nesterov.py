from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Nesterov(Optimizer[N]):
    r"""Momentum that looks one step ahead: along what the running average will be if the gradient comes again.

    .. math::

        m &\leftarrow \beta m + (1 - \beta) g \\
        w &\leftarrow w - lr\, (\beta m + (1 - \beta) g)

    With :math:`\beta = 0` it is SGD exactly. As with :class:`Momentum`, averaging keeps the size of a step when :math:`\beta`
    changes, and there is no bias correction.

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
    *When to use it.* Where :class:`Momentum` is used, if it overshoots.

    *Usual learning rates.* Those of :class:`Momentum`, 0.1 … 1.

    *Deviations.*

    - torch and optax: accumulate, :math:`m \leftarrow \beta m + g`: with ``nesterov=True`` theirs is this one at
      :math:`lr / (1 - \beta)`, or :class:`SGD` with `momentum` and `nesterov`.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Nesterov(w, lr=0.1, beta=0.5)  # along 0.75 g at first, where Momentum has 0.5 g
    >>> opt.step(np.array([1.0, -1.0]))
    >>> w
    array([0.925, 2.075])

    References
    ----------
    Nesterov, "A method of solving a convex programming problem with convergence rate O(1/k²)", Soviet Mathematics Doklady
    27, 1983.
    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    rule = "nesterov"

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
