"""Which stretches of an optimizer's arrays, as whole ones, this rank has."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core.tensors import Array, Tensor

if TYPE_CHECKING:
    from fusedoptim.distributed.sharded import Sharded


@dataclass
class Segment:
    """Numbers that are next to each other in an array of a file, from a byte of it on."""

    name: str
    at: int
    array: Array  # flat
    is_own: bool = True  # or of another rank too, whose it is


@dataclass(frozen=True)
class Stored:
    """A whole array."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def stored(opt: "Sharded[Any]", nests: list[str]) -> list[Stored]:
    """All arrays of these nests, by the names in a file."""
    kinds, slots = dict(opt._inner._layout), opt._inner._slots
    found = []
    for nest in nests:
        for whole, path in zip(opt._holdings.wholes, opt._holdings.paths, strict=True):
            shape = _core.state_shape(kinds.get(nest, "weight"), whole.shape, slots)
            found.append(Stored(nest + path, whole.dtype, tuple(shape)))
    return found


def own_array(tensor: Tensor, nest: str) -> Array:
    """What is in a nest of a tensor; what its optimizer does not keep, though another might, is as its weight is."""
    return tensor.states.get(nest, tensor.weight)


def segments(
    opt: "Sharded[Any]", nests: list[str], array_of: Callable[[Tensor, str], Array] = own_array
) -> Iterator[Segment]:
    """What this rank has of them, or of arrays that are like them."""
    kinds = dict(opt._inner._layout)
    for tensor in opt._inner._tensors:
        piece = opt._holdings.pieces[tensor.key[-1]]
        whole, item = piece.whole, piece.whole.dtype.itemsize
        for nest in nests:
            array = array_of(tensor, nest)
            name, kind = nest + tensor.path, kinds.get(nest, "weight")
            if kind == "ring":
                for slot, numbers in enumerate(array):
                    yield Segment(name, (slot * whole.n + piece.begin) * item, numbers.reshape(-1))
            elif kind == "row":
                yield Segment(name, piece.begin // whole.row * item, array.reshape(-1))
            elif kind == "weight":
                yield Segment(name, piece.begin * item, array.reshape(-1))
            else:
                is_first = piece.begin == 0 and (piece.n > 0 or (whole.n == 0 and opt.rank == 0))
                yield Segment(name, 0, array.reshape(-1), is_first)
