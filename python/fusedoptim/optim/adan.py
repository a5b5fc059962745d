from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Adan(Optimizer[N]):
    r"""Adam with Nesterov's look ahead, taken from the change of the gradient: for small and large minibatches.

    .. math::

        d &= g - g_{prev}, \quad 0 \text{ at } t = 1 \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) d \\
        n &\leftarrow \beta_3 n + (1 - \beta_3) (g + \beta_2 d)^2 \\
        w &\leftarrow \left(w - lr\,
            \frac{m / (1 - \beta_1^t) + \beta_2 v / (1 - \beta_2^t)}{\sqrt{n / (1 - \beta_3^t) + eps\_root} + eps}
            \right) / (1 + lr\, weight\_decay)

    The paper's :math:`\beta_k` are :math:`1 - \beta_k` here, as in the authors' code. To parameters that come later than
    t = 1 (:meth:`Optimizer.add_group`) the gradient before the first is 0.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : three floats in [0, 1), default (0.98, 0.92, 0.99)
        Decays of the running averages of the gradient, of its change and of the square, kept in ``state["m"]``,
        ``state["v"]`` and ``state["n"]``; ``state["prev"]`` is the last gradient.
    eps : float, default 1e-8
        Added outside the root, after the bias correction.
    eps_root : float, default 0
        Added inside the root.
    weight_decay : float, default 0
        Proximal decay: division by :math:`1 + lr\, weight\_decay`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* In place of :class:`AdamW` where three states are no burden, and the batch is very small or very
    large.

    *Usual learning rates.* 1e-3 … 1e-2: its authors take 5 to 10 times that of Adam.

    *Deviations.*

    - pytorch_optimizer: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - optax: has :math:`1 - \beta_2` where :math:`\beta_2` stands before d and v, which agrees at 1/2 alone, an
      `eps_root` of 1e-8, and the decay of :class:`AdamW`.
    - the paper: has restarts, which are left out.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Adan(w, lr=0.1)  # the first step is lr · sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.9, 2.1])

    References
    ----------
    Xie et al., "Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models", TPAMI 2024,
    arXiv:2208.06677.
    """

    rule = "adan"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        eps_root: float = 0.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
