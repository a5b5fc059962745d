"""The comparison as tables and as a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from rich.table import Table

from fusedoptim.cli.bench import report
from fusedoptim.cli.bench.competitors import LIMIT
from fusedoptim.cli.bench.picture import plt, save
from fusedoptim.cli.bench.timing import Spread
from models import VARIANTS
from peers import OURS, PEERS

HEADINGS = ["\ncompetitor", "\nms", "\nquartiles", "\nGB/s", "share of\nthe limit", *(f"x\n{ours}" for ours in OURS)]
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


@dataclass(frozen=True)
class StepTime:
    """What one competitor took for one step."""

    model: str
    parameters: int
    tensors: int
    variant: str
    threads: int
    competitor: str
    milliseconds: Spread
    gb_per_second: float  # as if in one pass
    times: dict[str, Spread]  # as long as ours


def tables(steps: Sequence[StepTime]) -> Iterator[Table]:
    """One for each model, variant and number of threads."""
    for (model, variant, threads), group in groupby(steps, lambda s: (s.model, s.variant, s.threads)):
        found, lines = list(group), []
        limit = next(s.gb_per_second for s in found if s.competitor == LIMIT)
        for s in found:
            share = "" if s.competitor == LIMIT else f"{s.gb_per_second / limit:.2f}"
            times = [f"{s.times[ours].median:.3g}" if ours in s.times else "" for ours in OURS]
            ms = s.milliseconds
            lines.append([s.competitor, f"{ms.median:.3g}", ms.quartiles, f"{s.gb_per_second:.3g}", share, *times])
        title = f"{model}, {variant}: {found[0].parameters:,} parameters in {found[0].tensors}, {threads} threads"
        yield report.table(HEADINGS, lines, title=title, caption="x: how many times as long as ours")


def draw(steps: Sequence[StepTime], path: Path) -> None:
    """Bars for the variants, with all threads, and what is reached of the memory's speed over the size."""
    most = max(s.threads for s in steps)
    steps = [s for s in steps if s.threads == most]
    variants = [variant for variant in VARIANTS if any(s.variant == variant for s in steps)]
    figure, grid = plt.subplots(
        len(variants) + 1, 1, figsize=(11, 2.7 * len(variants) + 3.2), squeeze=False, layout="constrained"
    )
    for axes, variant in zip(grid.flat, variants, strict=False):
        _bars(axes, [s for s in steps if s.variant == variant])
        axes.set_title(f"{variant}: how many times as fast as {UNIT}, {most} threads", loc="left", fontsize=11)
    _roofline(grid.flat[-1], [s for s in steps if s.variant == variants[0]])
    save(figure, path, 5)


def _bars(axes: Axes, steps: list[StepTime]) -> None:
    units = {s.model: s for name in ("ours", UNIT) for s in steps if s.competitor == name}
    speedup = {(s.model, s.competitor): _over(units[s.model], s) for s in steps}
    width = 0.85 / len(COLORS)
    for k, (competitor, color) in enumerate(COLORS.items()):
        at = [x for x, model in enumerate(units) if (model, competitor) in speedup]
        values = [speedup[model, competitor] for model in units if (model, competitor) in speedup]
        axes.bar([x + (k - len(COLORS) / 2 + 0.5) * width for x in at], values, width, color=color, label=competitor)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    axes.set_xticks(range(len(units)), units)


def _over(unit: StepTime, s: StepTime) -> float:
    """How many times as fast as the unit: for ours from the pairs of samples, else from the medians."""
    if s.competitor in unit.times:
        return unit.times[s.competitor].median
    return unit.milliseconds.median / s.milliseconds.median


def _roofline(axes: Axes, steps: list[StepTime]) -> None:
    styles = {LIMIT: ("black", ":"), "ours": (COLORS["ours"], "-"), "ours arena": (COLORS["ours arena"], "-")}
    styles |= {peer: (COLORS[peer], "-") for peer in PEERS if not peer.startswith("numpy")}
    for competitor, (color, line) in styles.items():
        points = sorted((s.parameters, s.gb_per_second) for s in steps if s.competitor == competitor)
        if points:
            axes.plot(*zip(*points, strict=True), line, color=color, label=competitor, marker=".", linewidth=1.5)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title("GB/s over the parameters of the model (dotted: this machine's limit)", loc="left", fontsize=11)
