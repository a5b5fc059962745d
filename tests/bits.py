"""Comparing to the bit."""

from typing import Any

import numpy as np


def assert_same_bits(got: np.ndarray, wanted: np.ndarray, what: object = "") -> None:
    """Every element has the same bits, or is NaN in both."""
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape), what
    if got.tobytes() == wanted.tobytes():
        return
    unsigned = f"u{got.dtype.itemsize}"
    differ = (got.view(unsigned) != wanted.view(unsigned)) & ~(np.isnan(got) & np.isnan(wanted))
    assert not differ.any(), f"{what}: {differ.sum()} of {got.size} differ, {got[differ][:3]} for {wanted[differ][:3]}"


class Flushing(np.ndarray):
    """An array whose arithmetic counts subnormal numbers as zero, as the kernels do."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        assert method == "__call__", "the reference must compute element by element"
        assert not keywords
        result = ufunc(*(flushed(np.asarray(x, self.dtype)) for x in inputs))
        return result if result.dtype == bool else flushed(result).view(Flushing)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, flushed(np.asarray(value, self.dtype)).view(Flushing))


def flushed(x: np.ndarray) -> np.ndarray:
    """`x` with a zero of the same sign for each subnormal number."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)
