"""The demo's picture: how the losses fall, and how averaging steadies the step; or the losses of every optimizer."""

from math import ceil
from pathlib import Path

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from fusedoptim.cli import style
from fusedoptim.cli.demo.training import Run
from fusedoptim.cli.demo.variance import EXPECTED

LOOKS = {
    "SGD": style.LOOKS["SGD"],
    "SGD, mean of 4": style.LOOKS["accumulate"],
    "WindowSGD, last 8": style.LOOKS["WindowSGD"],
    "Momentum": style.LOOKS["Momentum"],
    "RMSProp": style.LOOKS["RMSProp"],
    "Adam": style.LOOKS["Adam"],
    "Adam, global decay": style.LOOKS["Adam"] | {"linestyle": "--", "marker": "<"},
    "AdamW": style.LOOKS["Adam"] | {"color": style.BLACK, "linestyle": ":", "marker": ">"},
}


COLUMNS = 6  # of panels, where there is one for each optimizer


def draw(runs: dict[str, Run], variances: dict[str, float], path: Path) -> None:
    figure, (train, test, right) = style.panels(3, width=15, height=5.2, width_ratios=[1, 1, 1.1])
    test.sharey(train)
    for name, run in runs.items():
        for axes, losses in ((train, run.losses), (test, run.test_losses)):
            axes.plot(losses, **LOOKS[name], markevery=0.1, label=name)
    train.set(title="Training loss: one start, the same minibatches", ylabel="cross-entropy")
    test.set(title="Test loss: digits that were held out")
    _variances(right, variances)
    for axes in (train, test):
        axes.set(yscale="log", xlabel="epochs", xlim=(0, None))
        axes.grid(axis="y")
    figure.legend(*train.get_legend_handles_labels(), loc="outside lower center", ncols=len(runs))
    style.save(figure, path)


def draw_all(runs: dict[str, Run], path: Path) -> None:
    """A panel for each, with the training losses of all behind."""
    lines = ceil(len(runs) / COLUMNS)
    size = 2.4 * COLUMNS, 1.8 * lines + 0.6
    figure, grid = plt.subplots(lines, COLUMNS, figsize=size, sharex=True, sharey=True)
    for axes in grid.flat[len(runs) :]:
        axes.remove()
    for axes, (name, run) in zip(grid.flat, runs.items(), strict=False):
        for other in runs.values():
            axes.plot(other.losses, color="0.88", linewidth=0.6)
        axes.plot(run.losses, color=style.VERMILION, label="training loss")
        axes.plot(run.test_losses, "--", color=style.BLUE, linewidth=1.4, label="test loss")
        axes.set_title(name)
        axes.set(yscale="log", xlim=(0, None), ylim=(1e-4, 10))
    figure.supxlabel("epochs")
    figure.supylabel("cross-entropy")
    legend = figure.axes[0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside upper center", ncols=2)
    style.save(figure, path)


def _variances(axes: Axes, variances: dict[str, float]) -> None:
    names = list(variances)[::-1]
    bars = axes.barh(
        names, [variances[name] for name in names], color=[LOOKS[name]["color"] for name in names], height=0.55
    )
    axes.bar_label(bars, fmt="%.2f", padding=6)
    expected = [EXPECTED[name] for name in names]
    axes.plot(expected, names, "|", color="black", markersize=34, markeredgewidth=1.6, label="expected")
    axes.set(xlabel="variance of the step (one minibatch: 1)", title="Averaging gradients steadies the step")
    axes.legend(loc="lower right", markerscale=0.4)
    axes.set_xlim(0, 1.15)
    axes.tick_params(axis="y", length=0)
