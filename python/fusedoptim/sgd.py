from typing import Unpack

from fusedoptim.optimizer import Nest, Optimizer
from fusedoptim.options import Common
from fusedoptim.schedules import Schedule


class SGD(Optimizer):
    r"""Minibatch stochastic gradient descent.

    The step that every other optimizer refines. It is the right one where the loss is close to a parabola that is equally
    steep in all directions, where memory is scarce, since it keeps no state, and as the baseline to beat. It needs a
    learning rate matched to the steepest direction, and is then slow along the flat ones; a plateau wants a larger rate
    than a slope.

    .. math::

        w \leftarrow (1 - lr \cdot weight\_decay)\, w - lr\, g

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32 or float64, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    weight_decay : float, default 0
        Scaled by `lr`. For plain gradient descent, decay of the weights and an L2 penalty on the loss,
        :math:`\tfrac12 weight\_decay \|w\|^2`, are the same.
    **common
        See :class:`fusedoptim.options.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.SGD(w, lr=0.1)
    >>> opt.step(np.array([0.5, -0.5]))
    >>> w
    array([0.95, 2.05])

    References
    ----------
    Robbins & Monro, "A Stochastic Approximation Method", Annals of Mathematical Statistics 22, 1951.
    """

    rule = "sgd"

    def __init__(
        self, params: Nest, lr: float | Schedule = 1e-2, *, weight_decay: float = 0.0, **common: Unpack[Common]
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay}, **common)
