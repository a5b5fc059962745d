from typing import Unpack

from fusedoptim.core.checks import whole
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class WindowSGD(Optimizer[N]):
    r"""Gradient descent along the mean of the last `window` gradients (a moving-window average).

    Averaging the last M gradients lowers the variance of the estimate up to M-fold, at the price of gradients that are up
    to M − 1 steps old. Unlike a running average it forgets a gradient altogether after M steps, an outlier included. It
    costs memory and time in proportion to M; for large M, :class:`Momentum` is much cheaper and similar in effect, and
    `accumulate` averages gradients of the same weights.

    .. math::

        w \leftarrow w - lr \, \frac{1}{M} \sum_{m=1}^{M} g_{t-m+1}, \qquad M = \min(t, window)

    The last `window` gradients are kept, in ``state["ring"]``, and summed afresh at every step: the mean cannot drift, and
    an infinite gradient leaves with its window. A step moves :math:`window + 3` numbers a parameter.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    window : int, default 10
        Number :math:`M` of gradients in the mean; of all so far during the first ``window - 1`` steps.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where gradients are noisy and their past must be forgotten at once.

    *Usual learning rates.* Those of :class:`SGD`, 1e-2 … 1e-1.

    *Deviations.* None.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([0.0])
    >>> opt = fo.WindowSGD(w, lr=1.0, window=2)
    >>> for g in 1.0, 2.0, 4.0:  # means: 1, 1.5, 3
    ...     opt.step(np.array([g]))
    >>> w
    array([-5.5])

    References
    ----------
    Smith, "The Scientist and Engineer's Guide to Digital Signal Processing", 1997, chapter 15: of all filters that react
    as fast, the moving average reduces random noise most.
    """

    rule = "window_sgd"

    def __init__(self, params: N, lr: float | Schedule = 1e-2, *, window: int = 10, **common: Unpack[Common]) -> None:
        super().__init__(params, {"lr": lr}, slots=whole("window", window, bits=31), **common)
