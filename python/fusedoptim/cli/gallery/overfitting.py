"""Adam is more aggressive than SGD, and can overfit sooner."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits  # of scikit-learn's

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.demo import mlp
from fusedoptim.cli.demo.training import SIZES, Digits, digits, gradients, loss
from fusedoptim.cli.gallery.surfaces import Array

IMAGES, WRONG = 300, 45  # to learn from, and how many of them are labelled at random
EPOCHS, SEEDS = 120, range(4)

# At the rates, of 0.02, 0.05, 0.1 and of 1e-3, 2e-3, 5e-3, with which each comes to its lowest test loss.
OPTIMIZERS: dict[str, Callable[[Any], fo.Optimizer]] = {
    "SGD": lambda params: fo.SGD(params, lr=0.05),
    "Adam": lambda params: fo.Adam(params, lr=2e-3),
}


@dataclass
class Curves:
    """The loss after each epoch, a row for each seed."""

    train: dict[str, Array]
    test: dict[str, Array]

    def best(self, name: str) -> int:
        """The epoch at which to stop: that of the lowest test loss, in the mean over the seeds."""
        return int(self.test[name].mean(axis=0).argmin())


def compute() -> Curves:
    with threadpool_limits(1, user_api="blas"):  # its threads would wait for each other more than they compute
        runs = {name: np.array([run(make, seed) for seed in SEEDS]) for name, make in OPTIMIZERS.items()}
    return Curves(
        train={name: run[:, :, 0] for name, run in runs.items()},
        test={name: run[:, :, 1] for name, run in runs.items()},
    )


def run(make: Callable[[Any], fo.Optimizer], seed: int) -> Array:
    """Training and test loss at the start and after each epoch."""
    rng = np.random.default_rng(seed)
    data = _few(digits(seed), rng)
    test = replace(data, x=data.x_test, y=data.y_test)
    params = mlp.init(SIZES, rng)
    optimizer, found = make(params), [(loss(params, data), loss(params, test))]
    for _ in range(EPOCHS):
        for grads in gradients(params, data, rng):
            optimizer.step(grads)
        found.append((loss(params, data), loss(params, test)))
    return np.array(found)


def _few(data: Digits, rng: np.random.Generator) -> Digits:
    x, y = data.x[:IMAGES], data.y[:IMAGES].copy()
    y[:WRONG] = rng.integers(10, size=WRONG)
    return replace(data, x=x, y=y)


def draw(curves: Curves) -> Figure:
    title = "Adam is more aggressive than SGD, and can overfit sooner"
    figure, (left, right) = style.panels(2, title, height=3.6)
    for name in OPTIMIZERS:
        look = style.LOOKS[name] | {"markevery": 15}
        train, test = curves.train[name].mean(axis=0), curves.test[name].mean(axis=0)
        left.plot(train, **look, label=name)
        right.plot(test, **look)
        best = curves.best(name)
        right.plot(best, test[best], "*", color=look["color"], markeredgecolor=style.BLACK, markersize=14, zorder=4)
        right.text(best, test[best] - 0.03, f"stop at {best}", ha="center")
    left.set(
        title=f"Training loss, {IMAGES} images, {WRONG} labelled at random", xlabel="epochs", ylabel="cross-entropy"
    )
    left.set_yscale("log")
    right.set(title=f"Test loss, the mean of {len(SEEDS)} runs", xlabel="epochs", ylim=(0.38, 0.75))
    left.legend()
    return figure
