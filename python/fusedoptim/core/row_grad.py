from dataclasses import dataclass

from fusedoptim import _core
from fusedoptim.core.storage import Array


@dataclass(frozen=True, eq=False, slots=True)
class RowGrad:
    """The gradient of some rows of a weight, such as an embedding table: a step reads and writes those rows alone.

    It stands in the nest of gradients in place of an array. A row that comes more than once has the sum of its gradients,
    added in order of appearance. Rows that do not come keep weight and state: the averages of Adam or momentum do not decay,
    and no weight decay acts. That is "lazy" Adam, not the step with a gradient of zero for these rows.

    Parameters
    ----------
    rows : array of int32 or int64, with one axis
        Indices into the weight's first axis, in any order.
    values : array of the weight's dtype, shape (len(rows), ``*w.shape[1:]``)
        The gradient of each of these rows. Like any gradient, it is only read.

    Raises
    ------
    TypeError, ValueError, IndexError
        From the step, before anything has changed: where an array is refused; where an index is negative or too large; with
        an optimizer of which a row cannot be left out, because its rule takes the norm of the whole tensor or keeps a ring
        of gradients; with `accumulate`, `ema`, `zero_grads` or :meth:`~fusedoptim.Optimizer.bind`, which concern every row; and with
        a `weight_decay` that is an L2 penalty. Decay that is part of the rule, as in AdamW, acts on the touched rows.

    Notes
    -----
    `clip_norm` and `nonfinite` go by the sums, row after row in ascending order.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> table = np.ones((4, 2))
    >>> opt = fo.SGD({"embedding": table}, lr=0.1)
    >>> tokens, grad = np.array([3, 1, 3]), np.ones((3, 2))
    >>> opt.step({"embedding": fo.RowGrad(tokens, grad)})
    >>> table
    array([[1. , 1. ],
           [0.9, 0.9],
           [1. , 1. ],
           [0.8, 0.8]])
    """

    rows: Array
    values: Array


_core.add_row_grad_type(RowGrad)
