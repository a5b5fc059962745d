"""The demo's picture: how the losses fall, and how averaging steadies the step; or the losses of every optimizer."""

from math import ceil
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


COLUMNS = 6  # of panels, where there is one for each optimizer


def draw(runs: dict[str, Run], variances: dict[str, float], path: Path) -> None:
    figure, (train, test, right) = plt.subplots(1, 3, figsize=(15, 5.2), width_ratios=[1, 1, 1.1], layout="constrained")
    test.sharey(train)
    for name, run in runs.items():
        color, line = STYLES[name]
        for axes, losses in ((train, run.losses), (test, run.test_losses)):
            axes.plot(losses, line, color=color, label=name, linewidth=1.8)
    train.set(title="Training loss: one start, the same minibatches", ylabel="cross-entropy")
    test.set(title="Test loss: digits that were held out")
    _variances(right, variances)
    for axes in (train, test):
        axes.set(yscale="log", xlabel="epochs", xlim=(0, None))
        axes.grid(axis="y", color="0.92")
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.title.set(fontsize=11, ha="left", position=(0, 1))
    figure.legend(*train.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=len(runs))
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_all(runs: dict[str, Run], path: Path) -> None:
    """A panel for each, with the training losses of all behind."""
    lines = ceil(len(runs) / COLUMNS)
    size = 2.4 * COLUMNS, 1.8 * lines + 0.6
    figure, grid = plt.subplots(lines, COLUMNS, figsize=size, sharex=True, sharey=True, layout="constrained")
    for axes in grid.flat[len(runs) :]:
        axes.remove()
    for axes, (name, run) in zip(grid.flat, runs.items(), strict=False):
        for other in runs.values():
            axes.plot(other.losses, color="0.88", linewidth=0.6)
        axes.plot(run.losses, color="#b3262e", linewidth=1.8, label="training loss")
        axes.plot(run.test_losses, "--", color="#1f4e8c", linewidth=1.4, label="test loss")
        axes.set_title(name, loc="left", fontsize=9)
        axes.set(yscale="log", xlim=(0, None), ylim=(1e-4, 10))
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("epochs", fontsize=10)
    figure.supylabel("cross-entropy", fontsize=10)
    legend = figure.axes[0].get_legend_handles_labels()
    figure.legend(*legend, frameon=False, loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=150)
    plt.close(figure)


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
