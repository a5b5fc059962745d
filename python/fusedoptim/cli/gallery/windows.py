"""A moving window weighs the last gradients uniformly, a running average all of them, exponentially."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.surfaces import Array

# Of the same variance, 1/M = (1 - β)/(1 + β), and gradients of the same mean age, (M - 1)/2 = β/(1 - β).
M, BETA = 19, 0.9
STEPS, BEFORE = 40, 10  # shown after a change of the gradient, and before it

AVERAGES: dict[str, Callable[[Array], fo.Optimizer]] = {
    "WindowSGD": lambda w: fo.WindowSGD(w, lr=1, window=M),
    "Momentum": lambda w: fo.Momentum(w, lr=1, beta=BETA),
}
LABELS = {"WindowSGD": f"moving window, M = {M}", "Momentum": f"running average, β = {BETA}"}


@dataclass
class Responses:
    weights: dict[str, Array]  # of gradients 0, 1, 2, … steps old
    after_jump: dict[str, Array]  # the average, of gradients that were 0 and are 1 from step 0 on


def compute() -> Responses:
    before = np.zeros(M)  # with which the window is full
    impulse = np.append(before, np.eye(1, STEPS))  # what a step does with a single gradient is its weight at that age
    jump = np.append(before, np.ones(STEPS))
    return Responses(
        weights={name: _steps(make, impulse)[M:] for name, make in AVERAGES.items()},
        after_jump={name: _steps(make, jump)[M - BEFORE :] for name, make in AVERAGES.items()},
    )


def _steps(make: Callable[[Array], fo.Optimizer], gradients: Array) -> Array:
    """What the optimizer subtracts at each step, whose learning rate is 1."""
    w = np.zeros(1)
    optimizer, path = make(w), [0.0]
    for gradient in gradients:
        optimizer.step(np.array([gradient]))
        path.append(float(w[0]))
    return -np.diff(path)


def draw(responses: Responses) -> Figure:
    title = "A moving window weighs the past uniformly, a running average exponentially"
    figure, (left, right) = style.panels(2, title)
    time = np.arange(-BEFORE, STEPS)
    right.step(time, time >= 0, where="post", color=style.GREY, linewidth=1, label="the gradient")
    for name in AVERAGES:
        look = style.LOOKS[name] | {"markersize": 3.5, "label": LABELS[name]}
        left.plot(responses.weights[name], **look)
        right.plot(time, responses.after_jump[name], **look)
    left.set(title="The weight of a gradient", xlabel="its age, in steps", xlim=(-0.5, STEPS), ylim=(-0.002, 0.105))
    right.set(title="After a jump of the gradient", xlabel="steps since then", xlim=(-BEFORE, STEPS))
    left.legend()
    right.legend(loc="lower right")
    return figure
