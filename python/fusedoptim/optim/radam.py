from typing import ClassVar, Unpack

from fusedoptim.core.checks import flag
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class RAdam(Optimizer[N]):
    r"""Adam that waits until the average of the squares is worth dividing by: a warm up without its length to choose.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, & \hat m &= m / (1 - \beta_1^t) \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2, &
        \rho &= \rho_\infty - \frac{2 t \beta_2^t}{1 - \beta_2^t}, \quad \rho_\infty = \frac{2}{1 - \beta_2} - 1

    .. math::

        w \leftarrow w - lr\, \hat m \begin{cases}
        \frac{r \sqrt{1 - \beta_2^t}}{\sqrt v + eps}, \; r^2 = \frac{(\rho - 4)(\rho - 2) \rho_\infty}
        {(\rho_\infty - 4)(\rho_\infty - 2) \rho} & \text{if } \rho > 5 \\
        1 & \text{otherwise} \end{cases}

    With the default betas the first 5 steps are those of momentum. As in torch, `eps` is added before :math:`v` is corrected;
    optax adds it after, so with ``eps=0`` they agree. The paper begins at :math:`\rho > 4`.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    eps : float, default 1e-8
        Added outside the root, before the bias correction.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first.
    decoupled_weight_decay : bool, default False
        A step takes :math:`lr \cdot weight\_decay\, w` with it instead, as in :class:`AdamW`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where Adam diverges at its first steps, and a warm-up is not wanted.

    *Usual learning rates.* Those of :class:`Adam`, 1e-4 … 1e-3.

    *Deviations.*

    - torch: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - optax: adds `eps` after :math:`v` is corrected, torch and this before: with ``eps=0`` they agree.
    - the paper: begins at :math:`\rho > 4`, torch and this at 5.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.RAdam(w, lr=0.1)  # the first step is lr · g
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.7, 2.5])

    References
    ----------
    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", ICLR 2020, arXiv:1908.03265.
    """

    rule = "radam"
    variants: ClassVar[tuple[str, ...]] = ("radam_decoupled",)

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        **common: Unpack[Common],
    ) -> None:
        rule = "radam_decoupled" if flag("decoupled_weight_decay", decoupled_weight_decay) else "radam"
        arguments = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, arguments, rule=rule, **common)
