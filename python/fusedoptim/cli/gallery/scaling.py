"""RMSProp scales the error surface: in its coordinates, a ravine is round."""

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery.contours import contours
from fusedoptim.cli.gallery.surfaces import CURVATURES, Array, descend, ravine

START, STEPS, LR, BETA, SHOWN_AT = (-2.0, 1.5), 40, 0.05, 0.9, 20
SGD_LR = 0.07  # of at most 0.08


@dataclass
class Scaled:
    path: Array
    scales: Array  # √u at each step, for each weight
    sgd: Array  # the path of SGD

    def coordinates(self, w: Array, t: int) -> Array:
        """Those in which RMSProp's step t is one of plain SGD: z = ⁴√u · w."""
        scaled: Array = w * np.sqrt(self.scales[t])
        return scaled

    def condition(self, t: int) -> float:
        """Of the surface in these coordinates, whose curvatures are λ/√u."""
        curvatures = np.array(CURVATURES) / self.scales[t]
        return float(curvatures.max() / curvatures.min())


def compute() -> Scaled:
    w = np.array(START)
    optimizer = fo.RMSProp(w, LR, beta=BETA, eps=0, eps_root=1e-12)
    path, scales = [w.copy()], []
    for _ in range(STEPS):
        optimizer.step(np.array(ravine(*w)[1]))
        path.append(w.copy())
        scales.append(np.sqrt(optimizer.state["v"] + 1e-12))
    return Scaled(np.array(path), np.array(scales), descend(ravine, lambda w: fo.SGD(w, SGD_LR), START, STEPS))


def draw(scaled: Scaled) -> Figure:
    title = "RMSProp scales the error surface: in its coordinates, the ravine is round"
    figure, (left, middle, right) = style.panels(3, title, width=9.5, height=3.4)
    levels = np.arange(1, 7) ** 2 * 1.2
    contours(left, ravine, (-2.6, 2.6), (-2.6, 2.6), levels)
    stretch = np.sqrt(scaled.scales[SHOWN_AT])
    z = scaled.coordinates(scaled.path, SHOWN_AT)
    reach = 1.3 * abs(z).max()
    contours(middle, lambda x, y: ravine(x / stretch[0], y / stretch[1]), (-reach, reach), (-reach, reach), levels)
    for axes, path in ((left, scaled.path), (middle, z)):
        axes.plot(*path.T, **style.LOOKS["RMSProp"] | {"markersize": 3.5, "label": "RMSProp"})
        axes.plot(0, 0, "*", color=style.BLACK, markersize=10)
        axes.set_aspect("equal")
    left.plot(*scaled.sgd.T, **style.LOOKS["SGD"] | {"markersize": 3, "linewidth": 1, "label": "SGD"})
    left.legend(loc="lower right")
    left.set_title("The weights w")
    middle.set(title="The coordinates z = ⁴√u · w", xlabel="z₁", ylabel="z₂")
    right.axhline(CURVATURES[1] / CURVATURES[0], label="of w", color=style.GREY)
    right.plot(
        range(1, STEPS + 1), [scaled.condition(t) for t in range(STEPS)], **style.LOOKS["RMSProp"] | {"label": "of z"}
    )
    right.set(title="Condition number", xlabel="step", yscale="log", ylim=(0.9, 40))
    right.set_yticks([1, 2, 5, 10, 25], ["1", "2", "5", "10", "25"], minor=False)
    right.minorticks_off()
    right.legend(loc="center right")
    return figure
