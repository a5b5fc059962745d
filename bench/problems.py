"""Small problems with known minima, on which every optimizer has to prove itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

import fusedoptim as fo

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

    value_and_gradient: Callable[[np.ndarray], tuple[float, np.ndarray]]
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
            _, g = self.value_and_gradient(w)
            optimizer.step(g)
            if not all(abs(x) <= 1e6 for x in w.tolist()):
                return float("inf")
        return self.value_and_gradient(w)[0]


def _parabola(w: np.ndarray) -> tuple[float, np.ndarray]:
    scale = np.array([1.0, 10.0])
    return float(scale @ w**2) / 2, scale * w


def _ravine(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Rosenbrock's: along the curve y = x² to (1, 1)."""
    x, y = w.tolist()  # whose arithmetic is ten times as fast as that of NumPy's scalars
    value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return value, np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def _saddle(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Flat at the origin, where y goes down to ±√2 and 1 + the value to 0."""
    x, y = w
    return 1 + x**2 - y**2 + y**4 / 4, np.array([2 * x, -2 * y + y**3])


PROBLEMS = {
    "parabola": Problem(_parabola, (3.0, -2.0), 2000),
    "ravine": Problem(_ravine, (-1.2, 1.0), 20_000),
    "saddle": Problem(_saddle, (1.0, 1e-3), 2000),
}
