"""The path of each optimizer over Rosenbrock's ravine and over a saddle."""

from contextlib import nullcontext
from inspect import signature
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.contours import contours
from fusedoptim.cli.gallery.surfaces import Array, Surface, rosenbrock, saddle

# On the two: of 1, 2, 5, 10, … those with which the loss falls well and the path stays in the picture. All else has its
# default, but that nothing decays: it would move the minimum.
RATES: dict[str, tuple[float, float]] = {
    "ADOPT": (2, 0.1),
    "ASGD": (0.002, 0.1),
    "AMSGrad": (0.2, 0.1),
    "AdEMAMix": (0.2, 0.1),
    "AdaBelief": (0.2, 0.1),
    "AdaBound": (0.2, 0.1),
    "Adadelta": (10, 10),
    "Adafactor": (0.2, 0.1),
    "Adagrad": (0.2, 0.2),
    "Adam": (0.2, 0.1),
    "AdamW": (0.2, 0.1),
    "Adamax": (0.2, 0.1),
    "AdamaxW": (0.2, 0.1),
    "Adan": (0.2, 0.2),
    "Fromage": (0.2, 0.1),
    "Grams": (0.05, 0.1),
    "LAMB": (0.05, 0.1),
    "LARS": (10, 50),
    "Lion": (0.02, 0.1),
    "Momentum": (0.01, 0.5),
    "Muon": (0.05, 0.2),
    "NAdam": (0.05, 0.1),
    "NAdamW": (0.1, 0.1),
    "Nesterov": (0.005, 0.2),
    "NoisySGD": (0.002, 0.1),
    "NovoGrad": (0.005, 0.02),
    "OptimisticGradientDescent": (0.0005, 0.1),
    "PolyakSGD": (0.1, 0.2),
    "RAdam": (0.0002, 0.1),
    "RMSProp": (0.02, 0.02),
    "RowWiseAdagrad": (0.2, 0.2),
    "RowWiseAdam": (0.2, 0.1),
    "Rprop": (0.05, 0.05),
    "SGD": (0.002, 0.1),
    "SM3": (2, 0.2),
    "ScheduleFreeAdamW": (0.2, 0.1),
    "ScheduleFreeSGD": (0.002, 0.2),
    "SignSGD": (0.01, 0.1),
    "Signum": (0.02, 0.1),
    "SparseAdam": (0.2, 0.1),
    "WindowSGD": (0.0002, 0.05),
    "Yogi": (0.2, 0.1),
}

# What one has to know of a path, where two weights are not what the optimizer is for.
NOTES = {
    **dict.fromkeys(("LAMB", "LARS", "Fromage"), "The length of a step follows that of both weights together."),
    **dict.fromkeys(("RowWiseAdagrad", "RowWiseAdam"), "The two weights are a row, which has one rate."),
    **dict.fromkeys(("ScheduleFreeAdamW", "ScheduleFreeSGD"), "The path is that of the average, which one evaluates."),
    "Muon": "The two weights are a matrix of one row: of its momentum the direction alone counts.",
    "NoisySGD": "With the noise that it adds to the gradient.",
    "NovoGrad": "Both weights have one rate.",
    "PolyakSGD": "It is told the loss, and that the least is 0.",
    "RAdam": "The first steps are not scaled: where it is steep they bear only a small rate.",
    "SparseAdam": "The two weights are a row that comes in each step.",
}

ROSENBROCK_START, ROSENBROCK_STEPS = (-1.2, 1.0), 300
SADDLE_START, SADDLE_STEPS = (1.0, 0.01), 80
DOT_EVERY = 10


def compute(name: str) -> tuple[Array, Array]:
    """The two paths of this optimizer."""
    on_ravine, on_saddle = RATES[name]
    return (
        _path(name, on_ravine, rosenbrock, ROSENBROCK_START, ROSENBROCK_STEPS),
        _path(name, on_saddle, saddle, SADDLE_START, SADDLE_STEPS),
    )


def _path(name: str, lr: float, surface: Surface, start: tuple[float, float], steps: int) -> Array:
    kind = getattr(fo, name)
    w = np.array([start])  # a row of a matrix, which is what Muon and the optimizers of rows are for
    optimizer = kind(w, lr, **({"weight_decay": 0.0} if "weight_decay" in signature(kind).parameters else {}))
    path = [w[0].copy()]
    for _ in range(steps):
        value, gradient = surface(*w[0].tolist())
        _step(optimizer, value, np.array([gradient]))
        with getattr(optimizer, "averaged", nullcontext)():  # where a schedule-free one is evaluated
            path.append(w[0].copy())
    return np.array(path)


def _step(optimizer: Any, value: float, gradient: Array) -> None:
    if isinstance(optimizer, fo.PolyakSGD):
        optimizer.step(gradient, value=value)
    elif isinstance(optimizer, fo.SparseAdam):
        optimizer.step(fo.RowGrad(np.array([0]), gradient))
    else:
        optimizer.step(gradient)


def draw(name: str, paths: tuple[Array, Array]) -> Figure:
    figure, (left, right) = style.panels(2, width=8, height=3.4)
    contours(left, rosenbrock, (-1.75, 1.75), (-0.6, 1.9), np.geomspace(6, 1000, 5))
    contours(right, saddle, (-1.25, 1.25), (-1.1, 2.1), np.arange(0.1, 3, 0.4))
    _draw(left, paths[0], [(1, 1)])
    _draw(right, paths[1], [(0, 2**0.5)])
    left.set_title(f"Rosenbrock's ravine, {ROSENBROCK_STEPS} steps at lr = {RATES[name][0]:g}")
    right.set_title(f"A saddle, {SADDLE_STEPS} steps at lr = {RATES[name][1]:g}")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, title=NOTES.get(name))
    return figure


def _draw(axes: Axes, path: Array, minima: list[tuple[float, float]]) -> None:
    label = f"path, a dot every {DOT_EVERY} steps"
    axes.plot(*path.T, color=style.BLUE, marker=".", markevery=DOT_EVERY, linewidth=1.2, label=label)
    axes.plot(*path[0], "o", color=style.BLUE, markerfacecolor="white", markersize=7, label="start")
    axes.plot(*zip(*minima, strict=True), "*", color=style.VERMILION, markersize=11, label="minimum")
