"""The sum of the gradients of several minibatches on one rank, in the same balanced tree that goes on over the ranks.

A sum of 2, 4, 8 … is kept until the next of its size: as the digits of a binary number that is counted up.
"""

import numpy as np

from fusedoptim import _core
from fusedoptim.core.arena import SKEW, new_memory
from fusedoptim.distributed.reduction import Part
from fusedoptim.distributed.transport import Bytes


class LocalSums:
    """Of the gradients that come in `arenas`, which have the newest, and in the end the sum."""

    def __init__(self) -> None:
        self._kept: list[dict[int, Bytes]] = []  # of each size, by the address of the arena

    def keep(self, parts: list[Part], k: int) -> None:
        """Takes in minibatch k = 0, 1, …, not the last."""
        level = 0
        while k >> level & 1:
            for part in parts:
                self._add(part, level)
            level += 1
        while len(self._kept) <= level:
            self._kept.append({})
        for part in parts:
            np.copyto(self._sum(part, level), part.grads.own[part.extent])

    def close(self, part: Part, k: int) -> None:
        """Adds to a part of the last minibatch k what is kept of those before."""
        for level in range(k.bit_length()):
            if k >> level & 1:
                self._add(part, level)

    def _add(self, part: Part, level: int) -> None:
        _core.accumulate(part.view(part.grads.own[part.extent]), part.view(self._sum(part, level)))

    def _sum(self, part: Part, level: int) -> Bytes:
        own, slot = part.grads.own, 3 + level
        kept = self._kept[level]
        if id(own) not in kept:
            kept[id(own)] = new_memory(own.size + slot * SKEW)[slot * SKEW :]
        return kept[id(own)][part.extent]
