"""The ladder as a picture: a panel a rule, time a parameter over the size."""

from collections.abc import Sequence
from itertools import groupby
from math import ceil
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusedoptim.cli import style
from fusedoptim.cli.arguments import SMALLEST
from fusedoptim.cli.bench.competitors import IN_PLACE, LIMIT, OURS, TEXTBOOK
from fusedoptim.cli.bench.ladder import Rung

STYLES = {
    TEXTBOOK: (style.GREY, "-."),
    IN_PLACE: (style.BLUE, "--"),
    OURS: (style.VERMILION, "-"),
    LIMIT: (style.BLACK, ":"),
}


def draw(rungs: Sequence[Rung], path: Path) -> None:
    rules = {rule: list(group) for rule, group in groupby(rungs, lambda rung: rung.rule)}
    columns = min(3 if len(rules) > 4 else 2, len(rules))
    lines = ceil(len(rules) / columns)
    size = 4.2 * columns, 3.3 * lines + 0.4
    figure, grid = plt.subplots(lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    for axes in grid.flat[len(rules) :]:
        axes.remove()
    for axes, (rule, group) in zip(grid.flat, rules.items(), strict=False):
        _panel(axes, rule, group)
    figure.supxlabel("parameters")
    figure.supylabel("ns a parameter")
    save(figure, path, len(STYLES))


def save(figure: Figure, path: Path, legend_columns: int) -> None:
    """Gives all panels a grid, and the figure the legend of the first."""
    for axes in figure.axes:
        axes.grid(axis="y")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=legend_columns)
    style.save(figure, path)


def _panel(axes: Axes, rule: str, rungs: list[Rung]) -> None:
    for name, (color, line) in STYLES.items():
        if points := [(rung.n, rung.ns_per_param[name]) for rung in rungs if name in rung.ns_per_param]:
            sizes, spreads = zip(*points, strict=True)
            axes.plot(sizes, [s.median for s in spreads], line, color=color, label=name)
            axes.fill_between(sizes, [s.low for s in spreads], [s.high for s in spreads], color=color, alpha=0.2, lw=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks([2**k for k in range(SMALLEST, rungs[-1].n.bit_length(), 4)])
    axes.set_yscale("log")
    axes.set_title(rule)
