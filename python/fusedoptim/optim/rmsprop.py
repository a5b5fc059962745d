from typing import Any, ClassVar, Unpack

from fusedoptim import _core
from fusedoptim.core.checks import flag
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class RMSProp(Optimizer[N]):
    r"""The gradient over the root of the running average of its square.

    Each weight gets a learning rate of its own, the smaller, the larger its gradients have lately been. Good where
    gradients differ by orders of magnitude between layers, and where the objective changes as training goes on. The average
    is of the last :math:`1 / (1 - \beta)` steps or so; the first steps are long, since it starts at zero, which
    :class:`~fusedoptim.schedules.warmup` mends.

    .. math::

        v &\leftarrow \beta v + (1 - \beta) g^2 \\
        w &\leftarrow w - \frac{lr\, g}{\sqrt{v + eps\_root} + eps}

    :math:`lr / \sqrt{v + \varepsilon} \cdot g`, with :math:`\varepsilon` inside the root, is ``eps=0, eps_root=ε``; torch
    has it outside, as `eps`, and so has optax with ``eps_in_sqrt=False``. There is no bias correction: the first step is
    :math:`1 / \sqrt{1 - \beta}` times a later one.

    If `centered`, :math:`\max(v - m^2, 0)` takes the place of :math:`v` in the root, with the running average
    :math:`m \leftarrow \beta m + (1 - \beta) g`. With `momentum` the steps are summed:

    .. math::

        b &\leftarrow momentum\, b + \frac{g}{\sqrt{v + eps\_root} + eps} \\
        w &\leftarrow w - lr\, b

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    beta : float in [0, 1), default 0.99
        Decay :math:`\beta` of the running average, kept in ``state["v"]``. Lecture notes often write u for our v.
        torch calls it alpha, optax decay.
    eps : float, default 1e-8
        Added outside the root.
    eps_root : float, default 0
        Added inside the root.
    centered : bool, default False
        Divides by the standard deviation; its mean is kept in ``state["m"]``.
    momentum : float in [0, 1), default 0
        Decay of the sum of the steps, kept in ``state["b"]``. Where it is 0 there is no such state, and a group has no
        momentum of its own; else a group may have any, also 0.
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
    *When to use it.* Where the size of gradients differs by orders of magnitude, or the objective moves, as in
    reinforcement learning.

    *Usual learning rates.* 1e-4 … 1e-2; 2.5e-4 for deep Q-networks.

    *Deviations.*

    - torch and optax: take the root of :math:`v - m^2` also where rounding has made it negative; here it is 0 then.
    - torch: takes a momentum of 1 or more, which is refused here.
    - optax: sums the steps after they are scaled by `lr`: the same, unless `lr` changes.
    - optax: has other defaults: ``beta=0.9, eps=0, eps_root=1e-8``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.RMSProp(w, lr=0.1, beta=0.75, eps=0)  # g / sqrt(g² / 4) = 2 sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w
    array([0.8, 2.2])

    References
    ----------
    Tieleman & Hinton, "Lecture 6.5: rmsprop", Coursera: Neural Networks for Machine Learning, 2012.

    Graves, "Generating Sequences With Recurrent Neural Networks", 2013, arXiv:1308.0850.
    """

    rule = "rmsprop"
    variants: ClassVar[tuple[str, ...]] = ("rmsprop_centered", "rmsprop_momentum", "rmsprop_centered_momentum")

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        beta: float = 0.99,
        eps: float = 1e-8,
        eps_root: float = 0.0,
        centered: bool = False,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        _core.check_hyper("rmsprop_momentum", "momentum", momentum)
        rule = "rmsprop" + "_centered" * flag("centered", centered) + "_momentum" * (momentum > 0)
        arguments: dict[str, Any] = {"lr": lr, "beta": beta, "eps": eps, "eps_root": eps_root}
        arguments |= {"momentum": momentum} if momentum > 0 else {}
        super().__init__(params, arguments | {"weight_decay": weight_decay}, rule=rule, **common)
