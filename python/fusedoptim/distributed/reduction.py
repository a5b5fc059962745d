"""The mean of all ranks' gradients, a bucket at a time: each rank makes that of its own slice, where it is stepped.

The messages of a bucket are under way while the mean of the one before is taken, or while back-propagation goes on: from when
its gradients are there, the last bucket first. All ranks send the buckets in that order.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core
from fusedoptim.core.arena import new_memory
from fusedoptim.distributed.layout import Bucket
from fusedoptim.distributed.transport import Arena, Bytes, Request, Runs, Transport
from fusedoptim.numerics.formats import BFLOAT16

AT_ONCE = 2  # buckets that are under way while a step waits for them
AHEAD = 4  # the same during back-propagation: each has a room


@dataclass
class Part:
    """A bucket and the arenas that it lies in."""

    bucket: Bucket
    weights: Arena
    grads: Arena
    left_out: set[int] = field(default_factory=set)  # tensors, by their index
    _runs: dict[int, list[slice]] = field(default_factory=dict)

    def runs(self, rank: int) -> list[slice]:
        if rank not in self._runs:
            self._runs[rank] = self.bucket.runs(rank, self.left_out)
        return self._runs[rank]

    def all_runs(self, rank: int) -> list[slice]:
        """The same with nothing left out."""
        return self.bucket.runs(rank, set())

    def leave_out(self, tensors: set[int]) -> None:
        self.left_out = tensors
        self._runs.clear()

    @property
    def extent(self) -> slice:
        """All bytes of the bucket."""
        pieces = [piece for own in self.bucket.pieces for piece in own]
        return slice(pieces[0].lines.start, pieces[-1].lines.stop)

    def halves(self, rank: int) -> list[slice]:
        """The runs in what has the bucket alone, in half as many bytes."""
        begin = self.extent.start
        return [slice((run.start - begin) // 2, (run.stop - begin) // 2) for run in self.runs(rank)]

    @property
    def tensors(self) -> set[int]:
        return {piece.whole.index for pieces in self.bucket.pieces for piece in pieces} - self.left_out

    def view(self, array: Bytes) -> NDArray[np.floating]:
        return array.view(self.bucket.dtype)


@dataclass
class Sent:
    """A part under way: what is sent, whose stretches are a rank's, and as what numbers."""

    part: Part
    arena: Arena
    runs: Runs
    dtype: np.dtype[Any]
    room: Bytes
    request: Request


class Reduction:
    """Of the gradients in some parts. `count` of them are in the mean; `close(part)` is called when a part is complete.

    On a narrow wire, gradients in float32 are sent as bfloat16, and a rank's own are rounded as well: so the mean does not
    depend on who makes it.
    """

    has_begun: bool  # whether something may be under way

    def __init__(
        self,
        transport: Transport,
        parts: list[Part],
        count: int,
        num_threads: int,
        close: Callable[[Part], None],
        is_narrow: bool,
    ) -> None:
        self._transport, self._count, self._threads, self._close = transport, count, num_threads, close
        self._all = list(reversed(parts))
        self._rooms: list[Bytes] = []
        self._room = max((transport.room_for(part.runs(transport.rank)) for part in parts), default=0)
        self._is_narrow = is_narrow and transport.size > 1
        self._pack = max((length(part.extent) for part in parts), default=0) if self._is_narrow else 0
        self.restart()

    def restart(self) -> None:
        self.has_begun = False
        self._waited_for = [set(part.tensors) for part in self._all]
        self._to_send = deque(enumerate(self._all))
        self._under_way: deque[Sent] = deque()

    def ready(self, tensors: set[int]) -> None:
        """Their gradients are there."""
        self.has_begun = True
        for waited_for in self._waited_for:
            waited_for -= tensors
        while self._to_send and not self._waited_for[self._to_send[0][0]] and len(self._under_way) < AHEAD:
            part = self._to_send.popleft()[1]
            self._close(part)
            self._send(part)
        while self._under_way and self._transport.test(self._under_way[0].request):
            self._take_mean()

    def finish(self) -> None:
        """All gradients are there."""
        for _, part in self._to_send:
            self._close(part)
        self._transport.begin_reduction()
        while self._to_send or self._under_way:
            while self._to_send and len(self._under_way) < AT_ONCE:
                self._send(self._to_send.popleft()[1])
            self._transport.wait(self._under_way[0].request)
            self._take_mean()
        self.restart()

    def _send(self, part: Part) -> None:
        room = self._rooms.pop() if self._rooms else new_memory(self._pack + self._room)
        arena, runs, dtype = part.grads, part.runs, part.bucket.dtype
        if self._is_narrow and dtype == np.float32:
            arena, runs, dtype = Arena(packed(part, room)), part.halves, BFLOAT16
        request = self._transport.scatter(arena, runs, room[self._pack :])
        self._under_way.append(Sent(part, arena, runs, dtype, room, request))

    def _take_mean(self) -> None:
        sent = self._under_way.popleft()
        part, own = sent.part, sent.part.runs(self._transport.rank)
        if self._count > 1:
            gathered = self._transport.parts(sent.arena, sent.runs, sent.room[self._pack :])
            for run, of_ranks in zip(own, gathered, strict=True):
                arrays = [array.view(sent.dtype) for array in of_ranks]
                _core.write_mean(part.view(part.grads.own[run]), arrays, self._count, self._threads)
        self._rooms.append(sent.room)


def packed(part: Part, room: Bytes) -> Bytes:
    """The gradients of a bucket as bfloat16, to nearest."""
    grads = part.view(part.grads.own[part.extent])
    made = room[: 2 * grads.size]
    _core.store_numbers(made.view(BFLOAT16), True, grads)
    return made


def length(run: slice) -> int:
    return int(run.stop - run.start)
