from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class AMSGrad(Optimizer[N]):
    r"""Adam over the largest v so far, so that a rare large gradient is not forgotten.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        v_{max} &\leftarrow \max(v_{max},\ v / (1 - \beta_2^t)) \\
        w &\leftarrow w - lr\, \frac{m / (1 - \beta_1^t)}{\sqrt{v_{max} + eps\_root} + eps}

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    eps : float, default 1e-8
        Added outside the root.
    eps_root : float, default 0
        Added inside the root.
    bias_correction : bool, default True
        False leaves out the two divisions by :math:`1 - \beta^t`.
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
    *When to use it.* Where Adam does not settle, because gradients are mostly small and rarely large.

    *Usual learning rates.* Those of :class:`Adam`, 1e-4 … 1e-3.

    *Deviations.*

    - torch: takes the maximum first and corrects it then: :class:`Adam` with ``amsgrad=True``. Here the maximum is that
      of the corrected v, as in optax.
    - the paper: corrects nothing: ``bias_correction=False``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.AMSGrad(w, lr=0.1)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6), opt.state["v_max"].round(6)
    (array([0.9, 2.1]), array([ 9., 25.]))

    References
    ----------
    Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond", ICLR 2018, arXiv:1904.09237.
    """

    rule = "amsgrad"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        eps_root: float = 0.0,
        bias_correction: bool = True,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "bias_correction": bias_correction}
        super().__init__(params, arguments | {"weight_decay": weight_decay}, **common)
