"""How fast a step is inside a training loop: right after a matrix product, whose threads go on spinning for a while,
and beside processes that keep every CPU busy. Every competitor is a process of its own, and checked; they take turns.
"""

import math
import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain

from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    import numpy as np
    from rich.console import Console

    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.timing import Spread, ratio
    from peers import PEERS, missing
    from training import WHOSE
    from worker import Worker, WorkerError

SIZES, EXPONENTS = [33_000, 100_000, 300_000, 3_000_000, 25_000_000], [20, 24, 26]
LAYERS = ("pool", "openmp")
PARTS = ("step", "clip", "training")
ALONE, PRODUCT, BESIDE = "alone", "after a product", "beside spinning processes"
ONE = "ours, 1 thread"  # whose time is the unit
SINGLE = {"FUSEDOPTIM_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
SPIN = "import os, sys\nprint(flush=True)\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(10**6): pass"
LOSS = 0.05  # the relative difference that is allowed: scikit-learn's eps is another in the first steps

Sample = Callable[[], list[float]]


@dataclass(frozen=True)
class LoopTime:
    """What one competitor took for one thing in one situation."""

    what: str
    situation: str
    parameters: int
    competitor: str
    layer: str  # of ours
    threads: int | None  # of ours
    rounds: int
    samples: int
    milliseconds: Spread
    mean: float
    times: dict[str, Spread]  # as long as others, by the medians of each round
    mean_times: dict[str, Spread]  # by the means


class Bench:
    """The processes, and what has been measured."""

    def __init__(self, args: Namespace, say: Console, stack: ExitStack) -> None:
        self.args, self.say, self.stack = args, say, stack
        self.about: dict[str, dict[str, object]] = {}
        self.found: list[LoopTime] = []

    def tell(self, text: str) -> None:
        self.say.print(text, markup=False, highlight=False, soft_wrap=True)

    def start(self, name: str, peer: str, **environment: str) -> Worker:
        worker = self.stack.enter_context(Worker(name, peer, environment))
        about = worker.call("about")
        self.about[name] = about if peer == "ours" else {"layer": "", "threads": None}
        return worker

    def ours(self) -> list[Worker]:
        """On one thread, then with the default threads of each layer, as far as there are several."""
        workers, layers = [self.start(ONE, "ours", **SINGLE)], set()
        for asked in self.args.layers:
            try:
                worker = self.start(f"ours, {asked}", "ours", FUSEDOPTIM_THREADING_LAYER=asked)
            except WorkerError as error:
                self.tell(f"layer {asked}: left out, {error}")
                continue
            layer = str(self.about[worker.name]["layer"])
            if layer in layers:
                self.tell(f"layer {asked}: left out, it is {layer} here, which is measured already")
                continue
            if layer != asked:
                self.about[f"ours, {layer}"] = self.about.pop(worker.name)
                worker.name = f"ours, {layer}"
            layers.add(layer)
            workers.append(worker)
        return workers

    def peers(self, names: list[str], **environment: str) -> list[Worker]:
        for peer in filter(missing, names):
            self.tell(f"{peer}: left out, {missing(peer)} is not installed")
        present = [peer for peer in names if not missing(peer)]
        single = ", 1 thread" if environment else ""
        return [self.start(f"{peer}{single}", peer, **environment) for peer in present]

    def make(
        self, workers: list[Worker], n: int, variants: tuple[str, ...]
    ) -> dict[tuple[str, str], Callable[..., Sample]]:
        """What takes samples, by competitor and variant, of those that are right."""
        ready: dict[tuple[str, str], Callable[..., Sample]] = {}
        for worker in workers:
            worker.call("drop")
            for variant in variants:
                try:
                    job = worker.call("make", peer=worker.peer, model=str(n), variant=variant)
                except WorkerError as error:
                    if worker.peer == "ours":
                        raise
                    self.tell(f"{worker.name}: left out, {error}")
                    break
                ready[worker.name, variant] = partial(partial, worker.call, "time", job=job, steps=steps_of(n))
        return ready

    def steps(self, workers: list[Worker]) -> None:
        for n in self.args.n:
            ready = self.make(workers, n, ("step",))
            for situation in self.args.situations:
                self.tell(f"{n:,} parameters, {situation} ...")
                samples = {name: take(product=situation == PRODUCT) for (name, _), take in ready.items()}
                with spinning(situation == BESIDE):
                    self.measure(n, "step", situation, samples)

    def clip(self, ours: Worker, peers: list[Worker]) -> None:
        for exponent in self.args.clip_exponents:
            self.tell(f"2^{exponent} parameters, clip + step ...")
            ready = self.make([ours, *peers], 2**exponent, ("step", "clip"))
            samples = {f"{name}: {variant}": take(product=False) for (name, variant), take in ready.items()}
            self.about |= {f"{name}: {variant}": self.about[name] for name, variant in ready}
            self.measure(2**exponent, "clip", ALONE, samples)
        for worker in (ours, *peers):
            worker.call("drop")

    def training(self, ours: list[Worker]) -> None:
        with Worker(WHOSE, "", {}) as stock:
            self.about[WHOSE] = {"layer": "", "threads": None}
            data = {"samples": 256, "iterations": 1} if self.args.quick else {"samples": 1797, "iterations": 3}
            calls = {w.name: partial(w.call, "train", ours=w is not stock, **data) for w in (stock, *ours)}
            self.tell("a whole training loop ...")
            results = {name: call() for name, call in calls.items()}
            losses = {name: loss for name, (_, loss, _) in results.items()}
            for name, loss in losses.items():
                if not math.isclose(loss, losses[WHOSE], rel_tol=LOSS):
                    raise WorkerError(f"{name} comes to a loss of {loss:.4g}, and {WHOSE} to {losses[WHOSE]:.4g}")
            samples = {name: partial(lambda call: [call()[0]], call) for name, call in calls.items()}
            self.measure(results[WHOSE][2], "training", ALONE, samples)

    def measure(self, n: int, what: str, situation: str, samples: dict[str, Sample]) -> None:
        """All in turns, each round beginning with another."""
        names = list(samples)
        rounds: dict[str, list[list[float]]] = {name: [] for name in names}
        for k in range(self.args.repetitions):
            first = k % len(names)
            for name in names[first:] + names[:first]:
                rounds[name].append(samples[name]())
        medians = {name: [float(np.median(each)) for each in rounds[name]] for name in names}
        means = {name: [float(np.mean(each)) for each in rounds[name]] for name in names}
        units = [name for name in names if name.partition(":")[0] == ONE]
        for name in names:
            pooled = list(chain(*rounds[name]))
            self.found.append(
                LoopTime(
                    *(what, situation, n, name, self.about[name]["layer"], self.about[name]["threads"]),
                    *(len(rounds[name]), len(pooled), Spread.of(pooled, 1e3), 1e3 * float(np.mean(pooled))),
                    *({unit: ratio(of[name], of[unit]) for unit in units} for of in (medians, means)),
                )
            )


def steps_of(n: int) -> int:
    """Of a turn."""
    return max(3, min(30, 30_000_000 // n))


@contextmanager
def spinning(wanted: bool) -> Iterator[None]:
    """A process on each CPU that this one may use; they also end when this one is killed."""
    command = [sys.executable, "-I", "-S", "-c", SPIN, str(os.getpid())]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in os.sched_getaffinity(0) if wanted else ():
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        for process in processes:
            assert process.stdout
            process.stdout.readline()  # it has begun
        yield
    finally:
        for process in processes:
            process.kill()
        for process in processes:
            process.communicate()


def show(found: list[LoopTime], console: Console) -> None:
    """A table for each size and situation."""
    titles = {
        "step": "Adam, {n:,} parameters, {situation}",
        "clip": "on one thread, {n:,} parameters, a step and clip + step",
        "training": "a training loop of {n:,} parameters",
    }
    groups: dict[tuple[str, int, str], list[LoopTime]] = {}
    for each in found:
        groups.setdefault((each.what, each.parameters, each.situation), []).append(each)
    for (what, n, situation), group in groups.items():
        units = list(group[0].times)
        of = [f"x {unit.partition(': ')[2] or unit.partition(', ')[2]}" for unit in units]
        headings = [
            "\ncompetitor",
            "\nms",
            "\nquartiles",
            "\nmean",
            *(f"{x},\n{by}" for x in of for by in ("median", "mean")),
        ]
        lines = []
        for each in group:
            times = [f"{by[unit].median:.3g}" for unit in units for by in (each.times, each.mean_times)]
            ms = each.milliseconds
            lines.append([each.competitor, f"{ms.median:.3g}", ms.quartiles, f"{each.mean:.3g}", *times])
        title = titles[what].format(n=n, situation=situation)
        one = group[0]
        each_of = {"training": "whole runs"}.get(what, "single steps")
        caption = f"{one.samples} {each_of} in {one.rounds} rounds; x: how many times as long as ours on one thread"
        console.print(report.table(headings, lines, title=title, caption=caption))


def run(args: Namespace) -> int:
    machine = report.machine()  # its load is that before the measurement
    with ExitStack() as stack:
        bench = Bench(args, Console(stderr=True), stack)
        try:
            ours = bench.ours()
            if "step" in args.parts:
                bench.steps([*ours, *bench.peers(args.peers)])
            if "clip" in args.parts:
                bench.clip(ours[0], bench.peers([peer for peer in args.peers if peer == "numba"], **SINGLE))
            if "training" in args.parts:
                bench.training(ours)
        except WorkerError as error:
            bench.tell(str(error))
            return 1
    console = report.console(args.json)
    console.print("{cpu}, {isa}, load {load:.1f} before, {after:.1f} after".format(**machine, after=os.getloadavg()[0]))
    show(bench.found, console)
    report.write_json(args.json, machine, bench.found)
    return 0


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--n", nargs="+", type=arguments.positive, metavar="N", help=f"parameters; default: {' '.join(map(str, SIZES))}"
    )
    add("--layers", nargs="*", default=list(LAYERS), metavar="L", help="threading layers of ours; default: pool openmp")
    peers = [peer for peer in PEERS if peer in ("torch-fused", "numba")]
    add("--peers", nargs="*", choices=PEERS, default=peers, metavar="P", help=f"default: {' '.join(peers)}")
    situations = {"alone": ALONE, "product": PRODUCT, "beside": BESIDE}
    add("--situations", nargs="+", choices=situations, default=list(situations), help="of a step; default: all")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what is measured; default: all")
    exponent, text = arguments.exponent, "of 2, the parameters of clip + step; default: 20 24 26"
    add("--clip-exponents", nargs="+", type=exponent, metavar="K", help=text)
    add("--quick", action="store_true", help="only to see that it works: 33,000 parameters, two rounds")
    arguments.measuring(parser, repetitions=15)
    args = parser.parse_args()
    args.situations = [situations[name] for name in args.situations]
    args.n = args.n or (SIZES[:1] if args.quick else SIZES)
    args.clip_exponents = args.clip_exponents or ([12, 16] if args.quick else EXPONENTS)
    args.repetitions = min(args.repetitions, 2) if args.quick else args.repetitions
    raise SystemExit(run(args))
