"""Who is timed for a rule: our kernel, NumPy twice, and this machine's limit. All run over the same arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fusedoptim import Optimizer, _core, kernels, reference
from fusedoptim.cli.bench import inplace
from fusedoptim.core.tensors import numbers_moved
from fusedoptim.reference import Array

OURS, LIMIT, IN_PLACE, TEXTBOOK = "fusedoptim", "limit", "NumPy in place", "NumPy textbook"
WINDOW = 4  # rows of a state that is a ring
COLUMNS = 16  # of a weight whose rule keeps a number for each row
WARM = 2  # steps before the one that is timed: a state of random numbers might be one that the rule never meets

# Initial values: blocks of this many numbers, repeated. A prime, so that no stride of a kernel falls in step with it;
# and the reference has to compute one block alone, whatever the size.
BLOCK = 65521


class MismatchError(Exception):
    """A competitor that computes something else."""


@dataclass
class Workload:
    """One tensor of n float32 parameters, and the state its rule keeps."""

    rule: str
    n: int

    def __post_init__(self) -> None:
        self.kinds = ["weight", "weight", *(kind for _, kind in _core.rule_states[self.rule])]
        self.reference = getattr(reference, self.rule)
        self.blocks = self._warmed(self._empty(min(self.n, BLOCK)))
        self.arrays = self._empty(self.n)
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
                self.reference(*arrays, **self._hyper(t))
        return arrays

    def _hyper(self, t: int = WARM + 1) -> dict[str, int]:
        return {"t": t} if "t" in _core.rule_hypers[self.rule] else {}

    def reset(self) -> None:
        """Sets all arrays to plain numbers, which no number of calls has yet driven anywhere."""
        for part, values in self._parts(self.blocks):
            part[...] = values

    def _parts(self, blocks: list[Array]) -> Iterator[tuple[Array, Array]]:
        """All arrays part by part, each with what is there if the blocks are repeated."""
        for kind, array, block in zip(self.kinds, self.arrays, blocks, strict=True):
            yield from parts(array, block) if kind == "ring" else parts(array.reshape(-1), block.reshape(-1))

    @property
    def bytes_moved(self) -> int:
        """Between a step and memory."""
        return 4 * self.n * numbers_moved(self.rule, WINDOW)

    def competitors(self) -> dict[str, Callable[[], None]]:
        """A step of each, by name."""
        hyper = self._hyper()
        steps: dict[str, Callable[[], None]] = {OURS: partial(getattr(kernels, self.rule), *self.arrays, **hyper)}
        if _core.rule_passes[self.rule]:
            steps[LIMIT] = partial(_call_all, list(self.limit()))
        if hasattr(inplace, self.rule):
            scratch = [np.empty(self.n, np.float32) for _ in range(2)]
            steps[IN_PLACE] = partial(getattr(inplace, self.rule), *self.arrays, *scratch, **hyper)
        steps[TEXTBOOK] = partial(self.reference, *self.arrays, **hyper)
        return steps

    def limit(self) -> Iterator[Callable[[], None]]:
        """Loops that load and store what the passes of the rule do, with the least arithmetic."""
        if "ring" in self.kinds:
            w, g, ring = self.arrays
            yield partial(_core.traffic_ring, w, g, *ring[WARM + 1 :], *ring[: WARM + 1])  # the newest comes last
            return
        names = ["w", "g", *(name for name, _ in _core.rule_states[self.rule])]
        array = dict(zip(names, self.arrays, strict=True))
        for reads, writes in _core.rule_passes[self.rule]:
            read_only = [name for name in reads if name not in writes]
            if writes:
                loop = getattr(_core, f"traffic{len(writes) - 1}")
                yield partial(loop, array[writes[0]], array[read_only.pop()], *(array[name] for name in writes[1:]))
            for name in read_only:
                yield partial(_core.traffic_read, array["g" if name == "w" else "w"], array[name])

    def check(self, competitors: dict[str, Callable[[], None]]) -> None:
        """Raises MismatchError unless one step of each changes the arrays as the reference does."""
        measured = self.rule in _core.measured_rules  # whose steps depend on all of the tensor
        self.reset()
        expected = [array.copy() for array in (self.arrays if measured else self.blocks)]
        self.reference(*expected, **self._hyper())
        for name, step in competitors.items():
            if name == LIMIT:
                continue
            self.reset()
            step()
            same = _equal_bits if name == OURS else partial(np.allclose, rtol=1e-5, atol=1e-6)
            if not all(same(part, wanted) for part, wanted in self._parts(expected)):
                raise MismatchError(f"{name} computes another {self.rule} than the reference at n = {self.n}")


def parts(array: Array, block: Array) -> Iterator[tuple[Array, Array]]:
    """An array part by part along its last axis, each with what is there if the block is repeated."""
    size = block.shape[-1]
    for start in range(0, array.shape[-1], size):
        part = array[..., start : start + size]
        yield part, block[..., : part.shape[-1]]


def _call_all(steps: list[Callable[[], None]]) -> None:
    for step in steps:
        step()


def _equal_bits(a: Array, b: Array) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))
