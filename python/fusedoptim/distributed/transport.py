"""What carries bytes from rank to rank, and what is made of that alone: gathering, agreeing, the two exchanges of a step."""

import math
import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusedoptim.core.arena import SKEW, new_memory

Bytes = NDArray[np.uint8]
Message = tuple[int, Bytes]  # with a rank
Runs = Callable[[int], list[slice]]  # the bytes of a bucket that a rank owns
CONTROL, GRADS, WEIGHTS = range(3)  # what a message is about: they may be under way at the same time
POLLS = 1000  # before a rank that waits lets others have its CPU


@dataclass
class Arena:
    """Memory of this rank, and, where ranks can look into each other's, that of each."""

    own: Bytes
    peers: list[Bytes] | None = None


@dataclass
class Request:
    """Messages under way. Whoever has one keeps its memory alive."""

    pending: list[Any]
    sends: Sequence[Message] = ()


class Transport:
    """Messages between the ranks of a job; a class for each library that can carry them says how.

    Those from one rank to another that are about the same arrive in order. One without bytes is none.
    """

    rank: int = 0
    size: int = 1
    timeout: float | None = None
    epoch: int = 0  # messages of a former one are never taken for one of this
    is_cut_off: bool = False  # in this epoch: the ranks are no longer where each expects the others to be
    shares_weights: ClassVar[bool] = False  # whether all ranks look at the same ones

    # What a library has to offer.

    def post(self, sends: Sequence[Message], receives: Sequence[Message], about: int) -> Request:
        """Begins to send and receive; the memory of both must stay as it is until this is done."""
        return Request([])

    def test(self, request: Request) -> bool:
        """Whether that is done."""
        return True

    def cancel(self, request: Request) -> None:
        """Gives up: nothing is received any more into memory that was to be received into."""

    def arena(self, nbytes: int, slot: int, *, shared: bool) -> Arena:
        """Zeroed memory for weights or gradients, at a place in a page that others do not begin at."""
        return Arena(new_memory(nbytes + slot * SKEW)[slot * SKEW :])

    # What is made of it.

    def wait(self, request: Request) -> None:
        """Returns when it is done; or, of what is cut off, ends the epoch."""
        try:
            self._poll(request)
        except BaseException:
            self.is_cut_off = True
            self.cancel(request)
            raise

    def _poll(self, request: Request) -> None:
        deadline = math.inf if self.timeout is None else time.monotonic() + self.timeout
        polls = 0
        while not self.test(request):
            polls += 1
            if polls > POLLS:
                time.sleep(0)
            if time.monotonic() > deadline:
                raise TimeoutError(too_late(self))

    def begin_epoch(self) -> None:
        """After an exchange that was cut off: on all ranks."""
        self.epoch, self.is_cut_off = self.epoch + 1, False

    def exchange(self, sends: Sequence[Message], receives: Sequence[Message]) -> None:
        self.wait(self.post(sends, receives, CONTROL))

    def gather(self, mine: Bytes, sizes: Sequence[int]) -> list[Bytes]:
        """The bytes of each rank, of which all know how many they are: in log2(size) rounds."""
        size, rank = self.size, self.rank
        parts, step = {rank: mine}, 1
        while step < size:
            known = range(min(step, size - step))
            there = [(rank + step + k) % size for k in known]
            got = np.empty(sum(sizes[r] for r in there), np.uint8)
            send = np.concatenate([parts[(rank + k) % size] for k in known])
            self.exchange(nonempty((rank - step) % size, send), nonempty((rank + step) % size, got))
            ends = np.cumsum([sizes[r] for r in there])[:-1]
            parts |= dict(zip(there, np.split(got, ends), strict=True))
            step *= 2
        return [parts[r] for r in range(size)]

    def gather_numbers(self, numbers: NDArray[Any], counts: Sequence[int]) -> NDArray[Any]:
        """The rows of all ranks, one after the other; `counts` says how many each has."""
        row = numbers.itemsize * int(np.prod(numbers.shape[1:], dtype=int))
        parts = self.gather(np.ascontiguousarray(numbers).reshape(-1).view(np.uint8), [n * row for n in counts])
        return np.concatenate(parts).view(numbers.dtype).reshape(-1, *numbers.shape[1:])

    def gather_objects(self, mine: Any) -> list[Any]:
        """What each rank has, of any kind."""
        text = np.frombuffer(bytearray(pickle.dumps(mine)), np.uint8)
        sizes = self.gather_numbers(np.array([len(text)]), [1] * self.size)
        return [pickle.loads(part.tobytes()) for part in self.gather(text, sizes.tolist())]

    def barrier(self) -> None:
        """Returns when all ranks have come here."""
        self.gather(np.zeros(1, np.uint8), [1] * self.size)

    # The exchanges of a step.

    def begin_reduction(self) -> None:
        """Called once all gradients of this rank are where they are read from."""

    def scatter(self, arena: Arena, runs: Runs, room: Bytes) -> Request:
        """Sends each rank its slice of these gradients, and receives those of this rank's slice into a room."""
        others = [(self.rank + k) % self.size for k in range(1, self.size)]
        sends = [(r, arena.own[run]) for r in others for run in runs(r)]
        places = self._places(runs(self.rank), room)
        receives = [(r, part) for r in reversed(others) for part in places[r]]
        return self.post(sends, receives, GRADS)

    def parts(self, arena: Arena, runs: Runs, room: Bytes) -> list[list[Bytes]]:
        """The gradients of this rank's slice, after that: of each of its runs those of every rank."""
        own = runs(self.rank)
        places = self._places(own, room) | {self.rank: [arena.own[run] for run in own]}
        return [[places[r][k] for r in range(self.size)] for k in range(len(own))]

    def _places(self, own: list[slice], room: Bytes) -> dict[int, list[Bytes]]:
        """Where in a room the slices of the other ranks come to lie."""
        places: dict[int, list[Bytes]] = {}
        at = 0
        for r in range(self.size):
            if r == self.rank:
                continue
            places[r] = []
            for run in own:
                places[r].append(room[at : at + run.stop - run.start])
                at += run.stop - run.start
        return places

    def room_for(self, own: list[slice]) -> int:
        """Bytes of a room."""
        return (self.size - 1) * sum(int(run.stop - run.start) for run in own)

    def spread(self, arena: Arena, runs: Runs) -> Request:
        """Sends all ranks this one's slice of the weights, and receives theirs, each where it belongs."""
        others = [(self.rank + k) % self.size for k in range(1, self.size)]
        sends = [(r, arena.own[run]) for r in others for run in runs(self.rank)]
        receives = [(r, arena.own[run]) for r in reversed(others) for run in runs(r)]
        return self.post(sends, receives, WEIGHTS)

    def end_step(self) -> None:
        """Called when all messages of a step are through."""


class Alone(Transport):
    """One rank: a program that is not run by a launcher."""


def too_late(transport: Transport) -> str:
    return (
        f"rank {transport.rank} has waited {transport.timeout} s for the other ranks; see which has ended or stands still, "
        "and go on from the last checkpoint"
    )


def nonempty(rank: int, array: Bytes) -> list[Message]:
    return [(rank, array)] if array.size else []
