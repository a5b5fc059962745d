"""The sums over chunks: who has which, and their order in the whole tensors, in which they are added."""

from collections.abc import Iterable

import numpy as np

from fusedoptim.core.storage import Array
from fusedoptim.distributed.layout import CHUNK, Piece
from fusedoptim.distributed.transport import Transport


class ChunkOrder:
    """Of the pieces of each rank that are not frozen; those of float32 come first, as in a norm."""

    def __init__(self, of_ranks: Iterable[Iterable[Piece]]) -> None:
        sorted_pieces = [
            sorted(own, key=lambda piece: (piece.whole.dtype.itemsize, piece.whole.index)) for own in of_ranks
        ]
        wholes = {piece.whole.index: piece.whole for piece in sorted_pieces[0]}  # each rank has one of each
        starts, n = {}, 0
        for whole in wholes.values():
            starts[whole.index] = n
            n += -(-whole.n // CHUNK)
        places = [
            [starts[p.whole.index] + np.arange(p.begin // CHUNK, -(-p.end // CHUNK)) for p in own]
            for own in sorted_pieces
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
