import math
from functools import partial
from typing import NoReturn, Unpack

import numpy as np

from fusedoptim.core.checks import number
from fusedoptim.core.nest import N, Nest
from fusedoptim.core.options import Common
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.optim.optimizer import Optimizer, Values
from fusedoptim.schedules import Schedule


class PolyakSGD(Optimizer[N]):
    r"""Gradient descent whose step follows from how far the loss is above its minimum: no learning rate to tune.

    .. math::

        w \leftarrow w - lr\, \min\left(\frac{\max(value - f\_min,\ 0)}{\|g\|^2 + eps},\ max\_learning\_rate\right) g

    :math:`\|g\|` is the norm of all gradients together, before `clip_norm` and `clip_value`, in float64 and in a fixed order.
    Where :math:`\|g\|^2 + eps` is at most 2.2e-16 the step is 0, as in optax. An infinite or NaN gradient makes a step of
    size 0, in which it reaches the weights of its own elements alone. It is the rule of :class:`SGD` at another learning rate.

    Failing to set `f_min` where the loss cannot reach 0 gives steps that are too long.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32 or float64, updated in place.
    lr : float or schedule, default 1
        Scales the step, after the minimum is taken.
    max_learning_rate : float, default 1
        The longest step.
    f_min : float, default 0
        The smallest loss there can be: 0 where a model can fit all data.
    eps : float, default 0
        Added to the squared norm.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where the smallest loss is known, as 0 is where a model can fit all data.

    *Usual learning rates.* 1: the step follows from the loss, and `max_learning_rate` bounds it.

    *Deviations.*

    - optax: goes up the gradient where the loss is below `f_min`; here there is no step then, as with its
      ``variant="sps+"``.
    - optax: ``scaling`` is our `lr`, but scales the gradient before its norm is taken, so that the step of
      ``scaling=0.5`` is longer.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([3.0, 4.0])
    >>> opt = fo.PolyakSGD(w)
    >>> opt.step(2 * w, value=w @ w)  # of |w|²: 25 / 100 of the gradient
    >>> w
    array([1.5, 2. ])

    References
    ----------
    Loizou et al., "Stochastic Polyak Step-size for SGD: An Adaptive Learning Rate for Fast Convergence", AISTATS 2021,
    arXiv:2002.10542.
    """

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1.0,
        *,
        max_learning_rate: float = 1.0,
        f_min: float = 0.0,
        eps: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        self._longest = number("max_learning_rate", max_learning_rate, "non_negative")
        self._f_min = number("f_min", f_min, "real")
        self._eps = number("eps", eps, "non_negative")
        super().__init__(params, {"lr": lr}, rule="sgd", **common)

    def step(
        self,
        grads: Nest | RowGrad | None = None,
        *,
        value: float | None = None,
        lr: float | None = None,
        grad_scale: float = 1.0,
        zero_grads: bool = False,
    ) -> None:
        """As :meth:`Optimizer.step`, with the loss that the gradients are of.

        Parameters
        ----------
        grads, grad_scale, zero_grads
            As there.
        lr : float, optional
            As there: what scales this step alone.
        value : float
            The loss, not scaled by `grad_scale`; with `maximize`, minus what is maximized. With `accumulate` the last
            call needs it, for all M minibatches: their mean.

        Raises
        ------
        TypeError, ValueError
            also where `value` is not a finite number, unless the gradients are not finite either.
        FloatingPointError, RuntimeError
            as there.
        """
        self._step(grads, lr, grad_scale, zero_grads, partial(self._values_at, value))

    def flush(self, *, value: float | None = None) -> bool:
        """As :meth:`Optimizer.flush`, with the mean loss of the minibatches that are accumulated."""
        return self._flush(partial(self._values_at, value))

    def stepping(self, *, lr: float | None = None) -> NoReturn:
        """Refused: the size of the step needs all gradients at once.

        Raises
        ------
        ValueError
        """
        raise ValueError("PolyakSGD needs all gradients at once; call step() instead")

    def _values_at(self, value: float | None, norm: float, values: Values) -> Values:
        size = self._size(value, norm)
        return [[lr * size, *others] for lr, *others in values]

    def _size(self, value: float | None, norm: float) -> float:
        if not math.isfinite(norm):
            return 0.0  # `nonfinite` says what becomes of the step
        square = norm * norm + self._eps
        gap = max(number("value", value, "real") - self._f_min, 0.0)
        return 0.0 if square <= np.finfo(float).eps else min(gap / square, self._longest)
