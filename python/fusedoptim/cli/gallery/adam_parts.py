"""Adam is momentum, RMSProp, a global decay and a correction: what each is for."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.surfaces import Array

STEPS, SEEDS, FIRST = 400, range(10), 20

Make = Callable[[Array], fo.Optimizer]


def losses(make: Make, *, condition: float, noise: float) -> Array:
    """Before each step down a bowl with noisy gradients; the mean of runs with different noise."""
    runs = [_run(make, np.geomspace(1, condition, 20), noise, np.random.default_rng(seed)) for seed in SEEDS]
    mean: Array = np.array(runs).mean(axis=0)
    return mean


def _run(make: Make, curvatures: Array, noise: float, rng: np.random.Generator) -> list[float]:
    w = np.where(np.arange(20) % 2, 2.0, -2.0)
    optimizer, found = make(w), []
    for error in rng.standard_normal((STEPS, 20)):
        found.append(float(curvatures @ w**2) / 2)
        optimizer.step(curvatures * w + noise * np.sqrt(curvatures) * error)
    return found


# What is left out where the bowl is narrow:
narrow = partial(losses, condition=10_000, noise=1)
ETA, N, BETAS = 0.5, 10, (0.9, 0.999)
DECAY = fo.schedules.inverse_sqrt(ETA, n=N)
ADAM: Make = lambda w: fo.Adam(w, DECAY, betas=BETAS)
WITHOUT: dict[str, Make] = {
    "momentum": lambda w: fo.Adam(w, DECAY, betas=(0, BETAS[1])),
    "RMSProp": lambda w: momentum(w, 0.002),  # the best of the rates 1, 2, 5, 10, …
    "decay": lambda w: fo.Adam(w, ETA, betas=BETAS),
    "correction": lambda w: fo.Adam(w, DECAY, betas=BETAS, bias_correction=False),
}


def momentum(w: Array, eta: float) -> fo.Optimizer:
    """Adam without RMSProp."""
    return fo.Momentum(w, fo.schedules.inverse_sqrt(eta, n=N), beta=BETAS[0])


# A decay against constant rates, where the noise is strong:
noisy = partial(losses, condition=100, noise=3)
RATES: dict[str, float | fo.schedules.Schedule] = {
    "0.3": 0.3,
    "0.03": 0.03,
    "0.3 / √(t/3)": fo.schedules.inverse_sqrt(0.3, n=3),
}


@dataclass
class Parts:
    """The losses of each, and the first steps."""

    adam: Array
    without: dict[str, Array]
    rates: dict[str, Array]
    first_steps: dict[bool, Array]  # over η, along a gradient that stays 1, with and without the correction


def compute() -> Parts:
    return Parts(
        adam=narrow(ADAM),
        without={name: narrow(make) for name, make in WITHOUT.items()},
        rates={name: noisy(partial(fo.Adam, lr=lr, betas=(0.9, 0.99))) for name, lr in RATES.items()},
        first_steps={correction: _first_steps(correction) for correction in (True, False)},
    )


def in_the_end(losses: Array) -> float:
    """The mean of the last hundred."""
    return float(losses[-100:].mean())


def _first_steps(correction: bool) -> Array:
    w = np.zeros(1)
    optimizer, path = fo.Adam(w, 1, betas=BETAS, bias_correction=correction), [0.0]
    for _ in range(FIRST):
        optimizer.step(np.ones(1))
        path.append(float(w[0]))
    return -np.diff(path)


def draw(parts: Parts) -> Figure:
    title = "Adam = momentum + RMSProp + global decay + correction"
    figure, (left, middle, right) = style.panels(3, title, width=9.5, height=3.8, width_ratios=[1.35, 1, 1])
    _left_out(left, parts)
    _corrected(middle, parts)
    _decayed(right, parts)
    return figure


def _left_out(axes: Axes, parts: Parts) -> None:
    looks = {"momentum": "RMSProp", "RMSProp": "Momentum", "decay": "WindowSGD", "correction": "accumulate"}
    curves = {"whole": parts.adam} | {f"without {name}": losses for name, losses in parts.without.items()}
    for i, (name, losses) in enumerate(curves.items()):
        look = style.LOOKS[looks.get(name.removeprefix("without "), "Adam")] | {
            "markevery": (8 * i, 40),
            "linewidth": 1.3,
        }
        axes.plot(losses, **look, label=f"{name}: {in_the_end(losses):.1f}", zorder=3 - i / 10)
    axes.set(title="Each part left out", xlabel="step", ylabel="loss", yscale="log", ylim=(1, 3e6))
    axes.legend(loc="upper right", title="loss in the end")


def _corrected(axes: Axes, parts: Parts) -> None:
    t = np.arange(1, FIRST + 1)
    axes.plot(t, parts.first_steps[False], **style.LOOKS["accumulate"], label="without correction")
    axes.plot(t, parts.first_steps[True], **style.LOOKS["Adam"], label="with correction")
    axes.set(title=f"The first {FIRST} steps", xlabel="step", ylabel="step / η", ylim=(0, 8))
    axes.set_xticks([1, 5, 10, 15, 20])
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.4))


def _decayed(axes: Axes, parts: Parts) -> None:
    for look, (name, losses) in zip(("SGD", "Momentum", "Adam"), parts.rates.items(), strict=True):
        axes.plot(losses, **style.LOOKS[look] | {"markevery": 40, "linewidth": 1.3, "label": f"η = {name}"})
    axes.set(title="Decay against constant rates", xlabel="step", ylabel="loss", yscale="log", ylim=(0.7, 2e3))
    axes.legend()
