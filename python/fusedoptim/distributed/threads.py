"""Ranks as threads of one process, for tests: no launcher, under any sanitizer."""

import queue
import threading
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from fusedoptim.distributed.transport import Bytes, Message, Request, Transport


class Board:
    """What the threads have in place of a network."""

    lock: threading.Lock  # of making a box

    def __init__(self, size: int) -> None:
        self.size = size
        self.boxes: defaultdict[tuple[int, int, int, int], queue.SimpleQueue[Bytes]] = defaultdict(queue.SimpleQueue)
        self.lock = threading.Lock()
        self.is_closed = False  # as a launcher ends a job of which a rank has failed

    def box(self, *key: int) -> "queue.SimpleQueue[Bytes]":
        with self.lock:
            return self.boxes[key]  # type: ignore[index]


class Threads(Transport):
    """A rank of a board."""

    board: Board
    rank: int
    size: int
    timeout: float | None

    def __init__(self, board: Board, rank: int, timeout: float | None = None) -> None:
        self.board, self.rank, self.size, self.timeout = board, rank, board.size, timeout

    def post(self, sends: Sequence[Message], receives: Sequence[Message], about: int) -> Request:
        for rank, array in sends:
            self.board.box(self.rank, rank, self.epoch, about).put(array.copy())
        return Request([(self.board.box(rank, self.rank, self.epoch, about), array) for rank, array in receives])

    def test(self, request: Request) -> bool:
        if self.board.is_closed:
            raise TimeoutError("another rank has failed")
        while request.pending:
            box, array = request.pending[0]
            try:
                np.copyto(array, box.get(timeout=1e-4))
            except queue.Empty:
                return False
            request.pending.pop(0)
        return True
