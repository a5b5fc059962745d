from typing import Unpack

from fusedoptim.optimizer import Nest, Optimizer
from fusedoptim.options import Common
from fusedoptim.schedules import Schedule


class RMSProp(Optimizer):
    r"""The gradient over the root of the running average of its square.

    Each weight gets a learning rate of its own, the smaller, the larger its gradients have lately been. Good where
    gradients differ by orders of magnitude between layers, and where the objective changes as training goes on. The average
    is of the last :math:`1 / (1 - \beta)` steps or so; the first steps are long, since it starts at zero, which
    :func:`~fusedoptim.schedules.warmup` mends.

    .. math::

        v &\leftarrow \beta v + (1 - \beta) g^2 \\
        w &\leftarrow w - \frac{lr\, g}{\sqrt{v + eps\_root} + eps}

    :math:`lr / \sqrt{v + \varepsilon} \cdot g`, with :math:`\varepsilon` inside the root, is ``eps=0, eps_root=ε``; torch's
    and optax's default have it outside, as `eps`. There is no bias correction: the first step is :math:`1 / \sqrt{1 - \beta}` times a later one.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32 or float64, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    beta : float in [0, 1), default 0.99
        Decay :math:`\beta` of the running average, kept in ``state["v"]``. Lecture notes often write u for our v.
    eps : float, default 1e-8
        Added outside the root.
    eps_root : float, default 0
        Added inside the root.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first.
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
    >>> opt = fo.RMSProp(w, lr=0.1, beta=0.75, eps=0)  # g / sqrt(g² / 4) = 2 sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w
    array([0.8, 2.2])

    References
    ----------
    Tieleman & Hinton, "Lecture 6.5: rmsprop", Coursera: Neural Networks for Machine Learning, 2012.
    """

    rule = "rmsprop"

    def __init__(
        self,
        params: Nest,
        lr: float | Schedule = 1e-2,
        *,
        beta: float = 0.99,
        eps: float = 1e-8,
        eps_root: float = 0.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(
            params, {"lr": lr, "beta": beta, "eps": eps, "eps_root": eps_root, "weight_decay": weight_decay}, **common
        )
