"""Adam on an embedding table of which a step touches few rows: against the step on all of it, and torch's SparseAdam."""

import math
from argparse import ArgumentParser
from collections.abc import Callable
from itertools import cycle
from timeit import Timer

import numpy as np

import fusedoptim as fo
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from fusedoptim.cli.bench.timing import Spread, interleave, ratio
    from fusedoptim.reference import Array
    from goals import Figure, tell

N_BATCHES = 16  # more than fit into a cache

Batch = tuple[Array, Array]  # rows, some of them twice, and their gradients
Step = Callable[[Batch], None]


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
    timers = {}
    for who, make in {"ours": ours, "ours, all rows": whole, "torch SparseAdam": torchs}.items():
        step, turn = make(np.ones((n_rows, width), np.float32)), cycle(batches)
        timers[who] = Timer(lambda step=step, turn=turn: step(next(turn)))
    seconds = interleave(timers, repetitions)
    figures = [Figure(who, "ms", Spread.of(samples, 1e3)) for who, samples in seconds.items()]
    for who, goal in (("ours, all rows", ">= 50"), ("torch SparseAdam", ">= 3")):
        figures.append(Figure(who, "x ours", ratio(seconds[who], seconds["ours"]), goal))
    return figures


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    for name, default in (("rows", 1_000_000), ("width", 64), ("touched", 4096)):
        parser.add_argument(f"--{name}", type=arguments.positive, default=default, help="default: %(default)s")
    arguments.measuring(parser, repetitions=15)
    args = parser.parse_args()
    check(args.width)
    title = f"{args.touched:,} rows of {args.rows:,} x {args.width}, float32, threads: at most {fo.get_num_threads()}"
    tell(measure(args.rows, args.width, args.touched, args.repetitions), args.json, title)
