"""Gradients of any kind as what a step takes."""

from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..elsewhere import package
from ..nests import arrays, bits, gradients, mixed, nests, normal


@pytest.mark.parametrize("params", nests().values(), ids=nests())
def test_what_fits_is_given_back(params: Any) -> None:
    grads = gradients(params, 1)
    made = fo.like(grads, params)
    assert all(one is other for one, other in zip(arrays(made), arrays(grads), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda g: g.astype(np.float64),
        lambda g: g.astype(np.float16),
        lambda g: g.astype(g.dtype.newbyteorder()),
        lambda g: np.asarray(g, order="F"),
        lambda g: np.repeat(g, 2, axis=-1)[..., ::2] if g.ndim else g,
        lambda g: np.frombuffer(b"." + g.tobytes(), np.uint8)[1:].view(g.dtype).reshape(g.shape),  # misaligned
        lambda g: g.tolist(),
        lambda g: g.view(type("Own", (np.ndarray,), {})),
    ],
    ids=["float64", "float16", "byte order", "Fortran", "strided", "misaligned", "list", "subclass"],
)
def test_what_does_not_fit_is_converted(change: Any) -> None:
    """A step takes it, and its numbers are those that were given."""
    params = {"w": normal(0, 3, 4), "v": normal(1, 5), "b": normal(2), "none": normal(3, 0)}
    grads = {key: change(np.ascontiguousarray(g).reshape(g.shape)) for key, g in gradients(params, 1).items()}
    made = fo.like(grads, params)
    for w, g, own in zip(arrays(params), grads.values(), arrays(made), strict=True):
        assert_same_bits(np.asarray(own), np.array(g, w.dtype, order="C"))
    fo.SGD(params).step(made)


def test_whole_numbers_and_bools() -> None:
    made = fo.like([np.arange(3), True, np.float64(0.5), 2], [normal(0, 3), *(normal(0) for _ in range(3))])
    assert bits(made) == bits([np.array(x, np.float32) for x in ([0, 1, 2], 1, 0.5, 2)])


def test_rows_and_frozen_parameters() -> None:
    params = {"table": normal(0, 4, 2), "w": normal(1, 3)}
    rows = fo.RowGrad(np.array([1, 3]), np.ones((2, 2)))
    made = fo.like({"table": rows, "w": None}, params)
    assert made["w"] is None
    assert made["table"].rows is rows.rows
    assert made["table"].values.dtype == np.float32
    optimizer = fo.SGD(params)
    optimizer.freeze("w")
    optimizer.step(made)


def test_tensors_of_others() -> None:
    torch = package("torch")
    (made,) = fo.like([torch.ones(3, dtype=torch.float64)], [normal(0, 3)])
    assert_same_bits(made, np.ones(3, np.float32))
    with pytest.raises(TypeError, match=r"^grads\[0\] cannot be made an array: .*requires grad"):
        fo.like([torch.ones(3, requires_grad=True)], [normal(0, 3)])


def test_arrays_of_jax_are_not_copied() -> None:
    g = package("jax.numpy").ones(1000)
    made = fo.like(g, normal(0, 1000))
    assert made.ctypes.data == np.asarray(g).ctypes.data


@pytest.mark.parametrize(
    ("grad", "error", "words"),
    [
        (
            np.ones((4, 3)),
            ValueError,
            r'^grads\["w"\] must have the shape \(3, 4\) to go with params\["w"\], got \(4, 3\)$',
        ),
        (1.0, ValueError, r'^grads\["w"\] must have the shape \(3, 4\)'),
        (np.ones((3, 4), complex), TypeError, r"got complex128; pass its real part"),
        (np.full((3, 4), "1"), TypeError, r"must be what float32 can stand for, got <U1; pass numbers$"),
        ([[1, 2], [3]], TypeError, r'^grads\["w"\] cannot be made an array'),
        (object(), TypeError, r"got object; pass numbers$"),
        (np.ma.ones((3, 4)), TypeError, r"masked array"),
    ],
    ids=["transposed", "number", "complex", "text", "ragged", "object", "masked"],
)
def test_what_is_no_gradient(grad: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        fo.like({"w": grad}, {"w": normal(0, 3, 4)})


def test_another_nest() -> None:
    with pytest.raises(ValueError, match="grads must have the keys of params"):
        fo.like({}, mixed())
