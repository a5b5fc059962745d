"""The arenas of some parameters, and the views of them that a program and an optimizer have."""

from dataclasses import dataclass

from fusedoptim.core.storage import Array
from fusedoptim.distributed import layout
from fusedoptim.distributed.layout import Layout, Piece, Whole
from fusedoptim.distributed.reduction import Part
from fusedoptim.distributed.transport import Arena, Bytes, Transport


@dataclass
class Arenas:
    """Weights and gradients of tensors that came at once."""

    layout: Layout
    wholes: list[Whole]
    weights: Arena
    grads: Arena

    @classmethod
    def make(cls, wholes: list[Whole], rule: str, transport: Transport, bucket_bytes: int) -> "Arenas":
        made = layout.cut(wholes, rule, transport.size, bucket_bytes)
        weights = transport.arena(made.nbytes, 0, shared=True)
        return cls(made, wholes, weights, transport.arena(made.nbytes, 1, shared=False))

    def parts(self) -> list[Part]:
        return [Part(bucket, self.weights, self.grads) for bucket in self.layout.buckets]

    def pieces(self, rank: int) -> list[Piece]:
        return layout.own_pieces(self.layout, self.wholes, rank)

    def view(self, arena: Arena, whole: Whole) -> Array:
        start = self.layout.starts[whole.index]
        return arena.own[start : start + whole.nbytes].view(whole.dtype).reshape(whole.shape)


def view_of_piece(own: Bytes, piece: Piece, rule: str) -> Array:
    """A piece as a tensor of its own: with the axes that the rule has to see."""
    whole = piece.whole
    flat: Array = own[piece.at : piece.at + piece.n * whole.dtype.itemsize].view(whole.dtype)
    if layout.needs_whole(rule) and piece.n == whole.n:
        return flat.reshape(whole.shape)
    if (layout.needs_whole(rule) or layout.needs_rows(rule)) and whole.shape:
        return flat.reshape(-1, *whole.shape[1:]) if flat.size else flat.reshape(0, *whole.shape[1:])
    return flat
