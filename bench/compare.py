"""The whole training step against its peers. First every competitor is checked for doing the same update, then all are
timed in turns. Each number of threads is a process of its own, for some peers fix theirs when they start."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from timeit import Timer

from fusedoptim import _core
from fusedoptim.arena import allocate
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    import numpy as np
    from rich.console import Console

    import results
    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.competitors import LIMIT, MismatchError
    from fusedoptim.cli.bench.timing import Spread, interleave, ratio
    from peers import OURS, PEERS, Competitor, missing
    from workloads import FACTORS, MODELS, NORM, VARIANTS, Variant, Workload, fill, holds

LARGE = 2**25  # parameters, from which the peers are made and timed one after another, each beside ours
MOST_CALLS = 256  # in a sample after which gradients are zero: more would let the averages decay into subnormals


@dataclass(frozen=True)
class Figure:
    """What one competitor took for one step."""

    workload: str
    parameters: int
    tensors: int
    variant: str
    threads: int
    competitor: str
    milliseconds: Spread
    gb_per_second: float  # as if in one pass
    times: dict[str, Spread]  # as long as ours


class Field:
    """The arrays of a workload, and whoever steps on them."""

    def __init__(self, work: Workload, variant: Variant) -> None:
        self.work, self.variant = work, variant
        self.weights, self.grads = work.empty(), work.empty()

    def make(self, name: str) -> Competitor:
        fill(self.weights, self.work.w)
        fill(self.grads, self.work.g)
        return (OURS | PEERS)[name](self.weights, self.grads, self.variant)

    def check(self, name: str, competitor: Competitor) -> float:
        """Raises MismatchError unless it does the update of the reference; returns the relative error of its norm."""
        norm = competitor.norm() or NORM
        fill(self.weights, self.work.w)
        for factor in FACTORS:
            fill(self.grads, np.float32(factor) * self.work.g)
            competitor.load(self.grads)
            competitor.step()
        weights, averages = competitor.result()
        same = len(averages) == (len(weights) if self.variant.ema is not None else 0)
        for arrays, block in zip((weights, averages), self.work.expected(self.variant, norm), strict=True):
            same = same and all(holds(array, block) for array in arrays)
        if self.variant.zero:
            same = same and not any(g.any() for g in competitor.grads)
        if not same:
            raise MismatchError(f"{name} computes another step than the reference on {self.work.name}")
        return norm / NORM - 1 if self.variant.clip is not None else 0.0

    def limit(self) -> Timer:
        """A loop with the loads and stores of a plain step, over one buffer in place of each kind of array."""
        buffers = [allocate([((self.work.total,), np.dtype(np.float32))], slot)[0] for slot in range(4)]
        for buffer in buffers:
            fill([buffer], self.work.g)
        return Timer(partial(_core.traffic2, *buffers))

    def time(self, competitors: dict[str, Competitor], repetitions: int, limit: bool) -> dict[str, list[float]]:
        def reset(name: str) -> None:
            if (self.variant.zero or self.variant.clip is not None) and name in competitors:
                fill(self.grads, self.work.g)
                competitors[name].load(self.grads)

        timers = {name: Timer(competitor.step) for name, competitor in competitors.items()}
        if limit:
            timers[LIMIT] = self.limit()
        return interleave(timers, repetitions, reset, MOST_CALLS)


def measure(work: Workload, variant: str, args: Namespace, say: Console) -> Iterator[Figure]:
    """Checks all competitors, then times them; with --check the second is left out."""
    field = Field(work, VARIANTS[variant])
    ready: dict[str, Competitor] = {}

    def prepare(name: str) -> bool:
        try:
            competitor = field.make(name)
            error = field.check(name, competitor)
        except Exception as exception:  # what a peer may raise is beyond us
            if name in OURS:
                raise
            reason = str(exception).strip().partition("\n")[0]
            say.print(f"{name}: left out on {work.name}, {type(exception).__name__}: {reason}", markup=False)
            return False
        if abs(error) > 1e-4:
            say.print(f"{name}: on {work.name}, the norm by which it clips is wrong by {error:.2%}", highlight=False)
        ready[name] = competitor
        if args.check:
            say.print(f"{work.name}, {variant}: {name} does the same update", highlight=False)
        return True

    large = work.total > LARGE
    anchors = ["ours", "ours arena"] if large else list(OURS)
    others = [name for name in (*OURS, *args.peers) if name not in anchors]
    groups = [[], *([name] for name in others)] if large else [others]
    for name in anchors:
        prepare(name)
    for k, group in enumerate(groups):
        present = [name for name in group if prepare(name)]
        if not args.check and (present or k == 0):
            seconds = field.time(ready, args.repetitions, limit=k == 0)
            yield from figures(work, variant, args.threads[0], seconds, present if k else list(seconds))
        if large:
            for name in present:
                del ready[name]


def figures(
    work: Workload, variant: str, threads: int, seconds: dict[str, list[float]], names: list[str]
) -> Iterator[Figure]:
    for name in names:
        milliseconds = Spread.of([1e3 * s for s in seconds[name]])
        moved = VARIANTS["step" if name == LIMIT else variant].bytes * work.total
        times = {ours: ratio(seconds[name], seconds[ours]) for ours in OURS if ours in seconds and ours != name}
        speed = moved / milliseconds.median / 1e6
        yield Figure(work.name, work.total, len(work.shapes), variant, threads, name, milliseconds, speed, times)


def child(args: Namespace) -> int:
    """The measurement with one number of threads, in the process of that number."""
    say = Console(stderr=True)
    found = []
    for peer in [peer for peer in args.peers if missing(peer)]:
        say.print(f"{peer}: {missing(peer)} is not installed", highlight=False)
        args.peers.remove(peer)
    machine = report.machine()  # its load is that before the measurement
    for name in args.workloads:
        work = Workload(name)
        for variant in args.variants:
            if not args.check:
                say.print(f"{args.threads[0]} threads, {name}, {variant} ...", highlight=False)
            try:
                found += map(asdict, measure(work, variant, args, say))
            except MismatchError as mismatch:
                say.print(mismatch, highlight=False)
                return 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    report.write_json(args.json, machine | {"peak_gib": round(peak, 2)}, found)
    return 0


def parent(args: Namespace, options: list[str]) -> int:
    available = sorted(os.sched_getaffinity(0))
    machine, found = {}, []
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part.json"
        for threads in args.threads:
            cpus = available[:threads]
            done = subprocess.run(
                [sys.executable, __file__, *options, "--threads", str(len(cpus)), "--json", str(part), "--child"],
                check=False,
                env=os.environ | environment(len(cpus)),
                preexec_fn=partial(os.sched_setaffinity, 0, cpus),
            )
            if done.returncode != 0:
                return done.returncode
            one = json.loads(part.read_text())
            machine = machine or one["machine"]
            found += one["results"]
    figures = [figure | {"milliseconds": Spread(**figure["milliseconds"])} for figure in found]
    for figure in figures:
        figure["times"] = {name: Spread(**spread) for name, spread in figure["times"].items()}
    figures = [Figure(**figure) for figure in figures]
    console = Console()
    console.width = max(console.width, 100)  # also where the output is a file
    console.print("{cpu}, {isa}, load {load:.1f} before, {after:.1f} after".format(**machine, after=os.getloadavg()[0]))
    console.print(*results.tables(figures))
    if args.json:
        report.write_json(args.json, machine, found)
    if args.plot and figures:
        results.draw(figures, args.plot)
    return 0


def environment(threads: int) -> dict[str, str]:
    """The number of threads, in the words of each competitor."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA", "FUSEDOPTIM")
    flags = os.environ.get("XLA_FLAGS", "")
    if threads == 1:
        flags += " --xla_cpu_multi_thread_eigen=false"
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
    return {f"{name}_NUM_THREADS": str(threads) for name in names} | {"XLA_FLAGS": flags.strip()} | quiet


def workload(text: str) -> str:
    power = text.removeprefix("2^")
    if text not in MODELS and not (power != text and power.isdecimal() and 4 <= int(power) <= 27):
        raise ArgumentTypeError(f"must be 2^4 ... 2^27, {', '.join(MODELS)}, got {text!r}")
    return text


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    everything = ["2^4", "2^8", "2^12", "2^16", "2^20", "2^24", "2^26", *MODELS]
    cpus = len(os.sched_getaffinity(0))
    parser.add_argument(
        "--workloads", nargs="+", type=workload, default=everything, metavar="W", help="default: %(default)s"
    )
    parser.add_argument(
        "--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all that are installed"
    )
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    parser.add_argument(
        "--threads",
        nargs="+",
        type=arguments.positive,
        default=sorted({1, cpus}),
        metavar="N",
        help="default: 1 and all",
    )
    parser.add_argument("--repetitions", type=arguments.positive, default=15, metavar="N", help="default: %(default)s")
    parser.add_argument("--check", action="store_true", help="only check that all do the same update")
    parser.add_argument("--json", type=arguments.result, metavar="PATH", help="write all figures there")
    parser.add_argument("--plot", type=arguments.picture, metavar="PATH", help="draw a picture there")
    parser.add_argument("--child", action="store_true", help="used by the program itself")
    args = parser.parse_args()
    raise SystemExit(child(args) if args.child else parent(args, sys.argv[1:]))
