"""Checkpoints that stay readable: one for each class and rule, and what they lead to.

`python -m tests.golden` writes those that are missing, and never one that is there: that would be a file of another
version than the one that people have.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

import fusedoptim as fo

from ..cases import Case
from ..runs import RULES, arrays_by_name, make, name_of, step

FOLDER = Path(__file__).parent
EXPECTED = FOLDER / "expected.json"
OPTIONS: dict[str, Any] = {"accumulate": 2, "ema": 0.5}
CALLS = 5  # before the file is written: two updates, and a gradient
MORE = 5  # after it was read

# Sent through a file as those of any rule.
SCHEDULES = {
    name: Case(fo.Momentum, {"lr": lr})
    for name, lr in {
        "constant": fo.schedules.constant(0.5),
        "inverse_sqrt": fo.schedules.inverse_sqrt(0.5, n=10),
        "exponential": fo.schedules.exponential(0.5, 0.75),
        "step": fo.schedules.step(0.5, n=2, gamma=0.5),
        "linear": fo.schedules.linear(0.5, n=7, end=0.125),
        "cosine": fo.schedules.cosine(0.5, n=7),
        "polynomial": fo.schedules.polynomial(0.5, n=7, power=3.0),
        "restarts": fo.schedules.restarts(0.5, n=3.0, growth=1.5),
        "one_cycle": fo.schedules.one_cycle(0.5, n=9),
        "warmup": fo.schedules.warmup(fo.schedules.cosine(0.5, n=7), n=5),
        "warmup_cosine": fo.schedules.warmup_cosine(0.5, n=7, warmup=2, end=0.125),
        "warmup_linear": fo.schedules.warmup_linear(0.5, n=7, warmup=2, start=0.125),
        "warmup_inverse_sqrt": fo.schedules.warmup_inverse_sqrt(0.5, warmup=2),
        "join": fo.schedules.join([0.25, fo.schedules.linear(0.5, n=10)], [3]),
        "Plateau": fo.schedules.Plateau(0.5, patience=3, best=2.5, waited=2),
    }.items()
}
# The first group stands still in the second update, so that the parameters have taken unlike steps. With metadata.
COUNTS = {f"counts-{cls.__name__}": Case(cls) for cls in (fo.Adam, fo.NAdam, fo.ScheduleFreeAdamW)}
CASES = {name_of(row): row for row in RULES} | {f"schedule-{name}": row for name, row in SCHEDULES.items()} | COUNTS


def begin(row: Case) -> fo.Optimizer:
    """Without random numbers, which NumPy may draw in another way one day; the noise is that of the table."""
    params = [{"params": {"w": numbers((2, 3), 0)}}, {"params": [numbers((1, 4), 1, np.float64)]}]
    return row.make(params, **OPTIONS) if row.stand_in else make(row, params, **OPTIONS)


def numbers(shape: tuple[int, ...], seed: int, dtype: Any = np.float32) -> np.ndarray:
    return np.resize(np.sin(np.arange(1, 100) * (seed + 1)).round(3), shape).astype(dtype)


def run(optimizer: fo.Optimizer, first: int, calls: int) -> None:
    for call in range(first, first + calls):
        step(optimizer, call, fo.core.tree.map_leaves(lambda w, k=call: numbers(w.shape, k, w.dtype), optimizer.params))


def outcome(optimizer: fo.Optimizer) -> dict[str, list[float]]:
    """All arrays, by name. Every float32 is a float64, and JSON has all its digits."""
    return {name: array.ravel().tolist() for name, array in arrays_by_name(optimizer).items()}


def write() -> None:
    expected = json.loads(EXPECTED.read_text()) if EXPECTED.exists() else {}
    for name, row in CASES.items():
        path = FOLDER / f"{name}.safetensors"
        if path.exists():
            continue
        optimizer = begin(row)
        run(optimizer, 0, 2)
        still = ((0,),) * (name in COUNTS)
        optimizer.freeze(*still)
        run(optimizer, 2, 2)
        optimizer.thaw(*still)
        run(optimizer, 4, CALLS - 4)
        optimizer.save(path, metadata={"epoch": 1} if name in COUNTS else {})
        run(optimizer, CALLS, MORE)
        expected[name] = outcome(optimizer)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(expected[name])}" for name in sorted(expected))
    EXPECTED.write_text(f"{{\n{lines}\n}}\n")
