"""torch.distributed: a process group of torch's own launcher. Tensors share the memory of the arrays."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from fusedoptim.distributed.transport import Message, Request, Transport, too_late


class Gloo(Transport):
    """Messages of torch, with its backend gloo."""

    rank: int
    size: int

    def __init__(self, group: Any) -> None:
        import torch
        import torch.distributed as dist

        self._tensor, self._dist, self._group = torch.from_numpy, dist, group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        self._ranks = [dist.get_global_rank(group, rank) for rank in range(self.size)]

    def post(self, sends: Sequence[Message], receives: Sequence[Message], about: int) -> Request:
        tag = 3 * self.epoch + about
        pending = [self._dist.irecv(self._tensor(a), self._ranks[r], self._group, tag) for r, a in receives]
        pending += [self._dist.isend(self._tensor(a), self._ranks[r], self._group, tag) for r, a in sends]
        return Request(pending, sends)

    def test(self, request: Request) -> bool:
        return not request.pending  # gloo tells only who waits

    def wait(self, request: Request) -> None:
        try:
            for work in request.pending:
                work.wait() if self.timeout is None else work.wait(timedelta(seconds=self.timeout))
        except RuntimeError as error:
            self.is_cut_off = True
            raise TimeoutError(f"{too_late(self)} ({str(error).splitlines()[0]})") from None
        request.pending.clear()
