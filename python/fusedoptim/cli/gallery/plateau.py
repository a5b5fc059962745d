"""A plateau needs a larger step than a steep direction bears: rates for each component cross it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.contours import contours
from fusedoptim.cli.gallery.surfaces import Array, descend, plateau

START, STEPS = (-4.0, 1.0), 300
RATES = np.geomspace(1e-3, 1, 46)

OPTIMIZERS: dict[str, Callable[[Array, float], fo.Optimizer]] = {
    "SGD": lambda w, lr: fo.SGD(w, lr),
    "Momentum": lambda w, lr: fo.Momentum(w, lr, beta=0.9),
    "RMSProp": lambda w, lr: fo.RMSProp(w, lr, beta=0.9),
    "Adam": lambda w, lr: fo.Adam(w, lr),
}
SHOWN = {"SGD": 0.018, "Momentum": 0.2, "RMSProp": 0.02, "Adam": 0.02}


@dataclass
class Crossings:
    paths: dict[str, Array]
    ends: dict[str, Array]  # the weights at the end of a run with each of RATES; NaN where it diverges

    def largest_rate(self, name: str) -> int:
        """The index of the last rate with which it does not."""
        return int(np.flatnonzero(np.isfinite(self.ends[name][:, 0]))[-1])


def compute() -> Crossings:
    return Crossings(
        paths={name: _path(name, lr) for name, lr in SHOWN.items()},
        ends={name: np.array([_end(name, lr) for lr in RATES]) for name in OPTIMIZERS},
    )


def _path(name: str, lr: float) -> Array:
    return descend(plateau, lambda w: OPTIMIZERS[name](w, lr), START, STEPS)


def _end(name: str, lr: float) -> Array:
    """Where the steep direction grows beyond where it began, the rate is too large for it."""
    end: Array = _path(name, lr)[-1]
    return end if abs(end[1]) < abs(START[1]) else np.full(2, np.nan)


def draw(crossings: Crossings) -> Figure:
    title = "A plateau needs a larger step than the steep direction bears: a rate for each component crosses it"
    figure, (left, right) = style.panels(2, title, height=3.7)
    contours(left, plateau, (-4.5, 1.0), (-1.15, 1.15), [0.3, 0.7, 0.95, 5, 15, 30, 50])
    for name, path in crossings.paths.items():
        look = style.LOOKS[name] | {"markersize": 4, "markevery": 10, "linewidth": 1.3}
        left.plot(*path.T, **look, label=f"{name}, lr = {SHOWN[name]}")
        right.plot(RATES, crossings.ends[name][:, 0], **look | {"markevery": 3})
        last = crossings.largest_rate(name)
        if last < len(RATES) - 1:
            right.plot(RATES[last], crossings.ends[name][last, 0], "X", color=style.BLACK, markersize=8)
    left.plot(*START, "o", color=style.BLACK, markerfacecolor="white", markersize=8)
    left.plot(0, 0, "*", color=style.BLACK, markersize=11)
    left.plot([], [], "X", color=style.BLACK, markersize=8, label="diverges beyond")
    left.set_title("Flat in w₁, steep in w₂")
    right.axhline(0, color=style.GREY, linewidth=0.8)
    right.set(title=f"How far each comes in {STEPS} steps", xscale="log", xlabel="lr", ylabel="w₁ at the end")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5)
    return figure
