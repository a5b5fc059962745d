from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class LAMB(Optimizer[N]):
    r"""Adam's direction, of the length :math:`lr\, \|w\|` in each tensor: for very large batches.

    A batch of tens of thousands wants a learning rate at which some layers of Adam would diverge and others hardly move.
    Here each tensor moves by the same fraction of its own norm. For small batches it has little to offer over
    :class:`AdamW`.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        u &= \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t) + eps\_root} + eps} + weight\_decay\, w \\
        w &\leftarrow w - lr\, \frac{\|w\|}{\|u\|} u

    The norms are those of each tensor, summed in float64 in a fixed order, in a pass of their own. As in optax,
    :math:`\|w\|` is not clamped, and the ratio is 1 where either norm is 0.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-3
        Step size.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decay of the two running averages.
    eps : float, default 1e-6
        Added outside the root, after the bias correction.
    eps_root : float, default 0
        Added inside the root.
    bias_correction : bool, default True
        False leaves out the divisions by :math:`1 - \beta^t`, as the authors' later versions do.
    weight_decay : float, default 0
        Decoupled from the averages, but part of the direction whose length is set.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For batches of tens of thousands; below, :class:`AdamW` does as well.

    *Usual learning rates.* 1e-3 … 1e-2, with the root of the size of the batch, after a warm-up.

    *Deviations.*

    - the paper: may clamp :math:`\|w\|`; optax and this do not.
    - the authors' later versions: leave out the bias correction: ``bias_correction=False``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([3.0, 4.0])
    >>> opt = fo.LAMB(w, lr=0.1)  # a step of 0.1 · 5
    >>> opt.step(np.array([1.0, 0.0]))
    >>> w.round(3)
    array([2.5, 4. ])

    References
    ----------
    You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", ICLR 2020, arXiv:1904.00962.
    """

    rule = "lamb"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        eps_root: float = 0.0,
        bias_correction: bool = True,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "bias_correction": bias_correction}
        super().__init__(params, arguments | {"weight_decay": weight_decay}, **common)
