"""Writes docs/convergence.csv: how far every optimizer comes on small problems, at its best learning rate."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import fusedoptim as fo
from fusedoptim.cli.demo import mlp
from fusedoptim.cli.demo.training import SIZES, digits, gradients, loss
from problems import PROBLEMS, RATES, TRIALS

TABLE = Path(__file__).parents[1] / "docs" / "convergence.csv"
EPOCHS = 10


def digits_loss(kind: type[fo.Optimizer], lr: float) -> float:
    """The training loss of the demo's network at the end of a run with this rate."""
    data, rng = digits(seed=0), np.random.default_rng(0)
    params = mlp.init(SIZES, rng)
    optimizer = kind(params, lr=lr, **TRIALS.get(kind, {}))
    with np.errstate(over="ignore", invalid="ignore"):  # at too large a rate
        for _ in range(EPOCHS):
            for grads in gradients(params, data, rng):
                optimizer.step(grads)
        return loss(params, data)


def best(losses: Iterable[tuple[float, float]]) -> str:
    try:
        lr, least = min(losses, key=lambda each: (math.isnan(each[1]), each[1]))
    except (TypeError, ValueError):  # an optimizer for other weights or gradients: of matrices, say
        return "–"
    return f"{least:.1e} ({lr:g})"


def line(kind: type[fo.Optimizer]) -> list[str]:
    keywords = ", ".join(f"{name}={value:g}" for name, value in TRIALS.get(kind, {}).items())
    small = [best(PROBLEMS[name].losses(kind)) for name in ("parabola", "ravine")]
    digits = best((lr, digits_loss(kind, lr)) for lr in RATES)
    return [f"{kind.__name__}({keywords})" if keywords else kind.__name__, *small, digits]


if __name__ == "__main__":
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["optimizer", "parabola", "Rosenbrock", "digits"])
        kinds = sorted(set(fo.Optimizer.registry.values()), key=lambda kind: kind.__name__.lower())
        writer.writerows(map(line, kinds))
