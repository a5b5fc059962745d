"""What a step takes on many ranks, one a node, on paper: the model of latency and bandwidth, with this machine's arithmetic.

    python bench/scale.py --latency 2 --bandwidth 100     # microseconds; gigabits a second

T = 2 (P - 1) α + 8 f n β + f n a + (n / P) u + 2 log2(P) α,  f = (P - 1) / P, with a message's latency α, seconds of a byte β,
of an addition a and of an update u of an element; a and u are measured here, with one thread. With an all-reduce (a ring)
and a whole step on every rank it is 2 (P - 1) α + 8 f n β + f n a + n u.
"""

import math
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from timeit import Timer

import numpy as np
from rich import print

import fusedoptim as fo
from fusedoptim import _core
from fusedoptim.cli import arguments
from fusedoptim.cli.bench import report
from fusedoptim.cli.output import words

SIZES = [1_000_000, 25_000_000, 120_000_000]
RANKS = (2, 8, 32, 128, 512, 1024)
MEASURED = 1 << 24  # elements


@dataclass(frozen=True)
class Machine:
    latency: float  # seconds
    byte: float
    addition: float
    update: float


@dataclass(frozen=True)
class Step:
    """Seconds of the parts of a step."""

    parameters: int
    ranks: int
    latency: float
    messages: float
    sums: float
    update: float
    allreduce: float  # the whole step of the usual way

    @property
    def total(self) -> float:
        return self.latency + self.messages + self.sums + self.update


def step(n: int, ranks: int, machine: Machine) -> Step:
    sent = (ranks - 1) / ranks
    latency = 2 * (ranks - 1) * machine.latency
    messages, sums = 8 * sent * n * machine.byte, sent * n * machine.addition
    agreement = 2 * math.log2(ranks) * machine.latency
    usual = latency + messages + sums + n * machine.update
    return Step(n, ranks, latency + agreement, messages, sums, n / ranks * machine.update, usual)


def measured(latency: float, gigabits: float) -> Machine:
    w, g = np.zeros((2, MEASURED), np.float32)
    optimizer = fo.Adam(w, num_threads=1)
    update = min(Timer(lambda: optimizer.step(g)).repeat(5, 1)) / MEASURED
    addition = min(Timer(lambda: _core.write_mean(w, [w, g], 2, 1)).repeat(5, 1)) / MEASURED
    return Machine(latency * 1e-6, 8e-9 / gigabits, addition, update)


def advice(n: int, machine: Machine) -> str:
    """Where it stops, and what to do then."""
    bound = round(4 * n * machine.byte / machine.latency)
    floor = 8 * n * machine.byte + n * machine.addition
    return (
        f"{n:,}: no step is shorter than {1e3 * floor:.3g} ms, whatever the ranks: more of them serve larger batches. "
        f"Above {bound:,} ranks latency is more than the bytes of a message: more minibatches an update, or fewer ranks."
    )


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--latency", type=float, default=2.0, help="of a message, in microseconds")
    parser.add_argument("--bandwidth", type=float, default=100.0, help="of a rank, in gigabits a second")
    parser.add_argument("--n", type=arguments.positive, nargs="+", default=SIZES, help="parameters")
    arguments.json(parser, "the table")
    args = parser.parse_args()
    machine = measured(args.latency, args.bandwidth)
    steps = [step(n, ranks, machine) for n in args.n for ranks in RANKS]
    headings = ["parameters", "ranks", "latency", "messages", "sums", "update", "ms", "all-reduce", "MB a rank"]
    lines = [
        [
            f"{s.parameters:,}",
            f"{s.ranks:,}",
            *(f"{1e3 * x:.3g}" for x in (s.latency, s.messages, s.sums, s.update, s.total, s.allreduce)),
            f"{(8 + 8 / s.ranks) * s.parameters / 1e6:,.0f}",
        ]
        for s in steps
    ]
    title = f"α = {args.latency:g} µs, {args.bandwidth:g} Gb/s, a = {1e9 * machine.addition:.2f} ns, u = {1e9 * machine.update:.2f} ns"
    out = words(args.json)
    print(report.table(headings, lines, title=title), *(advice(n, machine) for n in args.n), sep="\n", file=out)
    report.write_json(args.json, report.machine() | asdict(machine), steps)


main()
