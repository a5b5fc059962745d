"""The comparison as tables and as a picture."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
from rich import box
from rich.table import Table

from fusedoptim.cli.bench.competitors import LIMIT
from peers import OURS, PEERS
from workloads import VARIANTS

matplotlib.use("Agg")  # draws to files, also where there is no display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

if TYPE_CHECKING:
    from compare import Figure

UNIT = "torch-fused"  # of the picture's bars
COLORS = {
    "numpy-textbook": "#c8c8c8",
    "numpy-inplace": "#9a9a9a",
    "numba": "#59a14f",
    "torch-fused": "#1b4f7a",
    "torch-foreach": "#9ecae1",
    "torch-compiled": "#3182bd",
    "deepspeed": "#f0a35e",
    "optax": "#b07aa1",
    "ours": "#e0787e",
    "ours bound": "#c9444c",
    "ours arena": "#8e1119",
}


def tables(figures: Sequence["Figure"]) -> Iterator[Table]:
    """One for each workload, variant and number of threads."""
    for (name, variant, threads), group in groupby(figures, lambda f: (f.workload, f.variant, f.threads)):
        found = list(group)
        title = f"{name}, {variant}: {found[0].parameters:,} parameters in {found[0].tensors}, {threads} threads"
        table = Table(box=box.SIMPLE_HEAD, title=title, caption="x: how many times as long as ours")
        table.add_column("\ncompetitor", no_wrap=True)
        for heading in ("\nms", "\nquartiles", "\nGB/s", "share of\nthe limit", *(f"x\n{ours}" for ours in OURS)):
            table.add_column(heading, justify="right", no_wrap=True)
        limit = next(f.gb_per_second for f in found if f.competitor == LIMIT)
        for f in found:
            spread = f.milliseconds
            quartiles = f"{spread.low:.3g} - {spread.high:.3g}"
            share = "" if f.competitor == LIMIT else f"{f.gb_per_second / limit:.2f}"
            times = [f"{f.times[ours].median:.3g}" if ours in f.times else "" for ours in OURS]
            table.add_row(f.competitor, f"{spread.median:.3g}", quartiles, f"{f.gb_per_second:.3g}", share, *times)
        yield table


def draw(figures: Sequence["Figure"], path: Path) -> None:
    """Bars for the variants, with all threads, and what is reached of the memory's speed over the size."""
    most = max(f.threads for f in figures)
    figures = [f for f in figures if f.threads == most]
    variants = [variant for variant in VARIANTS if any(f.variant == variant for f in figures)]
    figure, grid = plt.subplots(
        len(variants) + 1, 1, figsize=(11, 2.7 * len(variants) + 3.2), squeeze=False, layout="constrained"
    )
    for axes, variant in zip(grid.flat, variants, strict=False):
        _bars(axes, [f for f in figures if f.variant == variant])
        axes.set_title(f"{variant}: how many times as fast as {UNIT}, {most} threads", loc="left", fontsize=11)
    _roofline(grid.flat[-1], [f for f in figures if f.variant == variants[0]])
    for axes in grid.flat:
        axes.grid(axis="y", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _bars(axes: Axes, figures: list["Figure"]) -> None:
    names = list(dict.fromkeys(f.workload for f in figures))
    speedup = {}
    for name in names:
        of_name = {f.competitor: f for f in figures if f.workload == name}
        unit = of_name.get(UNIT, of_name["ours"])
        for competitor, f in of_name.items():
            speedup[name, competitor] = _over(unit, f)
    width = 0.85 / len(COLORS)
    for k, (competitor, color) in enumerate(COLORS.items()):
        at = [x for x, name in enumerate(names) if (name, competitor) in speedup]
        values = [speedup[names[x], competitor] for x in at]
        axes.bar([x + (k - len(COLORS) / 2 + 0.5) * width for x in at], values, width, color=color, label=competitor)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(names)), names)


def _over(unit: "Figure", f: "Figure") -> float:
    """How many times as fast as the unit: for ours from the pairs of samples, else by way of ours."""
    if f.competitor in unit.times:
        return unit.times[f.competitor].median
    return unit.milliseconds.median / f.milliseconds.median


def _roofline(axes: Axes, figures: list["Figure"]) -> None:
    styles = {LIMIT: ("black", ":"), "ours": (COLORS["ours"], "-"), "ours arena": (COLORS["ours arena"], "-")}
    styles |= {peer: (COLORS[peer], "-") for peer in PEERS if not peer.startswith("numpy")}
    for competitor, (color, line) in styles.items():
        points = sorted((f.parameters, f.gb_per_second) for f in figures if f.competitor == competitor)
        if points:
            axes.plot(*zip(*points, strict=True), line, color=color, label=competitor, marker=".", linewidth=1.5)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title("GB/s over the parameters of the workload (dotted: this machine's limit)", loc="left", fontsize=11)
