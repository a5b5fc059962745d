from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class NAdamW(Optimizer[N]):
    r"""AdamW that looks one step ahead along the running average, as :class:`Nesterov` does.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        l &= \beta_1 m / (1 - \beta_1^{t+1}) + (1 - \beta_1) g / (1 - \beta_1^t) \\
        w &\leftarrow w - \left(lr\, weight\_decay\, w + lr\, \frac{l}{\sqrt{v / (1 - \beta_2^t) + eps\_root} + eps}\right)

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    eps : float, default 1e-8
        Added outside the root, after the bias correction.
    eps_root : float, default 0
        Added inside the root.
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
    *When to use it.* In place of :class:`AdamW`, to which it is close: often a little faster.

    *Usual learning rates.* Those of :class:`AdamW`, 1e-4 … 1e-3.

    *Deviations.*

    - torch: :math:`\beta_1` grows from step to step: :class:`NAdam` with ``decoupled_weight_decay=True``. Here it is
      constant, as in optax.
    - the paper: has a further factor :math:`\beta_2` on v; here v is corrected as Adam's.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.NAdamW(w, lr=0.1, weight_decay=0.0)  # the first step is longer than lr: 0.09 / 0.19 + 1
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(4)
    array([0.8526, 2.1474])

    References
    ----------
    Dozat, "Incorporating Nesterov Momentum into Adam", ICLR workshop 2016.
    Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.
    """

    rule = "nadamw"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        eps_root: float = 0.0,
        weight_decay: float = 1e-4,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
