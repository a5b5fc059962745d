"""Which stretches of an optimizer's arrays, as whole ones, this rank has."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim.core.storage import Array, Kept, bits
from fusedoptim.core.tensors import Tensor
from fusedoptim.distributed.layout import Piece
from fusedoptim.numerics.formats import BLOCK

if TYPE_CHECKING:
    from fusedoptim.distributed.collective import Collective


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


def stored(opt: "Collective[Any]", nests: list[str]) -> list[Stored]:
    """All arrays of these nests, by the names in a file."""
    layout, slots = _layout(opt), opt._inner._slots
    found = []
    for nest in nests:
        for whole, path in zip(opt._holdings.wholes, opt._holdings.paths, strict=True):
            shape, dtype = layout.get(nest, Kept(nest, "weight")).array(whole.shape, whole.dtype, slots)
            found.append(Stored(nest + path, dtype, tuple(shape)))
    return found


def own_array(tensor: Tensor, nest: str) -> Array:
    """What is in a nest of a tensor; what its optimizer does not keep, though another might, is as its weight is."""
    return tensor.states.get(nest, tensor.weight)


def segments(
    opt: "Collective[Any]", nests: list[str], array_of: Callable[[Tensor, str], Array] = own_array
) -> Iterator[Segment]:
    """What this rank has of them, or of arrays that are like them."""
    layout = _layout(opt)
    for tensor in opt._inner._tensors:
        piece = opt._holdings.pieces[tensor.key[-1]]
        for nest in nests:
            kept, array = layout.get(nest, Kept(nest, "weight")), bits(array_of(tensor, nest))
            yield from _segments_of(kept, nest + tensor.path, piece, array, opt.rank)


def _layout(opt: "Collective[Any]") -> dict[str, Kept]:
    return {kept.name: kept for kept in opt._inner._layout}


def _segments_of(kept: Kept, name: str, piece: Piece, array: Array, rank: int) -> Iterator[Segment]:
    whole, flat, item = piece.whole, array.reshape(-1), array.itemsize
    if kept.held == "scales":
        yield Segment(name, piece.begin // BLOCK * item, flat)
    elif kept.kind == "ring":
        for slot, numbers in enumerate(array):
            yield Segment(name, (slot * whole.n + piece.begin) * item, numbers.reshape(-1))
    elif kept.kind == "row":
        yield Segment(name, piece.begin // whole.row * item, flat)
    elif kept.kind == "weight":
        yield Segment(name, piece.begin * item, flat)
    else:
        is_first = piece.begin == 0 and (piece.n > 0 or (whole.n == 0 and rank == 0))
        yield Segment(name, 0, flat, is_first)
