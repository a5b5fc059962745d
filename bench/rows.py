"""Adam on an embedding table of which a step touches few rows: against the step on all of it, and torch's SparseAdam."""

import math
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import cycle
from timeit import Timer

import numpy as np

import fusedoptim as fo
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from rich import box, print
    from rich.table import Table

    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.timing import Spread, interleave, ratio
    from fusedoptim.reference import Array

N_BATCHES = 16  # more than fit into a cache

Batch = tuple[Array, Array]  # rows, some of them twice, and their gradients
Step = Callable[[Batch], None]


@dataclass(frozen=True)
class Figure:
    who: str
    milliseconds: Spread
    times_ours: Spread
    goal: float | None  # at least


def draw(n_rows: int, width: int, touched: int) -> list[Batch]:
    rng = np.random.default_rng(0)
    return [
        (rng.integers(0, n_rows, touched), rng.normal(size=(touched, width)).astype(np.float32))
        for _ in range(N_BATCHES)
    ]


def ours(table: Array) -> Step:
    optimizer = fo.SparseAdam(table)
    return lambda batch: optimizer.step(fo.RowGrad(*batch))


def whole(table: Array) -> Step:
    """The dense step, whose gradient lies there already: what makes it of the batch is not counted."""
    optimizer, gradient = fo.Adam(table), np.ones_like(table)
    return lambda batch: optimizer.step(gradient)


def torchs(table: Array) -> Step:
    """Makes the sparse gradient in the step, without a copy, as ours does."""
    import torch

    param = torch.from_numpy(table).requires_grad_()
    optimizer = torch.optim.SparseAdam([param])

    def step(batch: Batch) -> None:
        rows, values = map(torch.from_numpy, batch)
        param.grad = torch.sparse_coo_tensor(rows[None], values, table.shape, check_invariants=False)
        optimizer.step()

    return step


def check(width: int) -> None:
    """On a small table, ours is the reference to the bit, and torch's but for rounding."""
    batches = draw(100, width, 80)
    start = np.random.default_rng(1).uniform(1, 2, (100, width)).astype(np.float32)
    tables = [start.copy() for _ in range(3)]
    m, v = np.zeros((2, *start.shape), np.float32)
    steps = [ours(tables[0]), torchs(tables[1])]
    for t, batch in enumerate(batches, start=1):
        for step in steps:
            step(batch)
        eps = 1e-8 / math.sqrt(1 - fo.reference.power(0.999, t))
        fo.reference.adam_rows(tables[2], *batch, m, v, eps=eps, t=t)
    if tables[0].tobytes() != tables[2].tobytes():
        raise SystemExit("ours has other bits than the reference")
    np.testing.assert_allclose(tables[1], tables[2], rtol=1e-5)


def measure(n_rows: int, width: int, touched: int, repetitions: int) -> list[Figure]:
    batches = draw(n_rows, width, touched)
    goals = {"ours": (ours, None), "ours, all rows": (whole, 50.0), "torch SparseAdam": (torchs, 3.0)}
    timers = {}
    for who, (make, _) in goals.items():
        step, turn = make(np.ones((n_rows, width), np.float32)), cycle(batches)
        timers[who] = Timer(lambda step=step, turn=turn: step(next(turn)))
    seconds = interleave(timers, repetitions)
    return [
        Figure(who, Spread.of([1e3 * s for s in seconds[who]]), ratio(seconds[who], seconds["ours"]), goal)
        for who, (_, goal) in goals.items()
    ]


def table(title: str, figures: list[Figure]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=title)
    table.add_column("step")
    for heading in ("ms", "quartiles", "times ours", "goal"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for f in figures:
        quartiles = f"{f.milliseconds.low:.3g} - {f.milliseconds.high:.3g}"
        row = [f.who, f"{f.milliseconds.median:.3g}", quartiles, f"{f.times_ours.median:.3g}"]
        if f.goal is not None:
            row += [f"{f.goal:g}", "reached" if f.times_ours.median >= f.goal else "[bold red]missed"]
        table.add_row(*row)
    return table


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    for name, default in (("rows", 1_000_000), ("width", 64), ("touched", 4096), ("repetitions", 15)):
        parser.add_argument(f"--{name}", type=arguments.positive, default=default, help="default: %(default)s")
    parser.add_argument("--json", type=arguments.result, metavar="PATH", help="write all figures there")
    args = parser.parse_args()
    check(args.width)
    figures = measure(args.rows, args.width, args.touched, args.repetitions)
    threads = fo.get_num_threads()
    print(table(f"{args.touched:,} rows of {args.rows:,} x {args.width}, float32, threads: at most {threads}", figures))
    if args.json:
        report.write_json(args.json, report.machine(), [asdict(figure) for figure in figures])
