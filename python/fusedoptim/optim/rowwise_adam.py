from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.corrected_rate import CorrectedRate
from fusedoptim.schedules import Schedule


class RowWiseAdam(CorrectedRate[N]):
    r"""Adam with one average of squares for each row: about half the state, for large embedding tables.

    .. math::

        m_{ij} &\leftarrow \beta_1 m_{ij} + (1 - \beta_1) g_{ij} \\
        v_i &\leftarrow \beta_2 v_i + (1 - \beta_2) \operatorname{mean}_j g_{ij}^2 \\
        w_{ij} &\leftarrow w_{ij} - \left(lr \cdot weight\_decay\, w_{ij}
            + lr \frac{m_{ij} / (1 - \beta_1^t)}{\sqrt{v_i / (1 - \beta_2^t)} + eps}\right)

    A row is an index of the weight's first axis. Each element of a weight with one axis is a row, and there this is Adam.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32 or float64, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages.
    eps : float, default 1e-8
        Added outside the root, after the bias correction.
    bias_correction : bool, default True
        False leaves out the two divisions by :math:`1 - \beta^t`.
    eps_before_correction : bool, default False
        Adds `eps` before the bias correction: :math:`lr \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)` is the rate then, with which the
        averages are taken as they are. Holds for all groups.
    weight_decay : float, default 0
        Decoupled, and scaled by `lr`; with a :class:`RowGrad` of the touched rows alone.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For embedding tables that are to be stepped as Adam does, in about half of its state.

    *Usual learning rates.* Those of :class:`Adam`, 1e-4 … 1e-3.

    As PARTIAL_ROWWISE_ADAM in FBGEMM, which torchrec uses, and as Adam-mini does for embeddings: :math:`t` counts the steps
    of the optimizer, not those that touch a row. The mean is summed in float64 in a fixed order, and :math:`v_i` is rounded
    once. Many short rows are slow, those of one element above all: give a bias another optimizer.

    *Deviations.*

    - adam_mini: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> table = np.zeros((3, 2))
    >>> opt = fo.RowWiseAdam(table, lr=1.0)
    >>> opt.step(fo.RowGrad(np.array([2]), np.array([[1.0, 7.0]])))  # the root of the mean square is 5
    >>> table.round(6)
    array([[ 0. ,  0. ],
           [ 0. ,  0. ],
           [-0.2, -1.4]])

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980.

    Zhang et al., "Adam-mini: Use Fewer Learning Rates To Gain More", ICLR 2025, arXiv:2406.16793.

    Khudia et al., "FBGEMM: Enabling High-Performance Low-Precision Deep Learning Inference", 2021, arXiv:2101.05615.
    """

    rule = "rowwise_adam"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        bias_correction: bool = True,
        eps_before_correction: bool = False,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "bias_correction": bias_correction}
        super().__init__(
            params, arguments | {"weight_decay": weight_decay}, eps_before_correction=eps_before_correction, **common
        )
