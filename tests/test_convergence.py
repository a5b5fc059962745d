"""Every optimizer finds a minimum: of a parabola, along Rosenbrock's ravine, and past a saddle point.

With the best of a few learning rates, each falling to zero along half a cosine wave; without weight decay, which moves
the minimum.
"""

from collections.abc import Callable

import numpy as np
import pytest

import fusedoptim as fo

from .cases import Case

RATES = [1e-3, 1e-2, 1e-1, 1.0]


def parabola(w: np.ndarray) -> tuple[float, np.ndarray]:
    scale = np.array([1.0, 10.0])
    return float(scale @ w**2) / 2, scale * w


def ravine(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Rosenbrock's: along the curve y = x² to (1, 1)."""
    x, y = w
    value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return value, np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


def saddle(w: np.ndarray) -> tuple[float, np.ndarray]:
    """Flat at the origin, where y goes down to ±√2 and 1 + the value to 0."""
    x, y = w
    return 1 + x**2 - y**2 + y**4 / 4, np.array([2 * x, -2 * y + y**3])


def run(case: Case, problem: Callable, start: tuple[float, float], steps: int, lr: float) -> float:
    w = np.array(start)
    no_decay = {"weight_decay": 0.0} if "weight_decay" in fo._core.rule_hypers[case.rule] else {}
    optimizer = case.make(w, lr=fo.schedules.cosine(lr, steps), **no_decay)
    for _ in range(steps):
        _, g = problem(w)
        if not np.isfinite(g).all() or abs(w).max() > 1e6:
            return float("inf")
        optimizer.step(g)
    return problem(w)[0]


@pytest.mark.parametrize(
    ("problem", "start", "steps", "goal"),
    [(parabola, (3.0, -2.0), 2000, 1e-4), (ravine, (-1.2, 1.0), 20_000, 1e-2), (saddle, (1.0, 1e-3), 2000, 1e-3)],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_converges(case: Case, problem: Callable, start: tuple[float, float], steps: int, goal: float) -> None:
    first = problem(np.array(start))[0]
    assert first > 0.5
    losses = {lr: run(case, problem, start, steps, lr) for lr in RATES}
    assert min(losses.values()) < goal, losses
