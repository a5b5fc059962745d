"""The one look of all figures: importing it sets matplotlib's, and `save` writes the same bytes each time.

The colours are Okabe and Ito's, which colour-blind people can tell apart. Each optimizer also has a line and a marker of its
own, for print without colours.
"""

import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # draws to files, also where there is no display

from cycler import cycler
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLACK, GREY, PALE = "#000000", "#767676", "#c8c8c8"
ORANGE, SKY, GREEN, BLUE, VERMILION, PURPLE = "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7"

LOOKS: dict[str, dict[str, Any]] = {
    "SGD": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "accumulate": {"color": SKY, "linestyle": (0, (5, 1)), "marker": "P"},
    "WindowSGD": {"color": PURPLE, "linestyle": ":", "marker": "^"},
    "Momentum": {"color": ORANGE, "linestyle": "--", "marker": "s"},
    "RMSProp": {"color": GREEN, "linestyle": "-.", "marker": "D"},
    "Adam": {"color": VERMILION, "linestyle": "-", "marker": "v"},
}

mpl.rcParams |= {
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.edgecolor": "#404040",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]),
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.7,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.titlesize": 11,
    "figure.labelsize": 9,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "svg.hashsalt": "fusedoptim",
    "svg.fonttype": "none",
    "path.simplify_threshold": 0.3,
}


def panels(
    columns: int, title: str = "", *, width: float = 9.0, height: float = 3.4, **keywords: Any
) -> tuple[Figure, list[Axes]]:
    """A figure with a row of axes, and what it shows above them."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), squeeze=False, **keywords)
    if title:
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
    return figure, list(axes.flat)


def save(figure: Figure, *paths: Path) -> None:
    """Writes the figure to each path, in the format of its suffix, and closes it."""
    for path in paths:
        if path.suffix == ".svg":
            path.write_text(_svg(figure), encoding="utf-8")
        else:
            figure.savefig(path)
    plt.close(figure)


def _svg(figure: Figure) -> str:
    """Without the date, with coordinates to the hundredth of a point, and without the blanks before a line and after it."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    tags = re.sub(r"<[^>]*>", lambda tag: re.sub(r"\d+\.\d{3,}", _hundredths, tag[0]), text.getvalue())
    return "".join(line.strip() + "\n" for line in tags.splitlines())


def _hundredths(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
