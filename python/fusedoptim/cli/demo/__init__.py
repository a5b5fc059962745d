"""``python -m fusedoptim demo``: a real network on real data, once with each optimizer."""

import sys
from argparse import Namespace
from functools import partial

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fusedoptim.cli.demo import picture, variance
from fusedoptim.cli.demo.training import OPTIMIZERS, Run, digits, train

HEADINGS = ["train\nacc.", "test\nacc.", "train\nloss", "\nsteps", "time\nours", "\nNumPy", "\nratio", "same\nbits"]


def run(args: Namespace) -> int:
    console = Console()
    data = digits(args.seed)
    runs = {}
    with Progress(console=console, transient=True) as progress:
        for name, make in OPTIMIZERS.items():
            task = progress.add_task(name, total=args.epochs)
            runs[name] = train(make, data, args.epochs, args.seed, partial(progress.advance, task))
    variances = variance.measure(data, args.seed)
    console.print(_results(runs), _variances(variances))
    picture.draw(runs, variances, args.output)
    console.print(f"Loss curves: {args.output}", highlight=False)
    if differing := [name for name, run in runs.items() if not run.same_bits]:
        print(f"weights that differ from the reference's: {', '.join(differing)}", file=sys.stderr)
        return 1
    return 0


def _results(runs: dict[str, Run]) -> Table:
    title = "Handwritten digits; time spent in the optimizer, ours and the NumPy reference"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title=title)
    table.add_column("\noptimizer", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for name, run in runs.items():
        table.add_row(
            name,
            f"{run.train_accuracy:.1%}",
            f"{run.test_accuracy:.1%}",
            f"{run.losses[-1]:.4f}",
            f"{run.steps:,}",
            f"{run.seconds * 1e3:.0f} ms",
            f"{run.reference_seconds * 1e3:.0f} ms",
            f"{run.reference_seconds / run.seconds:.1f}",
            "yes" if run.same_bits else "[bold red]no",
        )
    return table


def _variances(variances: dict[str, float]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="Variance of the step, relative to one minibatch's gradient")
    table.add_column("averaging")
    table.add_column("measured", justify="right")
    table.add_column("expected", justify="right")
    for name, ratio in variances.items():
        table.add_row(name, f"{ratio:.3f}", f"{variance.EXPECTED[name]:.3f}")
    return table
