from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.corrected_rate import CorrectedRate
from fusedoptim.schedules import Schedule


class Grams(CorrectedRate[N]):
    r"""The length of AdamW's step for each element, in the direction of the gradient: momentum cannot overshoot.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, & \hat m &= m / (1 - \beta_1^t) \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2, & \hat v &= v / (1 - \beta_2^t) \\
        w &\leftarrow w - \left(lr \cdot weight\_decay\, w
            + \operatorname{sign}(g) \left|\frac{lr\, \hat m}{\sqrt{\hat v + eps\_root} + eps}\right|\right)

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-3
        Step size; it scales the decay of the weights too.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decay of the two running averages.
    eps : float, default 1e-6
        Added outside the root, after the bias correction.
    eps_root : float, default 0
        Added inside the root.
    bias_correction : bool, default True
        False leaves out the divisions by :math:`1 - \beta^t`.
    eps_before_correction : bool, default False
        Adds `eps`, and `eps_root`, before the bias correction: :math:`lr \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)` is the rate
        then, with which the averages are taken as they are. Holds for all groups.
    weight_decay : float, default 0
        Decoupled, and scaled by `lr`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* In place of :class:`AdamW`, where its momentum overshoots.

    *Usual learning rates.* Those of :class:`AdamW`, 1e-4 … 1e-3.

    Where the gradient is 0 the weight does not move, whatever the momentum.

    *Deviations.*

    - pytorch_optimizer: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - the authors' code: adds `eps` before the bias correction, ``eps_before_correction=True``; here it is after, as in
      :class:`Adam` and pytorch_optimizer.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Grams(w, lr=0.1)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> opt.step(np.array([-1.0, 0.0]))  # m is still above 0 for the first
    >>> w.round(3)
    array([0.94, 2.1 ])

    References
    ----------
    Cao, Li & Song, "Grams: Gradient Descent with Adaptive Momentum Scaling", 2024, arXiv:2412.17107.
    """

    rule = "grams"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        eps_root: float = 0.0,
        bias_correction: bool = True,
        eps_before_correction: bool = False,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "bias_correction": bias_correction}
        super().__init__(
            params, arguments | {"weight_decay": weight_decay}, eps_before_correction=eps_before_correction, **common
        )
