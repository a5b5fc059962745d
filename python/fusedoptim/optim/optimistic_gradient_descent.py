from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class OptimisticGradientDescent(Optimizer[N]):
    r"""Descent along the gradient to be expected next, for games, in which plain descent circles around the solution.

    .. math::

        w &\leftarrow w - lr\, (g + optimism\, (g - g_{prev})), \quad g_{prev} = g \text{ at } t = 1 \\
        g_{prev} &\leftarrow g

    To parameters that come later than t = 1 (:meth:`Optimizer.add_group`) the gradient before the first is 0.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    optimism : float, default 1
        How many steps the change of the gradient is carried on; 0 is :class:`SGD`. ``state["prev"]`` is the last gradient.
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
    *When to use it.* For games and saddle-point problems, where plain descent circles around the solution.

    *Usual learning rates.* Those of :class:`SGD`, 1e-2 … 1e-1.

    *Deviations.*

    - optax: has :math:`(\alpha + \beta) g - \beta g_{prev}`: that is this at a learning rate of :math:`lr\, \alpha` and
      an optimism of :math:`\beta / \alpha`.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> xy = np.array([1.0, 1.0])  # min over x, max over y of x · y: the solution is (0, 0)
    >>> opt = fo.OptimisticGradientDescent(xy, lr=0.3)
    >>> for _ in range(200):
    ...     opt.step(np.array([xy[1], -xy[0]]))
    >>> bool(abs(xy).max() < 1e-3)
    True

    References
    ----------
    Popov, "A modification of the Arrow-Hurwicz method for search of saddle points", Mathematical Notes 28, 1980.
    Mokhtari, Ozdaglar & Pattathil, "A Unified Analysis of Extra-gradient and Optimistic Gradient Methods for Saddle Point
    Problems: Proximal Point Approach", AISTATS 2020, arXiv:1901.08511.
    """

    rule = "optimistic_gradient_descent"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        optimism: float = 1.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "optimism": optimism, "weight_decay": weight_decay}, **common)
