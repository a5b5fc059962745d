from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class SignSGD(Optimizer[N]):
    r"""Steps of equal length along the sign of the gradient, of which a worker sends one bit an element.

    .. math::

        w \leftarrow w - (lr\, weight\_decay\, w + lr\, \operatorname{sign}(g))

    Only the signs count: `clip_norm`, `clip_value` and ``grad_scale`` change nothing. Where the gradient is 0, its sign is 0.
    See :class:`Signum` for the sign of the running average.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    weight_decay : float, default 0
        Decoupled decay, scaled by `lr`: a step takes :math:`lr\, weight\_decay\, w` with it.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where workers send one bit for each element of the gradient; as the simplest of its kind.

    *Usual learning rates.* 1e-4 … 1e-3, falling to 0: each weight moves by so much at each step.

    *Deviations.*

    - pytorch_optimizer: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - the paper and optax: have no decay, as the default. Here it is decoupled, for in the sign an L2 penalty is not in
      proportion to the weight.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0, 3.0])
    >>> opt = fo.SignSGD(w, lr=0.5)
    >>> opt.step(np.array([0.01, -100.0, 0.0]))
    >>> w
    array([0.5, 2.5, 3. ])

    References
    ----------
    Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018, arXiv:1802.04434.
    """

    rule = "sign_sgd"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay}, **common)
