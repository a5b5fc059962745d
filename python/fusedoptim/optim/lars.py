from typing import ClassVar, Unpack

from fusedoptim.core.checks import flag
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class LARS(Optimizer[N]):
    r"""Momentum whose step in each tensor is relative to the norm of its weights: for convolutions in very large batches.

    .. math::

        u &= g + weight\_decay\, w \\
        m &\leftarrow momentum \cdot m + lr\, \frac{trust\_coefficient\, \|w\|}{\|u\| + eps}\, u \\
        w &\leftarrow w - m

    and with `nesterov` the last line has :math:`momentum \cdot m` and the new step once more in place of :math:`m`. The
    norms are those of each tensor, summed in float64 in a fixed order, in a pass of their own.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-2
        Step size, part of what `m` sums up: a change of it shows as the steps before decay. As `trust_coefficient`
        multiplies it, rates of 1 and above are common.
    momentum : float in [0, 1), default 0.9
        Decay of the sum of steps, kept in ``state["m"]``.
    nesterov : bool, default False
        Steps along what `m` will be with the same gradient once more. Holds for all groups.
    weight_decay : float, default 0
        Added to the gradient, before its norm is taken.
    trust_coefficient : float, default 1e-3
        Length of a step relative to the norm of the weights, at ``lr=1``.
    eps : float, default 0
        Added to the norm in the denominator.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For convolutional networks with batches of thousands and more.

    *Usual learning rates.* 1 … 30 with the default `trust_coefficient`, the higher, the larger the batch, after a
    warm-up.

    As in optax, the ratio is 1 where either norm is 0, without `trust_coefficient`: biases that begin at zero make a step
    of plain gradient descent first. Give what should not be scaled, biases and normalization layers, an optimizer of
    their own.

    *Deviations.*

    - the paper: divides by :math:`\|g\| + weight\_decay \|w\|`, the sum of two norms; optax and this by the norm of the
      sum. Without decay they are the same.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([3.0, 4.0])
    >>> opt = fo.LARS(w, lr=100.0)  # a step of 100 · 0.001 · 5
    >>> opt.step(np.array([7.0, 0.0]))
    >>> w.round(3)
    array([2.5, 4. ])

    References
    ----------
    You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks", 2017, arXiv:1708.03888.
    """

    rule = "lars"
    variants: ClassVar[tuple[str, ...]] = ("nesterov_lars",)

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        momentum: float = 0.9,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        eps: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        arguments |= {"trust_coefficient": trust_coefficient, "eps": eps}
        rule = "nesterov_lars" if flag("nesterov", nesterov) else "lars"
        super().__init__(params, arguments, rule=rule, **common)
