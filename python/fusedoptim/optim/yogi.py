from typing import Unpack

from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.core.storage import Array
from fusedoptim.optim.corrected_rate import CorrectedRate
from fusedoptim.schedules import Schedule


class Yogi(CorrectedRate[N]):
    r"""Adam whose v falls slowly: it moves by a part of the squared gradient, not of the difference to it.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow v - (1 - \beta_2) \operatorname{sign}(v - g^2)\, g^2 \\
        w &\leftarrow w - lr\, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + eps}

    So steps do not become long at once when gradients become small. Both m and v begin at 1e-6, as in optax, of which the
    bias correction makes 9e-6 and 1e-3 in the first step: a weight moves a little even where its gradient is 0.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    eps : float, default 1e-3
        Added outside the root, after the bias correction.
    bias_correction : bool, default True
        False leaves out the two divisions by :math:`1 - \beta^t`.
    eps_before_correction : bool, default False
        Adds `eps` before the bias correction: :math:`lr \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)` is the rate then, with which the
        averages are taken as they are. Holds for all groups.
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
    *When to use it.* Where Adam becomes too bold when gradients become small.

    *Usual learning rates.* 1e-2, as in the paper.

    *Deviations.*

    - the paper: corrects no bias, ``bias_correction=False``, and begins with v of a first minibatch.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Yogi(w, lr=0.1)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(4)
    array([0.9, 2.1])

    References
    ----------
    Zaheer et al., "Adaptive Methods for Nonconvex Optimization", NeurIPS 2018.
    """

    rule = "yogi"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-3,
        bias_correction: bool = True,
        eps_before_correction: bool = False,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "bias_correction": bias_correction}
        super().__init__(
            params, arguments | {"weight_decay": weight_decay}, eps_before_correction=eps_before_correction, **common
        )

    @classmethod
    def initial(cls, name: str, weight: Array, arguments: Hyper) -> float:
        return 1e-6
