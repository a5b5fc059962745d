"""Gradients of any kind as what a step takes."""

from typing import Any, cast

import numpy as np

from fusedoptim.core import checks, tree
from fusedoptim.core.nest import N
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.core.storage import Array


def like(grads: Any, params: N) -> N:
    """Gradients as what a step takes: arrays in C order of the weights' dtypes; copies only of those that are none.

    A step converts nothing by itself, since what is converted by every step costs time that nobody sees.

    Parameters
    ----------
    grads : nest as `params`
        Of arrays of any dtype, order or strides, of numbers, or of what becomes an array, as tensors of JAX or torch. Each
        has the shape of its weight. A :class:`RowGrad` stays one; None, as for a frozen parameter, stays None.
    params : nest of arrays
        The weights.

    Returns
    -------
    nest as `params`
        Arrays that fit already are the very ones that were given.

    Raises
    ------
    TypeError, ValueError
        where a gradient is no array of numbers, of another shape, or complex for weights that are real; it is named.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> params = {"w": np.zeros((2, 3), np.float32), "b": np.zeros((), np.float32)}
    >>> opt = fo.SGD(params, lr=1.0)
    >>> grads = {"w": np.ones((3, 2)).T, "b": 0.5}  # float64 in Fortran order, and a number
    >>> opt.step(fo.like(grads, params))
    >>> params["b"], params["w"].sum()
    (array(-0.5, dtype=float32), np.float32(-6.0))
    """
    if _fits(grads, params):  # one array, as some call it at every step
        return cast(N, grads)
    skeleton = tree.skeleton(params, "params")
    weights, given = tree.leaves(skeleton, params, "params"), tree.leaves(skeleton, grads, "grads")
    places = zip(tree.keys(skeleton), given, weights, strict=True)
    made: N = tree.build(skeleton, (_like(tree.path(key), grad, weight) for key, grad, weight in places))
    return made


def _like(path: str, grad: Any, weight: Array) -> Any:
    if grad is None or _fits(grad, weight):
        return grad
    if isinstance(grad, RowGrad):
        return RowGrad(grad.rows, _as_array(f"grads{path}.values", grad.values, weight.dtype))
    array = _as_array(f"grads{path}", grad, weight.dtype)
    if array.shape != weight.shape:
        checks.other_shape(f"grads{path}", array, f"params{path}", weight, "weight")
    return array


def _fits(grad: Any, weight: Any) -> bool:
    """Whether these are an array and its gradient, which is as it should be."""
    if type(grad) is not np.ndarray or type(weight) is not np.ndarray:
        return False
    return (grad.dtype, grad.shape) == (weight.dtype, weight.shape) and grad.flags.c_contiguous and grad.flags.aligned


def _as_array(name: str, value: Any, dtype: np.dtype[Any]) -> Array:
    checks.unmasked(name, value)
    try:
        array = np.asanyarray(value)
    except Exception as error:
        raise TypeError(f"{name} cannot be made an array: {error}") from error
    if not np.can_cast(array.dtype, dtype, "same_kind"):
        checks.not_alike(name, array, dtype)
    return np.require(array, dtype, ["C", "ALIGNED"])
