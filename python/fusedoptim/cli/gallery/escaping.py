"""Noise leaves saddle points and local maxima; momentum passes a shallow local minimum."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.contours import contours
from fusedoptim.cli.gallery.surfaces import Array, Surface, descend, hill, saddle, two_valleys

LR, STEPS, NOISE, SEEDS = 0.05, 300, 0.3, range(6)
RIDGE, TOP = (1.0, 0.0), (0.0, 0.0)  # where nothing pulls towards either side
VALLEYS_LR, VALLEYS_START, VALLEYS_STEPS = 0.1, (-1.6, 0.0), 150


@dataclass
class Escapes:
    from_saddle: list[Array]  # paths; the first without noise, the others with the noise of each seed
    from_top: list[Array]
    over_valleys: dict[str, Array]


def compute() -> Escapes:
    return Escapes(
        from_saddle=_paths(saddle, RIDGE),
        from_top=_paths(hill, TOP),
        over_valleys={
            "SGD": descend(two_valleys, lambda w: fo.SGD(w, VALLEYS_LR), VALLEYS_START, VALLEYS_STEPS),
            "Momentum": descend(two_valleys, lambda w: fo.Momentum(w, VALLEYS_LR), VALLEYS_START, VALLEYS_STEPS),
        },
    )


def _paths(surface: Surface, start: tuple[float, float]) -> list[Array]:
    quiet = descend(surface, lambda w: fo.SGD(w, LR), start, STEPS)
    return [quiet, *(descend(surface, lambda w: fo.SGD(w, LR), start, STEPS, NOISE, seed) for seed in SEEDS)]


def draw(escapes: Escapes) -> Figure:
    title = "Noise leaves saddle points and local maxima, momentum passes a shallow valley"
    figure, (left, middle, right) = style.panels(3, title, width=9.5, height=3.6, width_ratios=[1, 1, 1.3])
    contours(left, saddle, (-1.2, 1.2), (-2, 2), np.arange(0.1, 3, 0.4))
    contours(middle, hill, (-1.5, 1.5), (-1.5, 1.5), [0.02, 0.08, 0.15, 0.22, 0.5, 1])
    _draw_paths(left, escapes.from_saddle)
    _draw_paths(middle, escapes.from_top)
    left.set_title("SGD at a saddle")
    middle.set_title("SGD on a hilltop")
    _draw_valleys(right, escapes.over_valleys)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=3)
    return figure


def _draw_paths(axes: Axes, paths: list[Array]) -> None:
    quiet, *noisy = paths
    for i, path in enumerate(noisy):
        axes.plot(*path[::2].T, color=style.SKY, linewidth=0.9, label=None if i else "SGD with noise in the gradient")
    axes.plot(*quiet.T, color=style.BLACK, linewidth=1.8, label="without noise")
    axes.plot(*quiet[0], "o", color=style.BLACK, markerfacecolor="white", markersize=7)
    axes.plot(*quiet[-1], "X", color=style.VERMILION, markersize=8, linestyle="none", label="where it stays")


def _draw_valleys(axes: Axes, paths: dict[str, Array]) -> None:
    x = np.linspace(-1.75, 2.0, 200)
    axes.plot(x, two_valleys(x, 0)[0], color=style.GREY, linewidth=1)
    # Both lie on the curve: the markers of one are within those of the other.
    for (name, path), size, face in zip(paths.items(), (7, 4), ("none", style.ORANGE), strict=True):
        loss = two_valleys(path[:, 0], 0)[0]
        look = style.LOOKS[name] | {"linewidth": 0.8, "markevery": 2, "markersize": size, "markerfacecolor": face}
        axes.plot(path[:, 0], loss, **look, label=f"{name}, lr = {VALLEYS_LR}")
        axes.plot(path[-1, 0], loss[-1], "*", color=look["color"], markersize=14, markeredgecolor=style.BLACK)
    axes.set(title="Over two valleys", xlabel="w₁", ylabel="loss", ylim=(-0.75, 1.4))
    axes.legend()
