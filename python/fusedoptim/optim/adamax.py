from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Adamax(Optimizer[N]):
    r"""Adam with a decaying maximum of :math:`|g|` in place of the root of the average square.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        u &\leftarrow \max(\beta_2 u, |g| + eps) \\
        w &\leftarrow w - \frac{lr}{1 - \beta_1^t}\, \frac{m}{u}

    A maximum has no bias towards zero to correct. Steps are bounded by `lr` more tightly than Adam's. `eps` is added to
    :math:`|g|`, as in torch and optax; the paper has none.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 2e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running average and of the maximum, kept in ``state["m"]`` and
        ``state["u"]``.
    eps : float, default 1e-8
        Added to :math:`|g|`.
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
    *When to use it.* In place of :class:`Adam` where gradients are sparse or have outliers, as in embeddings.

    *Usual learning rates.* 2e-3, as in the paper.

    *Deviations.*

    - the paper: has no `eps`, which is added as in torch and optax: ``eps=0``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Adamax(w, lr=0.1)  # the first step is lr · sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.9, 2.1])

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", section 7.1, ICLR 2015, arXiv:1412.6980.
    """

    rule = "adamax"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 2e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}, **common)
