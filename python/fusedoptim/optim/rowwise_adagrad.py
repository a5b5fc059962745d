from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class RowWiseAdagrad(Optimizer[N]):
    r"""Adagrad with one number for each row instead of each element: for embedding tables that fill the memory.

    .. math::

        v_i &\leftarrow v_i + \operatorname{mean}_j g_{ij}^2 \\
        w_{ij} &\leftarrow w_{ij} - \frac{lr}{\sqrt{v_i} + eps} g_{ij}

    A row is an index of the weight's first axis. Each element of a weight with one axis is a row, and there this is Adagrad.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32 or float64, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    eps : float, default 1e-8
        Added outside the root.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first, as in torch. Not with :class:`RowGrad`.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For embedding tables that fill the memory, of which a step touches few rows.

    *Usual learning rates.* 1e-2 … 1e-1, constant: the steps fall by themselves.

    As EXACT_ROWWISE_ADAGRAD in FBGEMM, which torchrec uses, without its other modes of decay. The mean is summed in float64
    in a fixed order, and :math:`v_i` is rounded once. Many short rows are slow, those of one element above all: give a bias
    another optimizer.

    *Deviations.* None.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> table = np.zeros((3, 2))
    >>> opt = fo.RowWiseAdagrad(table, lr=1.0)
    >>> opt.step(fo.RowGrad(np.array([2]), np.array([[1.0, 7.0]])))  # the mean square is 25
    >>> table
    array([[ 0. ,  0. ],
           [ 0. ,  0. ],
           [-0.2, -1.4]])
    >>> opt.state["v"]
    array([ 0.,  0., 25.])

    References
    ----------
    Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011.

    Khudia et al., "FBGEMM: Enabling High-Performance Low-Precision Deep Learning Inference", 2021, arXiv:2101.05615.
    """

    rule = "rowwise_adagrad"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "weight_decay": weight_decay}, **common)
