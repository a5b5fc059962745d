"""Momentum dampens the oscillation across a ravine."""

from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.contours import contours
from fusedoptim.cli.gallery.surfaces import CURVATURES, Array, descend, ravine

START, STEPS = (-6.0, 1.0), 60
LEARNING_RATES = np.geomspace(0.01, 4, 121)
BETAS = np.linspace(0, 0.98, 99)

SETTINGS = {"SGD": (2 / sum(CURVATURES), 0.0), "Momentum": (0.15, 0.6)}  # lr and β; SGD has its best
PROBES = [(lr, beta) for beta in (0.0, 0.3, 0.6, 0.8, 0.9, 0.95) for lr in (0.02, 0.06, 0.2, 0.6, 2.0)]
"""Where a run measures how fast it falls."""


@dataclass
class Ravine:
    paths: dict[str, Array]
    radius: Array  # spectral radius, for each of BETAS and LEARNING_RATES
    measured: dict[tuple[float, float], float] = field(default_factory=dict)  # the same, of a run, at each probe


def spectral_radius(lr: float, beta: float) -> float:
    """By how much a step of Momentum multiplies what is left, in the end.

    Along a direction of curvature λ, a step takes (w, m) to A (w, m); the largest modulus of an eigenvalue counts.
    """
    matrices = [
        [[1 - lr * (1 - beta) * curvature, -lr * beta], [(1 - beta) * curvature, beta]] for curvature in CURVATURES
    ]
    return float(abs(np.linalg.eigvals(np.array(matrices))).max())


def largest_rate(beta: float | Array) -> float | Array:
    """The learning rate from which on it diverges."""
    return 2 * (1 + beta) / (1 - beta) / max(CURVATURES)


def best() -> tuple[float, float]:
    """The lr and β of the smallest spectral radius (Polyak 1964)."""
    low, high = np.sqrt(CURVATURES)
    beta = ((high - low) / (high + low)) ** 2
    return 4 / (high + low) ** 2 / (1 - beta), beta


def compute() -> Ravine:
    return Ravine(
        paths={name: _path(*setting, STEPS) for name, setting in SETTINGS.items()},
        radius=np.array([[spectral_radius(lr, beta) for lr in LEARNING_RATES] for beta in BETAS]),
        measured={probe: _measure(*probe) for probe in PROBES},
    )


def _path(lr: float, beta: float, steps: int) -> Array:
    return descend(ravine, lambda w: fo.Momentum(w, lr, beta=beta), START, steps)


def _measure(lr: float, beta: float) -> float:
    """The factor a step, over the second half of a run that is long, but ends before the numbers do."""
    steps = int(min(4000, 100 / abs(np.log(spectral_radius(lr, beta)))))
    distance = np.hypot(*_path(lr, beta, steps).T)
    half = np.arange(len(distance) // 2, len(distance))
    return float(np.exp(np.polyfit(half, np.log(distance[half]), 1)[0]))


def draw(found: Ravine) -> Figure:
    title = "Momentum dampens the oscillation across a ravine, so that it can go faster along it"
    figure, (left, middle, right) = style.panels(3, title, width=9.5, height=3.4, width_ratios=[1.2, 1.1, 0.9])
    _paths(left, found)
    _eigenvalues(middle, found)
    _distances(right, found)
    return figure


def _paths(axes: Axes, found: Ravine) -> None:
    contours(axes, ravine, (-6.6, 1.5), (-1.6, 1.3), np.arange(1, 6) ** 2 * 1.5)
    for name, path in found.paths.items():
        lr, beta = SETTINGS[name]
        label = f"{name}, lr = {lr:.2g}" + (f", β = {beta:g}" if beta else "")
        axes.plot(*path.T, **style.LOOKS[name] | {"markersize": 3, "linewidth": 1.3, "label": label})
    axes.plot(0, 0, "*", color=style.BLACK, markersize=10)
    axes.set_title("A ravine, 25 times as steep across")
    axes.legend(loc="lower left")


def _eigenvalues(axes: Axes, found: Ravine) -> None:
    levels = [0.66, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0]
    filled = axes.contourf(LEARNING_RATES, BETAS, found.radius, levels=levels, cmap="viridis")
    axes.figure.colorbar(filled, ax=axes, label="ρ, what a step leaves")
    axes.plot(largest_rate(BETAS), BETAS, color=style.BLACK, linewidth=1.2)
    for (lr, beta), measured in found.measured.items():
        if measured > 1:
            axes.plot(lr, beta, "x", color=style.GREY, markersize=5)
        else:
            color = filled.to_rgba(np.array(measured))
            axes.plot(lr, beta, "o", color=color, markeredgecolor="white", markeredgewidth=0.6, markersize=6)
    for name, (lr, beta) in SETTINGS.items():
        axes.plot(lr, beta, **style.LOOKS[name] | {"markersize": 8, "markeredgecolor": "white"}, clip_on=False)
    axes.plot(*best(), "*", color="white", markeredgecolor="#404040", markersize=11, zorder=5)
    legend = "○ measured\n× diverges\n☆ fastest"
    axes.text(0.98, 0.04, legend, transform=axes.transAxes, ha="right", color="#404040", linespacing=1.5)
    axes.set(xscale="log", xlim=(0.01, 4), ylim=(0, 0.98), xlabel="lr", ylabel="β")
    axes.set_title("Where it converges, and how fast")


def _distances(axes: Axes, found: Ravine) -> None:
    for name, path in found.paths.items():
        distance, radius = np.hypot(*path.T), spectral_radius(*SETTINGS[name])
        axes.plot(distance, **style.LOOKS[name] | {"markevery": 10, "label": f"{name}, ρ = {radius:.2f}"})
        axes.plot(distance[0] * radius ** np.arange(len(path)), color=style.GREY, linewidth=0.8)
    axes.set(yscale="log", ylim=(1e-6, 1e3), xlabel="step", title="What is left, and ρᵗ")
    axes.legend(loc="upper right")
