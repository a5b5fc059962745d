from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Adadelta(Optimizer[N]):
    r"""The gradient in units of itself, times the root mean square of the past steps: nearly without a learning rate.

    .. math::

        v &\leftarrow \rho v + (1 - \rho) g^2 \\
        s &= \frac{\sqrt{d + eps}}{\sqrt{v + eps}}\, g \\
        d &\leftarrow \rho d + (1 - \rho) s^2 \\
        w &\leftarrow w - lr\, s

    `eps` is inside both roots, as in the paper, torch and optax. It is what the first steps live on, of length
    :math:`\sqrt{eps / (1 - \rho)}`: a larger one starts faster.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1
        Factor of the step, which the paper does not have.
    rho : float in [0, 1), default 0.9
        Decay :math:`\rho` of both running averages, kept in ``state["v"]`` and ``state["d"]``.
    eps : float, default 1e-6
        Added inside both roots.
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
    *When to use it.* Where no rate can be tuned, and slow progress at the beginning does no harm.

    *Usual learning rates.* 1, as in the paper.

    *Deviations.*

    - the paper: has no `lr`: it is 1.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Adadelta(w, rho=0.75, eps=1e-2)  # √eps / √(g² / 4 + eps) · g
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(2)
    array([0.8, 2.2])

    References
    ----------
    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, arXiv:1212.5701.
    """

    rule = "adadelta"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1.0,
        *,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}, **common)
