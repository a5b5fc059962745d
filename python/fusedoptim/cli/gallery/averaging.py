"""Averaging makes the estimate of the gradient more stable."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.surfaces import Array

SAMPLES, BATCH, MINIBATCHES, WARMUP, SHOWN = 2000, 16, 60_000, 200, 250
M, BETA = 8, 0.9

# Each steps by its estimate of the gradient: its learning rate is 1.
ESTIMATORS: dict[str, Callable[[Array], fo.Optimizer]] = {
    "SGD": lambda w: fo.SGD(w, lr=1),
    "accumulate": lambda w: fo.SGD(w, lr=1, accumulate=M),
    "WindowSGD": lambda w: fo.WindowSGD(w, lr=1, window=M),
    "Momentum": lambda w: fo.Momentum(w, lr=1, beta=BETA),
}
PREDICTED = {"SGD": 1.0, "accumulate": 1 / M, "WindowSGD": 1 / M, "Momentum": (1 - BETA) / (1 + BETA)}
TITLES = {
    "SGD": "One minibatch",
    "accumulate": f"The mean of {M}",
    "WindowSGD": f"A moving window of {M}",
    "Momentum": f"A running average, β = {BETA}",
}


@dataclass
class Spread:
    full: Array  # the gradient over all samples
    covariance: Array  # of the gradient of a minibatch
    estimates: dict[str, Array]  # of the gradient, one a row

    def variance(self, name: str) -> float:
        """Of the estimates, over that of one minibatch."""
        return float(np.mean((self.estimates[name] - self.full) ** 2) / np.mean(np.diag(self.covariance)))


def compute() -> Spread:
    """The weights of a linear regression stay where they are, while minibatches come and go."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, 2)) @ [[1.0, 0.5], [0.0, 0.8]]
    error = x @ [1.0, -0.5] + rng.standard_normal(SAMPLES)
    gradients = x * error[:, None]  # of half the squared error of each sample
    minibatches = gradients[rng.integers(SAMPLES, size=(MINIBATCHES, BATCH))].mean(axis=1)
    return Spread(
        full=gradients.mean(axis=0),
        covariance=np.cov(gradients.T) / BATCH,
        estimates={name: _estimates(make, minibatches) for name, make in ESTIMATORS.items()},
    )


def _estimates(make: Callable[[Array], fo.Optimizer], minibatches: Array) -> Array:
    w = np.zeros(2)
    optimizer, estimates = make(w), []
    for gradient in minibatches:
        w.fill(0)
        updates = optimizer.t
        optimizer.step(gradient)
        if optimizer.t > updates:  # not amid those that are accumulated
            estimates.append(-w)
    return np.array(estimates[WARMUP:])


def draw(spread: Spread) -> Figure:
    title = "Averaging makes the estimate of the gradient more stable"
    figure, grid = style.panels(4, title, width=9, height=3.7, sharex=True, sharey=True)
    for axes, name in zip(grid, ESTIMATORS, strict=True):
        _cloud(axes, spread, name)
        predicted = Fraction(PREDICTED[name]).limit_denominator(100)
        axes.set_title(f"{TITLES[name]}\nvariance {spread.variance(name):.3f}\npredicted {predicted}")
    grid[0].set(xlim=(-0.25, 1.85), ylim=(-1.05, 1.05), ylabel="∂L/∂w₂")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _cloud(axes: Axes, spread: Spread, name: str) -> None:
    estimates = spread.estimates[name]
    shown = estimates[:: len(estimates) // SHOWN]
    color = style.LOOKS[name]["color"]
    axes.plot(*shown.T, ".", color=color, markersize=4, markeredgewidth=0, label="estimates of the gradient")
    axes.add_patch(_ellipse(spread, PREDICTED[name]))
    axes.plot(*spread.full, "+", color=style.BLACK, markersize=9, markeredgewidth=1.4, label="full gradient")
    axes.set(xlabel="∂L/∂w₁", aspect="equal")


def _ellipse(spread: Spread, ratio: float) -> Ellipse:
    """Two standard deviations about the full gradient, as predicted."""
    variances, directions = np.linalg.eigh(spread.covariance * ratio)
    width, height = 4 * np.sqrt(variances)
    angle = np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
    x, y = spread.full
    return Ellipse(
        (x, y), width, height, angle=angle, fill=False, linewidth=1.2, label="two standard deviations, predicted"
    )
