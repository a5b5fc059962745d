"""The lines of equal value of a surface."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from fusedoptim.cli import style
from fusedoptim.cli.gallery.surfaces import Surface

Range = tuple[float, float]


def contours(axes: Axes, surface: Surface, x: Range, y: Range, levels: ArrayLike) -> None:
    grid = np.meshgrid(np.linspace(*x, 121), np.linspace(*y, 121))
    axes.contour(*grid, surface(*grid)[0], levels=levels, colors=style.PALE, linewidths=0.7)
    axes.set(xlim=x, ylim=y, xlabel="w₁", ylabel="w₂")
