from typing import Any, ClassVar, Unpack

from fusedoptim import _core
from fusedoptim.core.checks import flag
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class SGD(Optimizer[N]):
    r"""Minibatch stochastic gradient descent, plain or with momentum.

    The step that every other optimizer refines. It is the right one where the loss is close to a parabola that is equally
    steep in all directions, where memory is scarce, since it keeps no state, and as the baseline to beat. It needs a
    learning rate matched to the steepest direction, and is then slow along the flat ones; a plateau wants a larger rate
    than a slope.

    .. math::

        w \leftarrow w - (lr \cdot weight\_decay\, w + lr\, g)

    With `momentum`, and :math:`g \leftarrow g + weight\_decay\, w` first,

    .. math::

        m &\leftarrow momentum\, m + (1 - dampening)\, g, \quad m \leftarrow g \text{ at } t = 1 \\
        w &\leftarrow w - lr\, m

    and with `nesterov` :math:`w \leftarrow w - lr\, (g + momentum\, m)`.

    This is torch's form: :math:`m` is a sum, and a step is up to :math:`1 / (1 - momentum)` times as long as without. In
    :class:`Momentum` it is an average.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    momentum : float in [0, 1), default 0
        Decay of the sum of gradients, kept in ``state["m"]``. Where it is 0 there is no such state, and a group has no
        momentum of its own; else a group may have any, also 0.
    dampening : float in [0, 1), default 0
        Takes this part off each gradient but the first; needs `momentum`.
    nesterov : bool, default False
        Looks ahead, by the momentum of the next step; needs `momentum`, and no `dampening`.
    weight_decay : float, default 0
        For plain gradient descent, decay of the weights scaled by `lr` and an L2 penalty on the loss,
        :math:`\tfrac12 weight\_decay \|w\|^2`, are the same. With momentum it is the L2 penalty.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* As the baseline; where the loss is about as steep in all directions; where there is no memory for
    a state.

    *Usual learning rates.* 1e-2 … 1e-1. With ``momentum=0.9``, 0.1 for convolutional networks with batches of 256, in
    proportion to the batch, and falling to 0.

    *Deviations.*

    - torch: ignores `dampening` without `momentum`, and takes a momentum of 1 or more; here these are refused.
    - torch: takes the first gradient of each parameter whole; here a parameter that is added or thawed later has its
      first gradient at :math:`t > 1`, and the dampening is taken off that too.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.SGD(w, lr=0.1, momentum=0.5)
    >>> opt.step(np.array([0.5, -0.5]))
    >>> w
    array([0.95, 2.05])
    >>> opt.step(np.zeros(2))  # it rolls on
    >>> w
    array([0.925, 2.075])

    References
    ----------
    Robbins & Monro, "A Stochastic Approximation Method", Annals of Mathematical Statistics 22, 1951.

    Polyak, "Some methods of speeding up the convergence of iteration methods", USSR Computational Mathematics and
    Mathematical Physics 4(5), 1964.

    Sutskever et al., "On the importance of initialization and momentum in deep learning", ICML 2013.
    """

    rule = "sgd"
    variants: ClassVar[tuple[str, ...]] = ("heavy_ball", "nesterov_momentum")

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        _core.check_hyper("heavy_ball", "momentum", momentum)
        _core.check_hyper("heavy_ball", "dampening", dampening)
        arguments: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        if flag("nesterov", nesterov):
            if momentum == 0 or dampening != 0:
                raise ValueError(
                    f"nesterov needs momentum > 0 and dampening = 0, got momentum={momentum!r}, dampening={dampening!r}"
                )
            super().__init__(params, arguments | {"momentum": momentum}, rule="nesterov_momentum", **common)
        elif momentum > 0:
            own = {"momentum": momentum, "dampening": dampening}
            super().__init__(params, arguments | own, rule="heavy_ball", **common)
        elif dampening > 0:
            raise ValueError(f"dampening needs momentum > 0, got dampening={dampening!r}")
        else:
            super().__init__(params, arguments, **common)
