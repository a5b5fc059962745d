"""Small problems with known minima, on which every optimizer has to prove itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim.cli.gallery.surfaces import Surface, rosenbrock, saddle

# An optimizer whose steps follow the size of the gradient wants large rates, one whose steps are of its own size small
# ones; the likeliest come first.
RATES = (1e-2, 1e-1, 1e-3, 1.0, 1e-4, 10.0, 3e-3)


# The keywords of optimizers that are not tried with their defaults.
TRIALS: dict[type[fo.Optimizer], dict[str, Any]] = {
    # Its authors' final_lr, 0.1, is too long in the ravine, whatever the rate that it begins with.
    fo.AdaBound: {"final_lr": 0.01},
}


@dataclass(frozen=True)
class Problem:
    """A function of two weights, whose minimum is 0."""

    surface: Surface
    start: tuple[float, float]
    steps: int

    def losses(self, kind: type[fo.Optimizer], **keywords: Any) -> Iterator[tuple[float, float]]:
        """Each rate, and the loss at the end of a run with it."""
        keywords = TRIALS.get(kind, {}) | keywords
        if "weight_decay" in signature(kind).parameters:
            keywords["weight_decay"] = 0.0  # which would move the minimum
        return ((lr, self.loss(kind, lr, keywords)) for lr in RATES)

    def loss(self, kind: type[fo.Optimizer], lr: float, keywords: dict[str, Any]) -> float:
        """At the end of a run, in which the rate falls to zero along half a cosine wave."""
        w = np.array(self.start)
        optimizer = kind(w, **(keywords | {"lr": fo.schedules.cosine(lr, self.steps)}))
        for _ in range(self.steps):
            _, g = self.surface(
                *w.tolist()
            )  # numbers, whose arithmetic is ten times as fast as that of NumPy's scalars
            optimizer.step(np.array(g))
            if not all(abs(x) <= 1e6 for x in w.tolist()):
                return float("inf")
        return self.surface(*w.tolist())[0]


def parabola(x: float, y: float) -> tuple[float, tuple[float, float]]:
    return (x**2 + 10 * y**2) / 2, (x, 10 * y)


PROBLEMS = {
    "parabola": Problem(parabola, (3.0, -2.0), 2000),
    "ravine": Problem(rosenbrock, (-1.2, 1.0), 20_000),
    "saddle": Problem(saddle, (1.0, 1e-3), 2000),
}
