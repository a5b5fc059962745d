from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class SM3(Optimizer[N]):
    r"""Adagrad that remembers one number for each index of each axis: for embeddings and matrices where memory is short.

    .. math::

        n_i &= g_i^2 + \min_{r \ni i} v_r \\
        v_r &\leftarrow \max_{i \in r} n_i \\
        m &\leftarrow \mu m + (1 - \mu) \frac{g}{\sqrt{n + eps\_root}} \\
        w &\leftarrow w - lr\, m

    where :math:`r` are the rows and the columns of a matrix, and likewise the slices along each axis of what has more; of
    a vector each element is one of its own, which is Adagrad. The direction is 0 where :math:`n` is. As :math:`v` only
    grows, the steps shrink, and no schedule is needed for that.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 0.1
        Step size, as large as Adagrad's.
    momentum : float in [0, 1), default 0.9
        Decay :math:`\mu` of the running average of the direction, ``state["m"]``.
    eps_root : float, default 1e-8
        Added inside the root.
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
    *When to use it.* For embeddings and matrices where memory is short.

    *Usual learning rates.* 0.1 … 0.5, constant after a warm-up: the steps fall by themselves.

    ``state["v"]`` is one array for each weight, of shape (rows + columns,): the numbers of the first axis, then those of the
    next. It is the `mu` of optax, whose `nu` is our `m`. The momentum needs as much memory as the weight whatever `momentum`
    is.

    *Deviations.*

    - optax: does not take weights without axes.
    - the paper: has no `eps_root`.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.zeros((2, 2))
    >>> opt = fo.SM3(w, lr=1.0, momentum=0.0)
    >>> for _ in range(2):
    ...     opt.step(np.array([[3.0, 0.0], [0.0, 4.0]]))
    >>> opt.state["v"]  # 2 · 3², 2 · 4², for rows and for columns
    array([18., 32., 18., 32.])

    References
    ----------
    Anil et al., "Memory-Efficient Adaptive Optimization", NeurIPS 2019, arXiv:1901.11150.
    """

    rule = "sm3"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 0.1,
        *,
        momentum: float = 0.9,
        eps_root: float = 1e-8,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "momentum": momentum, "eps_root": eps_root, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
