from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class NovoGrad(Optimizer[N]):
    r"""Momentum of gradients over a running norm of their tensor: adaptive with half of Adam's memory.

    .. math::

        v &\leftarrow \beta_2 v + (1 - \beta_2) \|g\|^2, \text{ at first } \|g\|^2 \\
        m &\leftarrow \beta_1 m + \frac{g}{\sqrt{v + eps\_root} + eps} + weight\_decay\, w \\
        w &\leftarrow w - lr\, m

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-3
        Step size.
    betas : pair of floats in [0, 1), default (0.9, 0.25)
        Decays of the sum ``state["m"]`` and of the average ``state["v"]``. The paper recommends 0.95 and 0.98 too.
    eps : float, default 1e-6
        Added outside the root.
    eps_root : float, default 0
        Added inside the root.
    weight_decay : float, default 0
        Decoupled from the average of norms, but part of what `m` sums up.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where memory for one state is all there is, and layers differ in the size of their gradients, as
    in speech.

    *Usual learning rates.* 1e-3 … 1e-2, with a warm-up and a fall along a cosine.

    ``state["v"]`` is one number for each tensor, an array without axes; the norm takes a pass of its own. There is no
    bias correction: the first norm is taken as it is. As in optax, `m` sums up and does not average; the effective rate
    is :math:`lr / (1 - \beta_1)`.

    *Deviations.*

    - the paper: leaves open whether what `m` sums up is scaled by :math:`1 - \beta_1`; here it is not, as in optax.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.NovoGrad(w, lr=0.1)
    >>> opt.step(np.array([3.0, -4.0]))  # of norm 5
    >>> w.round(6)
    array([0.94, 2.08])

    References
    ----------
    Ginsburg et al., "Stochastic Gradient Methods with Layer-wise Adaptive Moments for Training of Deep Networks", 2019,
    arXiv:1905.11286.
    """

    rule = "novograd"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.25),
        eps: float = 1e-6,
        eps_root: float = 0.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
