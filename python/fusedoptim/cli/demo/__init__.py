"""``python -m fusedoptim demo``: a real network on real data, in eight settings of six optimizers, or with each."""

import sys
from argparse import Namespace
from functools import partial

from rich import box
from rich.console import Console
from rich.table import Table

from fusedoptim.cli.demo import picture, variance
from fusedoptim.cli.demo.optimizers import LEFT_OUT, SETTINGS, every
from fusedoptim.cli.demo.training import Run, digits, train
from fusedoptim.cli.narrow import narrow
from fusedoptim.cli.progress import progress

HEADINGS = ["test\nacc.", "train\nloss", "test\nloss", "\nsteps", "ms\nours", "ms\nNumPy", "\nratio", "same\nbits"]
SPARE = ["\nsteps", "train\nloss", "test\nloss", "ms\nNumPy", "ms\nours"]  # on a narrow terminal; the first goes first


def run(args: Namespace) -> int:
    console = Console()
    data = digits(args.seed)
    runs = {}
    makers = every() if args.all else SETTINGS
    with progress(args.epochs * len(makers)) as advance:
        for name, make in makers.items():
            runs[name] = train(make, data, args.epochs, args.seed, partial(advance, name))
    variances = variance.measure(data, args.seed)
    console.print(narrow(_results(runs), console, SPARE))
    console.print(_variances(variances))
    if args.all:
        left_out = "; ".join(f"{kind.__name__} {why}" for kind, why in LEFT_OUT.items())
        console.print(f"Left out: {left_out}.", highlight=False)
        picture.draw_all(runs, args.output)
    else:
        console.print("Eight settings of six optimizers; --all trains with every optimizer.", highlight=False)
        picture.draw(runs, variances, args.output)
    console.print(f"Loss curves: {args.output}", highlight=False)
    if differing := [name for name, run in runs.items() if not run.same_bits]:
        print(f"weights that differ from the reference's: {', '.join(differing)}", file=sys.stderr)
        return 1
    return 0


def _results(runs: dict[str, Run]) -> Table:
    title = "Handwritten digits; ms in the optimizer, ours and NumPy's"
    table = Table(box=box.SIMPLE_HEAD, padding=0, title=title)
    table.add_column("\noptimizer", no_wrap=True)
    for heading in HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, run in runs.items():
        table.add_row(
            name,
            f"{run.test_accuracy:.1%}",
            f"{run.losses[-1]:.4f}",
            f"{run.test_losses[-1]:.3f}",
            f"{run.steps:,}",
            f"{run.seconds * 1e3:.0f}",
            f"{run.reference_seconds * 1e3:.0f}",
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
