"""The demo's picture: how the loss falls, and how averaging steadies the step."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # draws to files, also where there is no display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fusedoptim.cli.demo.training import Run
from fusedoptim.cli.demo.variance import EXPECTED

# One hue a family, so that eight curves stay apart.
STYLES = {
    "SGD": ("#1f4e8c", "-"),
    "SGD, mean of 4": ("#4f8fd0", "--"),
    "WindowSGD, last 8": ("#4f8fd0", ":"),
    "Momentum": ("#e08a1e", "-"),
    "RMSProp": ("#2e8b57", "-"),
    "Adam": ("#b3262e", "-"),
    "Adam, global decay": ("#d9626a", "--"),
    "AdamW": ("#d9626a", ":"),
}


def draw(runs: dict[str, Run], variances: dict[str, float], path: Path) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), width_ratios=[1.5, 1], layout="constrained")
    _losses(left, runs)
    _variances(right, variances)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set(fontsize=11, ha="left", position=(0, 1))
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _losses(axes: Axes, runs: dict[str, Run]) -> None:
    for name, run in sorted(runs.items(), key=lambda item: -item[1].losses[-1]):
        color, line = STYLES[name]
        axes.plot(range(len(run.losses)), run.losses, line, color=color, label=name, linewidth=1.8)
    axes.set(
        yscale="log",
        xlabel="epochs",
        ylabel="cross-entropy",
        title="Training loss, from one start and over the same minibatches",
    )
    axes.set_xlim(0)
    axes.grid(axis="y", color="0.92")
    axes.legend(frameon=False, bbox_to_anchor=(1, 0.5), loc="center left")  # in the order of the curves' ends


def _variances(axes: Axes, variances: dict[str, float]) -> None:
    names = list(variances)[::-1]
    bars = axes.barh(names, [variances[name] for name in names], color=[STYLES[name][0] for name in names], height=0.55)
    axes.bar_label(bars, fmt="%.2f", padding=6)
    expected = [EXPECTED[name] for name in names]
    axes.plot(expected, names, "|", color="black", markersize=34, markeredgewidth=1.6, label="expected")
    axes.set(xlabel="variance of the step (one minibatch: 1)", title="Averaging gradients steadies the step")
    axes.legend(frameon=False, loc="lower right", markerscale=0.4)
    axes.set_xlim(0, 1.15)
    axes.tick_params(axis="y", length=0)
