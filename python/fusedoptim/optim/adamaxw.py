from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class AdamaxW(Optimizer[N]):
    r"""Adam with a decaying maximum of the gradient in place of the root, and decoupled weight decay.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        u &\leftarrow \max(\beta_2 u,\ |g| + eps) \\
        w &\leftarrow w - \left(lr\, weight\_decay\, w + lr\, \frac{m / (1 - \beta_1^t)}{u}\right)

    The maximum needs no bias correction, and no step is longer than about `lr`.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 2e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running average and of the maximum, kept in ``state["m"]`` and ``state["u"]``.
    eps : float, default 1e-8
        Added to :math:`|g|`.
    weight_decay : float, default 1e-4
        Decoupled decay, scaled by `lr`: a step takes :math:`lr\, weight\_decay\, w` with it.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where :class:`Adamax` is, and weights should decay.

    *Usual learning rates.* 2e-3, as for :class:`Adamax`.

    *Deviations.*

    - the paper: has no `eps`, which is added as in torch and optax, and no decay: ``eps=0, weight_decay=0``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.AdamaxW(w, lr=0.1, weight_decay=0.0)  # the first step is lr · sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.9, 2.1])

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980.
    Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.
    """

    rule = "adamaxw"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 2e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-4,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
