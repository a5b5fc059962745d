from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Fromage(Optimizer[N]):
    r"""Steps of the length :math:`lr\, \|w\|` in each tensor, whose norm they keep: a rate that needs little tuning.

    .. math::

        w \leftarrow \frac{1}{\sqrt{1 + lr^2}} \left(w - lr\, \frac{\|w\|}{\|g\|} g\right)

    The norms are those of each tensor, summed in float64 in a fixed order, in a pass of their own, and at least
    `min_norm`. Where the gradient is orthogonal to the weights, as with normalization layers, the root keeps
    :math:`\|w\|` as it is.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-2
        Length of a step relative to the norm of the weights.
    min_norm : float, default 1e-6
        The least that a norm counts as, of weights and gradients. With 0, the ratio is 1 where either norm is 0, as the
        authors have it.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where one rate has to do for networks of different depth, without a search.

    *Usual learning rates.* 1e-2, as its authors take throughout; lower towards the end.

    There is no weight decay: the root is one. Weights that begin at zero stay near it for long with a `min_norm` above 0.

    *Deviations.*

    - pytorch_optimizer: divides by the root in the dtype of the weight, which rounds it to 1 at small rates; here what it
      takes off is rounded with the step, as in optax.
    - the authors' code: has no least norm, which is optax's: ``min_norm=0``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([3.0, 4.0])
    >>> opt = fo.Fromage(w, lr=0.75)
    >>> opt.step(np.array([-8.0, 6.0]))  # orthogonal: (3 + 3, 4 − 2.25) · 0.8 has the norm 5
    >>> w
    array([4.8, 1.4])

    References
    ----------
    Bernstein et al., "On the distance between two neural networks and the stability of learning", NeurIPS 2020,
    arXiv:2002.03432.
    """

    rule = "fromage"

    def __init__(
        self, params: N, lr: float | Schedule = 1e-2, *, min_norm: float = 1e-6, **common: Unpack[Common]
    ) -> None:
        super().__init__(params, {"lr": lr, "min_norm": min_norm}, **common)
