"""MPI, by mpi4py: messages, and memory that the ranks of one machine share."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fusedoptim.core.arena import LINE
from fusedoptim.distributed.transport import Arena, Bytes, Message, Request, Runs, Transport

LONGEST = 1 << 30  # bytes of a message: a count of MPI is an int
TAGS = 32767  # that every MPI has


class Messages(Transport):
    """Two-sided messages of MPI, over a copy of the communicator: none of the program's can be taken for one of these."""

    rank: int
    size: int

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._request = MPI.Request
        self._comm = comm.Dup()
        self._cut_off: list[Request] = []
        self.rank, self.size = comm.rank, comm.size

    def post(self, sends: Sequence[Message], receives: Sequence[Message], about: int) -> Request:
        tag = (3 * self.epoch + about) % TAGS
        pending = [self._comm.Irecv(part, rank, tag) for rank, array in receives for part in parts_of(array)]
        pending += [self._comm.Isend(part, rank, tag) for rank, array in sends for part in parts_of(array)]
        return Request(pending, sends)

    def test(self, request: Request) -> bool:
        return bool(self._request.Testall(request.pending))

    def cancel(self, request: Request) -> None:
        sent = sum(len(parts_of(array)) for _, array in request.sends)
        for each in request.pending[: len(request.pending) - sent]:
            each.Cancel()
            each.Wait()
        self._cut_off.append(request)  # what is sent may still be read


def parts_of(array: Bytes) -> list[Bytes]:
    return [array[k : k + LONGEST] for k in range(0, array.size, LONGEST)]


class SharedMemory(Messages):
    """Ranks of one machine, which have one copy of the weights, and read their slices of the gradients where these lie.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All of its ranks must be on the same machine: ``MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED)``.

    Raises
    ------
    ValueError
        where its ranks are on several machines.
    """

    shares_weights: ClassVar[bool] = True

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        node = comm.Split_type(MPI.COMM_TYPE_SHARED)
        if node.size != comm.size:
            raise ValueError(
                f"comm must have ranks of one machine, got {comm.size} of which {node.size} are on that of "
                f"rank {comm.rank}; pass MPI.COMM_WORLD.Split_type(MPI.COMM_TYPE_SHARED), or the communicator itself"
            )
        node.Free()
        super().__init__(comm)
        self._allocate = MPI.Win.Allocate_shared
        self._windows: list[Any] = []

    def arena(self, nbytes: int, slot: int, *, shared: bool) -> Arena:
        own = 0 if shared and self.rank > 0 else nbytes + LINE
        window = self._allocate(own, 1, comm=self._comm)
        window.Lock_all()
        self._windows.append(window)  # its memory lives as long
        if shared:
            return Arena(self._memory(window, 0, nbytes))
        peers = [self._memory(window, r, nbytes) for r in range(self.size)]
        return Arena(peers[self.rank], peers)

    def _memory(self, window: Any, rank: int, nbytes: int) -> Bytes:
        raw = np.frombuffer(window.Shared_query(rank)[0], np.uint8)
        begin = -raw.ctypes.data % LINE
        memory = raw[begin : begin + nbytes]
        if rank == self.rank:
            memory[:] = 0
        return memory

    def barrier(self) -> None:
        """With what this rank has written before seen by the others after."""
        self._sync()
        super().barrier()
        self._sync()

    def _sync(self) -> None:
        for window in self._windows:
            window.Sync()

    def begin_reduction(self) -> None:
        self.barrier()  # all have written what the others read

    def scatter(self, arena: Arena, runs: Runs, room: Bytes) -> Request:
        return Request([])

    def parts(self, arena: Arena, runs: Runs, room: Bytes) -> list[list[Bytes]]:
        assert arena.peers is not None
        return [[peer[run] for peer in arena.peers] for run in runs(self.rank)]

    def room_for(self, own: list[slice]) -> int:
        return 0

    def spread(self, arena: Arena, runs: Runs) -> Request:
        return Request([])

    def end_step(self) -> None:
        self.barrier()  # all have read what will be written next, and written what will be read
