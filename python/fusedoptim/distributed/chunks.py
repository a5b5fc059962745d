"""The sums over chunks: who has which, and their order in the whole tensors, in which they are added."""

from collections.abc import Iterable

import numpy as np

from fusedoptim.core.storage import Array
from fusedoptim.distributed.layout import CHUNK, Piece, Whole
from fusedoptim.distributed.transport import Transport


class ChunkOrder:
    """Of some tensors, and of the pieces of them that each rank has; those of float32 come first, as in a norm."""

    counts: list[int]
    places: Array

    def __init__(self, wholes: Iterable[Whole], of_ranks: Iterable[list[Piece]]) -> None:
        starts, n = {}, 0
        for whole in sorted(wholes, key=_place):
            starts[whole.index] = n
            n += -(-whole.n // CHUNK)
        places = [
            [
                starts[p.whole.index] + np.arange(p.begin // CHUNK, -(-p.end // CHUNK))
                for p in sorted(own, key=lambda piece: _place(piece.whole))
            ]
            for own in of_ranks
        ]
        of_each = [np.concatenate([np.zeros(0, int), *own]) for own in places]
        self.counts = [len(own) for own in of_each]
        self.places = np.concatenate(of_each)

    def exchange(self, transport: Transport, own: Array) -> Array:
        """The sums of all ranks, in order, from those of this one."""
        gathered = transport.gather_numbers(own, self.counts)
        ordered = np.empty_like(gathered)
        ordered[self.places] = gathered
        return ordered


def _place(whole: Whole) -> tuple[int, int]:
    return whole.dtype.itemsize, whole.index
