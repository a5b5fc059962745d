import math
from typing import Any, ClassVar, Unpack

from fusedoptim.core import tree
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N, Nest
from fusedoptim.core.options import Common
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.core.storage import Array
from fusedoptim.numerics.elementary import power
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class SparseAdam(Optimizer[N]):
    r"""torch's "lazy" Adam for embedding tables: a step touches the rows that its :class:`RowGrad` has, and no other.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        w &\leftarrow w - lr \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m}{\sqrt{v} + eps}

    :class:`Adam` takes a :class:`RowGrad` too, mixed with whole gradients, and adds `eps` after the bias correction.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32 or float64, updated in place; each with at least one axis.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages.
    eps : float, default 1e-8
        Added outside the root, **before** the bias correction: it is the rule of :class:`Adam` with
        :math:`eps / \sqrt{1 - \beta_2^t}`.
    **common
        See :class:`fusedoptim.Common`; not `accumulate` and `ema`, which concern every row.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain, and by a step that is given an array.

    Notes
    -----
    *When to use it.* For embedding tables, of which a step touches few rows, as in torch.

    *Usual learning rates.* Those of :class:`Adam`, 1e-4 … 1e-3.

    As in torch, :math:`t` counts the steps of the optimizer, not those that touch a row. There, a row that comes twice has
    its gradients added in any order; here, in order of appearance.

    *Deviations.* None from torch.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> table = np.zeros((4, 2))
    >>> opt = fo.SparseAdam(table, lr=0.1)  # the first step is lr · sign(g)
    >>> opt.step(fo.RowGrad(np.array([2, 0]), np.array([[3.0, -5.0], [1.0, 2.0]])))
    >>> table.round(6)
    array([[-0.1, -0.1],
           [ 0. ,  0. ],
           [-0.1,  0.1],
           [ 0. ,  0. ]])

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980.
    """

    carried: ClassVar[dict[str, float]] = {}

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        **common: Unpack[Common],
    ) -> None:
        for name in ("accumulate", "ema"):
            if common.get(name) not in (None, 1):
                raise ValueError(f"{name} needs whole gradients, and SparseAdam takes rows; leave it out, or take Adam")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps}, rule="adam", **common)

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        return {"eps": hyper["eps"] / math.sqrt(1 - power(hyper["beta2"], t))}, carried

    def _step(self, grads: Nest | RowGrad | None, *others: Any) -> None:
        if grads is not None:
            self._check_row_grads(grads)
        super()._step(grads, *others)

    def bind(self, grads: Nest) -> None:
        self._check_row_grads(grads)
        super().bind(grads)

    def _check_row_grads(self, grads: Nest | RowGrad) -> None:
        for leaf, (_, frozen) in zip(tree.leaves(self._skeleton, grads, "grads"), self._plan.members, strict=True):
            if not frozen:
                _check_row_grad(leaf)

    def _update(self, key: Any, grad: Array | RowGrad, grad_scale: float, zero_grads: bool) -> None:
        _check_row_grad(grad)
        super()._update(key, grad, grad_scale, zero_grads)


def _check_row_grad(grad: Any) -> None:
    if not isinstance(grad, RowGrad):
        raise TypeError(f"SparseAdam takes RowGrad(rows, values), got {type(grad).__name__}; Adam takes both")
