"""Who is timed for a rule: our kernel, NumPy twice, and this machine's limit. All run over the same arrays, but the
limit over its own, which begin at cache lines: where NumPy places arrays is no limit."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fusedoptim import Optimizer, _core, kernels, reference
from fusedoptim.cli.bench import inplace
from fusedoptim.cli.bench.blocks import BLOCK, fill, holds
from fusedoptim.core.arena import allocate
from fusedoptim.core.tensors import numbers_moved
from fusedoptim.reference import Array

OURS, LIMIT, IN_PLACE, TEXTBOOK = "fusedoptim", "limit", "NumPy in place", "NumPy textbook"
WINDOW = 4  # slots of a state that is a ring
COLUMNS = 16  # of a weight whose rule keeps a number for each row
WARM = 2  # steps before the one that is timed: a state of random numbers might be one that the rule never meets

Step = Callable[[], None]


class MismatchError(Exception):
    """A competitor that computes something else."""


class Workload:
    """One step of a rule on one tensor of n float32 parameters, and on the state that the rule keeps."""

    rule: str
    n: int
    kinds: list[str]  # of the arrays: weight, gradient, states
    hyper: dict[str, int]
    reference: Callable[..., None]
    blocks: list[Array]
    arrays: list[Array]

    def __init__(self, rule: str, n: int) -> None:
        self.rule, self.n = rule, n
        self.kinds = ["weight", "weight", *(kind for _, kind in _core.rule_states[rule])]
        self.hyper = {"t": WARM + 1} if "t" in _core.rule_hypers[rule] else {}
        self.reference = getattr(reference, rule)
        self.blocks = self._warmed(self._empty(min(n, BLOCK)))
        self.arrays = self._empty(n)
        self.reset()

    def _empty(self, n: int) -> list[Array]:
        weight = (n // COLUMNS, COLUMNS) if "row" in self.kinds else (n,)
        return [np.empty(_core.state_shape(kind, weight, WINDOW), np.float32) for kind in self.kinds]

    def _warmed(self, arrays: list[Array]) -> list[Array]:
        """Fills the arrays with what they are before step WARM + 1."""
        w, g, *states = arrays
        rng = np.random.default_rng(0)
        rng.standard_normal(out=w, dtype=np.float32)
        optimizer: Any = Optimizer.registry[self.rule]
        arguments = optimizer(w).groups[0]._arguments
        for state, (name, _) in zip(states, _core.rule_states[self.rule], strict=True):
            initial = optimizer.initial(name, w, arguments)
            state[...] = 0 if initial is None else initial
        for t in range(1, WARM + 2):
            rng.standard_normal(out=g, dtype=np.float32)
            if t <= WARM:
                self.reference(*arrays, **dict.fromkeys(self.hyper, t))
        return arrays

    def reset(self) -> None:
        """Sets all arrays to plain numbers, which no number of calls has yet driven anywhere."""
        for block, array in self._pairs(self.blocks):
            fill(block, array)

    def _pairs(self, blocks: list[Array]) -> Iterator[tuple[Array, Array]]:
        """Each block and the array that repeats it; of a ring, those of each slot."""
        for kind, block, array in zip(self.kinds, blocks, self.arrays, strict=True):
            yield from zip(block, array, strict=True) if kind == "ring" else [(block, array)]

    @property
    def bytes_moved(self) -> int:
        """Between a step and memory."""
        return 4 * self.n * numbers_moved(self.rule, WINDOW)

    def competitors(self) -> dict[str, Step]:
        """A step of each, by name."""
        steps: dict[str, Step] = {OURS: partial(getattr(kernels, self.rule), *self.arrays, **self.hyper)}
        if _core.rule_passes[self.rule]:
            steps[LIMIT] = partial(_call_all, list(self.limit()))
        if hasattr(inplace, self.rule):
            scratch = [np.empty(self.n, np.float32) for _ in range(2)]
            steps[IN_PLACE] = partial(getattr(inplace, self.rule), *self.arrays, *scratch, **self.hyper)
        steps[TEXTBOOK] = partial(self.reference, *self.arrays, **self.hyper)
        return steps

    def limit(self) -> Iterator[Step]:
        """Loops that load and store what the passes of the rule do, with the least arithmetic; for float32 alone."""
        arrays = [allocate([(a.shape, a.dtype)], slot)[0] for slot, a in enumerate(self.arrays)]
        for own, array in zip(arrays, self.arrays, strict=True):
            np.copyto(own, array)
        if "ring" in self.kinds:
            w, g, ring = arrays
            yield partial(_core.traffic_ring, w, g, *ring[WARM + 1 :], *ring[: WARM + 1])  # the newest comes last
            return
        names = ["w", "g", *(name for name, _ in _core.rule_states[self.rule])]
        named = dict(zip(names, arrays, strict=True))
        for reads, writes in _core.rule_passes[self.rule]:
            read_only = [name for name in reads if name not in writes]
            if writes:
                loop = getattr(_core, f"traffic{len(writes) - 1}")
                yield partial(loop, named[writes[0]], named[read_only.pop()], *(named[name] for name in writes[1:]))
            for name in read_only:
                yield partial(_core.traffic_read, named["g" if name == "w" else "w"], named[name])

    def check(self, competitors: dict[str, Step]) -> None:
        """Raises MismatchError unless one step of each changes the arrays as the reference does."""
        measured = self.rule in _core.measured_rules  # whose steps depend on all of the tensor
        self.reset()
        expected = [array.copy() for array in (self.arrays if measured else self.blocks)]
        self.reference(*expected, **self.hyper)
        for name, step in competitors.items():
            if name == LIMIT:
                continue
            self.reset()
            step()
            same = _equal_bits if name == OURS else partial(np.allclose, rtol=1e-5, atol=1e-6)
            if not all(holds(block, array, same=same) for block, array in self._pairs(expected)):
                raise MismatchError(f"{name} computes another {self.rule} than the reference at n = {self.n}")


def _call_all(steps: list[Step]) -> None:
    for step in steps:
        step()


def _equal_bits(a: Array, b: Array) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))
