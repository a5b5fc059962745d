from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Signum(Optimizer[N]):
    r"""Steps of equal length along the sign of the running average of the gradient.

    .. math::

        m &\leftarrow \beta m + (1 - \beta) g \\
        w &\leftarrow w - (lr\, weight\_decay\, w + lr\, \operatorname{sign}(m))

    With :math:`\beta = 0` it is :class:`SignSGD`. :class:`Lion` looks at the newest gradient once more. Where the average is 0,
    its sign is 0. There is no bias correction: the sign has none.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    beta : float in [0, 1), default 0.9
        Decay :math:`\beta` of the running average, kept in ``state["m"]``.
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
    *When to use it.* As :class:`SignSGD`, where gradients are noisy.

    *Usual learning rates.* 1e-4 … 1e-3, falling to 0: each weight moves by so much at each step.

    *Deviations.*

    - pytorch_optimizer: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - the paper: has no decay, as the default. Here it is decoupled, for in the sign an L2 penalty is not in proportion
      to the weight.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0])
    >>> opt = fo.Signum(w, lr=0.25)
    >>> opt.step(np.array([1.0]))
    >>> opt.step(np.array([-0.5]))  # the average is still positive
    >>> w
    array([0.5])

    References
    ----------
    Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018, arXiv:1802.04434.
    """

    rule = "signum"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        beta: float = 0.9,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "beta": beta, "weight_decay": weight_decay}, **common)
