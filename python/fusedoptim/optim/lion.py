from typing import ClassVar, Unpack

from fusedoptim.core.checks import flag
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Lion(Optimizer[N]):
    r"""Steps of equal length along the sign of an average of the gradient: half of Adam's state, for large models.

    .. math::

        w &\leftarrow w - (lr\, weight\_decay\, w + lr\, \operatorname{sign}(\beta_1 m + (1 - \beta_1) g)) \\
        m &\leftarrow \beta_2 m + (1 - \beta_2) g

    Every element moves by `lr`, so that `lr` is to be 3 to 10 times smaller than Adam's, and `weight_decay` as much
    larger. Where the average is 0, its sign is 0, and the weight stays. There is no bias correction: the sign has none.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-4
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.99)
        Weight :math:`\beta_1` of the average in a step, and its decay :math:`\beta_2`. It is kept in ``state["m"]``.
    weight_decay : float, default 0
        Decoupled decay, scaled by `lr`: a step takes :math:`lr\, weight\_decay\, w` with it.
    cautious : bool, default False
        Only steps that agree in sign with the gradient are taken, longer by the inverse of their share in the tensor (of
        1e-3 at least): a pass of its own finds it. Holds for all groups.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For large models, where half of Adam's state is what can be had, and batches are not small.

    *Usual learning rates.* 3e-5 … 3e-4: its authors take 3 to 10 times less than for AdamW, and a decay as many times
    larger.

    *Deviations.*

    - lion_pytorch: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - the paper of `cautious`: the factor is one more than the number of agreeing elements, over that of all; here it is
      that of the authors' code.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0, 3.0])
    >>> opt = fo.Lion(w, lr=0.5)
    >>> opt.step(np.array([0.01, -100.0, 0.0]))
    >>> w
    array([0.5, 2.5, 3. ])

    References
    ----------
    Chen et al., "Symbolic Discovery of Optimization Algorithms", NeurIPS 2023, arXiv:2302.06675.

    Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024, arXiv:2411.16085.
    """

    rule = "lion"
    variants: ClassVar[tuple[str, ...]] = ("cautious_lion",)

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-4,
        *,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        cautious: bool = False,
        **common: Unpack[Common],
    ) -> None:
        rule = "cautious_lion" if flag("cautious", cautious) else "lion"
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay}, rule=rule, **common)
