"""Who is timed for a rule: our kernel, NumPy twice, and this machine's limit. All run over the same arrays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from fusedoptim import _core, kernels, reference
from fusedoptim.cli.bench import inplace
from fusedoptim.reference import Array
from fusedoptim.shapes import state_shape

OURS, LIMIT, IN_PLACE, TEXTBOOK = "fusedoptim", "limit", "NumPy in place", "NumPy textbook"
WINDOW = 4  # rows of a state that has rows

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
        kinds = ["weight", "weight", *(kind for _, kind in _core.rule_states[self.rule])]
        self.arrays: list[Array] = [np.empty(state_shape(kind, (self.n,), WINDOW), np.float32) for kind in kinds]
        rng = np.random.default_rng(0)
        blocks = [rng.standard_normal((*a.shape[:-1], min(self.n, BLOCK)), np.float32) for a in self.arrays]
        if "v" in (names := [name for name, _ in _core.rule_states[self.rule]]):
            blocks[2 + names.index("v")] **= 2  # an average of squares
        self.blocks = blocks
        self.reset()

    def reset(self) -> None:
        """Sets all arrays to plain numbers, which no number of calls has yet driven anywhere."""
        for array, block in zip(self.arrays, self.blocks, strict=True):
            for part in parts(array):
                part[...] = block[..., : part.shape[-1]]

    @property
    def bytes_moved(self) -> int:
        """Between a step and memory: the gradient and a ring's older rows are read, all else is read and written."""
        _, _, *states = self.arrays
        return 4 * self.n * (3 + sum(2 if state.ndim == 1 else WINDOW for state in states))

    def competitors(self) -> dict[str, Callable[[], None]]:
        """A step of each, by name."""
        steps: dict[str, Callable[[], None]] = {OURS: partial(getattr(kernels, self.rule), *self.arrays)}
        if all(array.ndim == 1 for array in self.arrays):
            steps[LIMIT] = partial(getattr(_core, f"traffic{len(self.arrays) - 2}"), *self.arrays)
        if hasattr(inplace, self.rule):
            scratch = [np.empty(self.n, np.float32) for _ in range(2)]
            steps[IN_PLACE] = partial(getattr(inplace, self.rule), *self.arrays, *scratch)
        steps[TEXTBOOK] = partial(getattr(reference, self.rule), *self.arrays)
        return steps

    def check(self, competitors: dict[str, Callable[[], None]]) -> None:
        """Raises MismatchError unless one step of each changes the arrays as the reference does."""
        expected = [block.copy() for block in self.blocks]
        getattr(reference, self.rule)(*expected)
        for name, step in competitors.items():
            if name == LIMIT:
                continue
            self.reset()
            step()
            same = _equal_bits if name == OURS else partial(np.allclose, rtol=1e-5, atol=1e-6)
            for array, block in zip(self.arrays, expected, strict=True):
                if not all(same(part, block[..., : part.shape[-1]]) for part in parts(array)):
                    raise MismatchError(f"{name} computes another {self.rule} than the reference at n = {self.n}")


def parts(array: Array) -> Iterator[Array]:
    """An array block by block."""
    return (array[..., start : start + BLOCK] for start in range(0, array.shape[-1], BLOCK))


def _equal_bits(a: Array, b: Array) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))
