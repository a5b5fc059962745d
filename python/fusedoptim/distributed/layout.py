"""Which part of which tensor is whose.

The tensors lie in an arena, those of float32 first, each at the start of a cache line. It is cut into buckets, and each
bucket into a slice for each rank, which owns it: sums its gradients, keeps its state, updates its weights. Cuts are where
chunks begin, in which the sums of a norm are taken: so each of these has one owner, and is what it is without ranks.
"""

import bisect
import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core.arena import LINE

CHUNK = 4096  # elements, of a norm
WHOLE = {"lines", "columns", "axes"}  # states of which no slice of a tensor has its part


@dataclass(frozen=True)
class Whole:
    """A tensor of all ranks."""

    index: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def n(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.n * self.dtype.itemsize

    @property
    def room(self) -> int:
        """Bytes in an arena."""
        return -(-self.nbytes // LINE) * LINE

    @property
    def row(self) -> int:
        """Elements of a row; at least one."""
        return max(math.prod(self.shape[1:]), 1)


@dataclass(frozen=True)
class Piece:
    """What a rank owns of a tensor, as one stretch: these elements of it, which lie from this byte of the arena on."""

    whole: Whole
    begin: int
    end: int
    at: int

    @property
    def n(self) -> int:
        return self.end - self.begin

    @property
    def lines(self) -> slice:
        """Its bytes in the arena, to the end of the last cache line."""
        nbytes = self.n * self.whole.dtype.itemsize
        return slice(self.at, self.at + -(-nbytes // LINE) * LINE)


@dataclass
class Bucket:
    """Pieces of one dtype that are sent at once: in a list for each rank, what it owns."""

    dtype: np.dtype[Any]
    pieces: list[list[Piece]]

    def runs(self, rank: int, left_out: set[int]) -> list[slice]:
        """The bytes of a rank's pieces, without those of some tensors: one stretch, where nothing is left out."""
        runs: list[slice] = []
        for piece in self.pieces[rank]:
            lines = piece.lines
            if piece.whole.index in left_out or lines.start == lines.stop:
                continue
            if runs and runs[-1].stop == lines.start:
                lines = slice(runs.pop().start, lines.stop)
            runs.append(lines)
        return runs


@dataclass
class Layout:
    """The arena of some tensors: where each begins, the buckets, and how many bytes it has."""

    starts: dict[int, int] = field(default_factory=dict)  # of each tensor, by its index
    buckets: list[Bucket] = field(default_factory=list)
    nbytes: int = 0


def needs_whole(rule: str) -> bool:
    """Whether a rule has to see a tensor whole."""
    return rule == "muon" or any(kind in WHOLE for _, kind in _core.rule_states[rule])


def needs_rows(rule: str) -> bool:
    """Whether it has to see rows whole."""
    return any(kind == "row" for _, kind in _core.rule_states[rule])


def cut(wholes: list[Whole], rule: str, size: int, bucket_bytes: int) -> Layout:
    """The layout of tensors for so many ranks."""
    layout = Layout()
    for item in (4, 8):
        some = [whole for whole in wholes if whole.dtype.itemsize == item]
        if some and needs_whole(rule):
            _deal_out(layout, some, rule, size, bucket_bytes)
        elif some:
            _cut_evenly(layout, some, needs_rows(rule), size, bucket_bytes)
    return layout


def _cut_evenly(layout: Layout, wholes: list[Whole], at_rows: bool, size: int, bucket_bytes: int) -> None:
    begin, dtype = layout.nbytes, wholes[0].dtype
    for whole in wholes:
        layout.starts[whole.index] = layout.nbytes
        layout.nbytes += whole.room
    starts, end = [layout.starts[whole.index] for whole in wholes], layout.nbytes
    units = [(math.lcm(whole.row, CHUNK) if at_rows else CHUNK) * dtype.itemsize for whole in wholes]

    def rounded(byte: int) -> int:
        """Down to where a tensor may be cut."""
        k = bisect.bisect_right(starts, byte) - 1
        return starts[k] + (byte - starts[k]) // units[k] * units[k]

    n_buckets = max(1, round((end - begin) / bucket_bytes))
    n_slices = n_buckets * size
    edges = [rounded(begin + (end - begin) * k // n_slices) for k in range(n_slices)] + [end]
    slices = [_pieces(wholes, starts, low, high) for low, high in pairwise(edges)]
    buckets = [Bucket(dtype, slices[k : k + size]) for k in range(0, n_slices, size)]
    layout.buckets += [bucket for bucket in buckets if any(bucket.pieces)]


def _pieces(wholes: list[Whole], starts: list[int], low: int, high: int) -> list[Piece]:
    """What lies between two bytes of the arena."""
    pieces = []
    for k in range(max(0, bisect.bisect_right(starts, low) - 1), len(wholes)):
        if starts[k] >= high:
            break
        whole, item = wholes[k], wholes[k].dtype.itemsize
        begin, end = max(low, starts[k]), min(high, starts[k] + whole.nbytes)
        if begin < end:
            pieces.append(Piece(whole, (begin - starts[k]) // item, (end - starts[k]) // item, begin))
    return pieces


def _deal_out(layout: Layout, wholes: list[Whole], rule: str, size: int, bucket_bytes: int) -> None:
    """Whole tensors: in each bucket the dearest first, each to the rank that has the least so far."""
    load = [0.0] * size
    for some in _bunches(wholes, bucket_bytes):
        owned: list[list[Whole]] = [[] for _ in range(size)]
        for whole in sorted(some, key=lambda whole: -_cost(rule, whole)):
            rank = load.index(min(load))
            owned[rank].append(whole)
            load[rank] += _cost(rule, whole)
        bucket = Bucket(some[0].dtype, [[] for _ in range(size)])
        for rank in range(size):
            for whole in sorted(owned[rank], key=lambda whole: whole.index):
                layout.starts[whole.index] = layout.nbytes
                bucket.pieces[rank].append(Piece(whole, 0, whole.n, layout.nbytes))
                layout.nbytes += whole.room
        layout.buckets.append(bucket)


def _bunches(wholes: list[Whole], bucket_bytes: int) -> list[list[Whole]]:
    bunches: list[list[Whole]] = [[]]
    for whole in wholes:
        if bunches[-1] and sum(each.nbytes for each in bunches[-1]) >= bucket_bytes:
            bunches.append([])
        bunches[-1].append(whole)
    return bunches


def _cost(rule: str, whole: Whole) -> float:
    """What a step of it takes: Muon's products go by the shorter side once more."""
    return float(whole.n * min(whole.shape)) if rule == "muon" and whole.n > 0 else float(whole.nbytes)


def own_pieces(layout: Layout, wholes: list[Whole], rank: int) -> list[Piece]:
    """What a rank owns, in the order of the tensors, with an empty piece of those of which it has nothing."""
    own: dict[int, list[Piece]] = {whole.index: [] for whole in wholes}
    for bucket in layout.buckets:
        for piece in bucket.pieces[rank]:
            own[piece.whole.index].append(piece)
    return [piece for whole in wholes for piece in own[whole.index] or [Piece(whole, 0, 0, layout.starts[whole.index])]]
