"""Trains two networks with each format of weights, gradients and states, for several seeds: are fewer bits as good?

The digits of the demo, and a small transformer on the text of the documentation, which is this repository's own. For a seed, all
formats begin at the same weights and see the same minibatches. Writes docs/narrow.csv and draws docs/narrow.svg.
"""

import csv
import multiprocessing
import os
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import fusedoptim as fo
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("demo"):
    import numpy as np
    from rich.console import Console

    import transformer
    from formats import ALL, FLOAT32, FORMATS, wide
    from fusedoptim.cli import style
    from fusedoptim.cli.bench import report
    from fusedoptim.cli.demo import mlp, training
    from fusedoptim.core.tree import map_leaves

DOCS = Path(__file__).parents[1] / "docs"
POINTS = 40  # of a curve
Losses = tuple[float, float]  # on what is trained with, and on what is held out


@dataclass(frozen=True)
class Task:
    """What is trained: a network, its data, and how."""

    steps: int
    lr: float
    decimals: int  # of a loss
    init: Callable[[np.random.Generator], Any]
    gradients: Callable[[Callable[[], Any], np.random.Generator], Iterator[Any]]  # at the weights of the moment
    losses: Callable[[Any], Losses]


@dataclass(frozen=True)
class Run:
    """One training run."""

    task: str
    format: str
    seed: int
    steps: list[int]
    losses: list[Losses]  # after these steps


# -- digits ------------------------------------------------------------------------------------------------------------


@cache
def digits() -> training.Digits:
    return training.digits(seed=0)


def digits_gradients(weights: Callable[[], Any], rng: np.random.Generator) -> Iterator[Any]:
    data = digits()
    while True:
        order = rng.permutation(len(data.y))
        for batch in order[: len(order) // training.BATCH * training.BATCH].reshape(-1, training.BATCH):
            yield mlp.backward(weights(), data.x[batch], data.y[batch])


def digits_losses(weights: Any) -> Losses:
    return training.loss(weights, digits()), training.test_loss(weights, digits())


# -- text --------------------------------------------------------------------------------------------------------------

BATCH = 16
LOOKED_AT = 64  # pieces of text, of which a loss is the mean


@cache
def text() -> tuple[Any, Any, int]:
    """What is trained with, the last tenth, and how many bytes there are to tell apart."""
    pages = [path.read_bytes() for path in sorted(DOCS.glob("*.md")) if path.name != "narrow.md"]
    symbols, x = np.unique(np.frombuffer(b"".join(pages), np.uint8), return_inverse=True)
    begin = len(x) * 9 // 10
    return x[:begin], x[begin:], len(symbols)


def pieces(x: Any, starts: Any) -> tuple[Any, Any]:
    """Bytes from each start on, and those that follow them."""
    found = x[starts[:, None] + np.arange(transformer.LENGTH + 1)]
    return found[:, :-1], found[:, 1:]


def text_gradients(weights: Callable[[], Any], rng: np.random.Generator) -> Iterator[Any]:
    train, _, _ = text()
    while True:
        starts = rng.integers(0, len(train) - transformer.LENGTH, BATCH)
        yield transformer.gradient(weights(), *pieces(train, starts))


def text_losses(weights: Any) -> Losses:
    train, held_out, _ = text()
    starts = (np.linspace(0, len(x) - transformer.LENGTH - 1, LOOKED_AT).astype(int) for x in (train, held_out))
    on_train, on_held_out = (
        transformer.loss(weights, *pieces(x, s)) for x, s in zip((train, held_out), starts, strict=True)
    )
    return on_train, on_held_out


TASKS = {
    "digits": Task(3000, 1e-3, 4, partial(mlp.init, training.SIZES), digits_gradients, digits_losses),
    "text": Task(1000, 3e-3, 3, lambda rng: transformer.init(text()[2], rng), text_gradients, text_losses),
}


# -- runs --------------------------------------------------------------------------------------------------------------


def train(what: tuple[str, str, int], steps: int | None) -> Run:
    """One run of a task in a format with a seed. The model computes with the weights as the format has them for it."""
    name, of_format, seed = what
    task, form, rng = TASKS[name], FORMATS[of_format], np.random.default_rng(seed)
    n = steps or task.steps
    lr = fo.schedules.warmup_cosine(task.lr, n=n, warmup=n // 20, end=task.lr / 100)
    optimizer = form.make(fo.Adam, form.weights(task.init(rng)), lr=lr, seed=seed)
    seen = optimizer.copy_to if form.copies else optimizer.params
    weights = partial(map_leaves, wide, seen)
    found = Run(name, of_format, seed, [], [])
    for grads in islice(task.gradients(weights, rng), n):
        optimizer.step(form.gradients(grads))
        if optimizer.t % max(1, n // POINTS) == 0 or optimizer.t == n:
            found.steps.append(optimizer.t)
            found.losses.append(task.losses(weights()))
    return found


def train_all(names: list[str], seeds: int, steps: int | None, processes: int, say: Console) -> list[Run]:
    """Each in a process with one thread, so that how a product is summed does not depend on the machine's load."""
    wanted = list(product(names, FORMATS, range(seeds)))
    os.environ |= {f"{library}_NUM_THREADS": "1" for library in ("OPENBLAS", "OMP", "MKL", "FUSEDOPTIM")}
    found = []
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for run in pool.imap(partial(train, steps=steps), wanted):
            say.print(f"{run.task}, {run.format}, seed {run.seed}: {run.losses[-1][1]:.4g}", highlight=False)
            found.append(run)
    return found


# -- what came of it ---------------------------------------------------------------------------------------------------

HEADINGS = ["format", "digits, training", "digits, held out", "text, training", "text, held out"]


def final(runs: list[Run], task: str, name: str) -> np.ndarray:
    """(seeds, 2): the losses in the end."""
    return np.array([run.losses[-1] for run in runs if (run.task, run.format) == (task, name)])


def lines(runs: list[Run]) -> Iterator[list[str]]:
    """Means over the seeds. In parentheses, mean and standard deviation of the difference from float32 with the same seed."""
    tasks = [task for task in TASKS if any(run.task == task for run in runs)]
    for name in FORMATS:
        cells = []
        for task in tasks:
            found, base = final(runs, task, name), final(runs, task, FLOAT32)
            of_each = zip(found.T, (found - base).T, strict=True)
            cells += [cell(losses, more, TASKS[task].decimals) for losses, more in of_each]
        yield [name, *cells]


def cell(losses: np.ndarray, more: np.ndarray, decimals: int) -> str:
    """The mean, and the spread: of the differences where there are any."""
    mean, spread = f"{losses.mean():.{decimals}f}", partial(np.std, ddof=min(1, len(losses) - 1))
    if not more.any():
        return f"{mean} ± {spread(losses):.{decimals}f}"
    return f"{mean} ({more.mean():+.{decimals}f} ± {spread(more):.{decimals}f})"


# Some formats by a colour each; the others are grey.
COLOURS = {
    FLOAT32: style.BLACK,
    "nearest": style.VERMILION,
    "stochastic": style.BLUE,
    ALL: style.SKY,
    "split": style.GREEN,
    "split, state float8": style.ORANGE,
}


def draw(runs: list[Run], path: Path) -> None:
    """The curves of the text, and how far each run ends from float32's of the same seed."""
    figure, (left, middle, right) = style.panels(
        3, "Training in fewer bits", width=10.5, height=3.9, width_ratios=[1.25, 1, 1]
    )
    for name, colour in COLOURS.items():
        curves = [run for run in runs if (run.task, run.format) == ("text", name)]
        mean = np.mean([[train for train, _ in run.losses] for run in curves], axis=0)
        wide_line = {"linewidth": 3.5, "alpha": 0.35} if name == FLOAT32 else {"linewidth": 1.2}
        left.plot(curves[0].steps, mean, color=colour, label=name, **wide_line)
    left.set(title="Text: training loss", xlabel="step", ylabel="mean over seeds")
    left.set_ylim(top=np.quantile([train for run in runs for train, _ in run.losses if run.task == "text"], 0.93))
    left.legend()
    others = [name for name in FORMATS if name != FLOAT32]
    for axes, task in ((middle, "digits"), (right, "text")):
        base = final(runs, task, FLOAT32)[:, 0]
        axes.axvline(1, color=style.BLACK, linewidth=0.8)
        for k, name in enumerate(others):
            times = final(runs, task, name)[:, 0] / base
            axes.plot(times, np.full(len(times), k), "o", color=COLOURS.get(name, style.GREY), alpha=0.8)
        axes.set(
            title=f"{task.capitalize()}: in the end, over float32", xlabel="training loss / float32's, a dot a seed"
        )
        axes.set_yticks(range(len(others)), others if axes is middle else [""] * len(others))
        axes.invert_yaxis()
        axes.grid(axis="x")
    middle.set_xscale("log")
    middle.set_xticks([1, 2, 5, 10], ["1", "2", "5", "10"])
    middle.minorticks_off()
    style.save(figure, path)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all; else nothing is written but JSON")
    add("--seeds", type=arguments.positive, default=3, metavar="N", help="default: %(default)s")
    add("--steps", type=arguments.positive, metavar="N", help="of each run, in place of 3000 and 1000")
    add("--processes", type=arguments.positive, default=len(os.sched_getaffinity(0)), metavar="N", help="default: all")
    add("--out", type=arguments.folder, default=str(DOCS), metavar="FOLDER", help="for narrow.csv, narrow.svg")
    arguments.json(parser, "write all curves there")
    args = parser.parse_args()
    say = Console(stderr=True)
    runs = train_all(args.tasks, args.seeds, args.steps, args.processes, say)
    if {*args.tasks} == {*TASKS}:
        args.out.mkdir(parents=True, exist_ok=True)
        with (args.out / "narrow.csv").open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADINGS, *lines(runs)])
        draw(runs, args.out / "narrow.svg")
    say.print(report.table(HEADINGS[: 1 + 2 * len(args.tasks)], lines(runs), title="Adam: loss in the end"))
    report.write_json(args.json, report.machine(), runs)
