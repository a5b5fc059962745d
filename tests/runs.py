"""What the tests of checkpoints and copies train: every optimizer, also those that are stepped in a way of their own."""

from typing import Any

import numpy as np

import fusedoptim as fo

from .cases import CASES, MATRIX_CASES, OWN_STEP, Case
from .nests import gradients, normal

ROWS = [*CASES, *MATRIX_CASES, *OWN_STEP]

# One for each class and rule; the table has each rule's defaults, or what is nearest to them, first.
RULES = list({(row.optimizer, row.rule): row for row in reversed(ROWS)}.values())[::-1]


def name_of(row: Case) -> str:
    return f"{row.optimizer.__name__}-{row.rule}"


def nest(row: Case, seed: int = 0, dtype: Any = np.float32) -> dict[str, Any]:
    """Of matrices alone where it must be; otherwise with a number and an array of no elements, too."""
    matrices = row.optimizer in (fo.Muon, fo.SparseAdam)
    shapes: list[tuple[int, ...]] = [(2, 5), (1, 3)] if matrices else [(), (0, 3)]
    layers = [normal(seed + k, *shape, dtype=dtype) for k, shape in enumerate(shapes, start=1)]
    return {"w": normal(seed, 4, 3, dtype=dtype), "layers": layers}


def make(row: Case, params: Any, **options: Any) -> fo.Optimizer:
    """The class itself, where the table has something in its place."""
    if row.optimizer is fo.SparseAdam:
        options = {name: value for name, value in options.items() if name not in ("accumulate", "ema")}
    keywords: Any = row.keywords | options
    return row.optimizer(params, **keywords)


def step(optimizer: fo.Optimizer, call: int, grads: Any = None, **keywords: Any) -> None:
    """A call of `step`, different for each number; `grads` are those of the call unless given."""
    grads = gradients(optimizer.params, call) if grads is None else grads
    if isinstance(optimizer, fo.PolyakSGD):
        optimizer.step(grads, value=1.0 + call, **keywords)
    elif isinstance(optimizer, fo.SparseAdam):
        optimizer.step(fo.core.tree.map_leaves(as_rows, grads), **keywords)
    else:
        optimizer.step(grads, **keywords)


def as_rows(grad: np.ndarray) -> fo.RowGrad:
    return fo.RowGrad(np.arange(len(grad) - 1, -1, -1), grad)


def arrays_by_name(optimizer: fo.Optimizer) -> dict[str, np.ndarray]:
    """Weights and states, by their names in a file."""
    return fo.saved.checkpoint._arrays(optimizer, ["params", *optimizer.state])
