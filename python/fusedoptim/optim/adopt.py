from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class ADOPT(Optimizer[N]):
    r"""Adam that divides by the average of earlier squares, and averages afterwards: it converges with any `beta2`.

    .. math::

        u &= \frac{g}{\max(\sqrt v, eps)}, \text{ clipped to } \pm\, clip\, \sqrt[4]{t - 1} \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) u \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - lr\, m

    The first step only sets :math:`v = g^2`: it moves no weight.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-3
        Step size.
    betas : pair of floats in [0, 1), default (0.9, 0.9999)
        Decay of the two running averages.
    eps : float, default 1e-6
        The least that is divided by: neither inside nor outside the root.
    clip : float, default 1
        Limit of :math:`u` at ``t = 2``, which grows with :math:`\sqrt[4]{t - 1}`; ``math.inf`` for the paper's first form,
        without clipping.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first, the authors' default way.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where Adam does not settle with any `beta2` that was tried.

    *Usual learning rates.* Those of :class:`Adam`, 1e-4 … 1e-3.

    There is no bias correction: `v` begins at a square, and `m` at 0 as the weights stand still.

    *Deviations.*

    - pytorch_optimizer: limits to :math:`\sqrt[4]{t}`; here it is :math:`\sqrt[4]{t - 1}`, as in optax and the authors'
      code, which count steps from 0.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.ADOPT(w, lr=0.1)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> opt.step(np.array([3.0, -5.0]))  # m = 0.1 · sign(g)
    >>> w.round(6)
    array([0.99, 2.01])

    References
    ----------
    Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any :math:`\beta_2` with the Optimal Rate", NeurIPS 2024,
    arXiv:2411.02853.
    """

    rule = "adopt"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        clip: float = 1.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "clip": clip, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
