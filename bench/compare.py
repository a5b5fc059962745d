"""The whole training step against its peers. First every competitor is checked for doing the same update, then all are
timed in turns. Each number of threads is a process of its own, for some peers fix theirs when they start."""

import os
import pickle
import resource
import subprocess
import sys
import tempfile
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from rich.console import Console

    import results
    from field import Field
    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.competitors import LIMIT, MismatchError
    from fusedoptim.cli.bench.timing import Spread, ratio
    from models import MODELS, VARIANTS
    from peers import OURS, PEERS, Competitor, missing

LARGE = 2**25  # parameters, from which the peers are made and timed one after another, each beside ours


def measure(field: Field, args: Namespace, say: Console) -> Iterator[results.StepTime]:
    """Checks all competitors, then times them; with --check the second is left out."""
    ready: dict[str, Competitor] = {}

    def prepare(name: str) -> bool:
        try:
            competitor = field.make(name)
            error = field.check(name, competitor)
        except Exception as exception:  # what a peer may raise is beyond us
            if name in OURS:
                raise
            reason = str(exception).strip().partition("\n")[0]
            say.print(f"{name}: left out on {field.model}, {type(exception).__name__}: {reason}", markup=False)
            return False
        if abs(error) > 1e-4:
            say.print(f"{name}: on {field.model}, the norm by which it clips is wrong by {error:.2%}", highlight=False)
        ready[name] = competitor
        if args.check:
            say.print(f"{field.model}, {field.name}: {name} does the same update", highlight=False)
        return True

    large = field.total > LARGE
    anchors = ["ours", "ours arena"] if large else list(OURS)
    others = [name for name in (*OURS, *args.peers) if name not in anchors]
    groups = [[], *([name] for name in others)] if large else [others]
    for name in anchors:
        prepare(name)
    for k, group in enumerate(groups):
        present = [name for name in group if prepare(name)]
        if not args.check and (present or k == 0):
            seconds = field.time(ready, args.repetitions, limit=k == 0)
            yield from step_times(field, args.threads[0], seconds, present if k else list(seconds))
        if large:
            for name in present:
                del ready[name]


def step_times(
    field: Field, threads: int, seconds: dict[str, list[float]], names: list[str]
) -> Iterator[results.StepTime]:
    of_what = field.model, field.total, len(field.weights), field.name, threads
    for name in names:
        milliseconds = Spread.of(seconds[name], 1e3)
        moved = VARIANTS["step" if name == LIMIT else field.name].bytes * field.total
        times = {ours: ratio(seconds[name], seconds[ours]) for ours in OURS if ours in seconds and ours != name}
        yield results.StepTime(*of_what, name, milliseconds, moved / milliseconds.median / 1e6, times)


def child(args: Namespace) -> int:
    """The measurement with one number of threads, in the process of that number."""
    say = Console(stderr=True)
    found = []
    for peer in [peer for peer in args.peers if missing(peer)]:
        say.print(f"{peer}: {missing(peer)} is not installed", highlight=False)
        args.peers.remove(peer)
    machine = report.machine()  # its load is that before the measurement
    for model in args.models:
        for variant in args.variants:
            if not args.check:
                say.print(f"{args.threads[0]} threads, {model}, {variant} ...", highlight=False)
            try:
                found += measure(Field(model, variant), args, say)
            except MismatchError as mismatch:
                say.print(mismatch, highlight=False)
                return 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    args.child.write_bytes(pickle.dumps((machine | {"peak_gib": round(peak, 2)}, found)))
    return 0


def parent(args: Namespace, options: list[str]) -> int:
    available = sorted(os.sched_getaffinity(0))
    machine: dict[str, object] = {}
    found: list[results.StepTime] = []
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part"
        for threads in args.threads:
            cpus = available[:threads]
            done = subprocess.run(
                [sys.executable, __file__, *options, "--threads", str(len(cpus)), "--child", str(part)],
                check=False,
                env=os.environ | environment(len(cpus)),
                preexec_fn=partial(os.sched_setaffinity, 0, cpus),
            )
            if done.returncode != 0:
                return done.returncode
            of_child, steps = pickle.loads(part.read_bytes())
            machine = machine or of_child
            found += steps
    console = report.console(args.json)
    console.print("{cpu}, {isa}, load {load:.1f} before, {after:.1f} after".format(**machine, after=os.getloadavg()[0]))
    console.print(*results.tables(found))
    report.write_json(args.json, machine, found)
    if args.plot and found:
        results.draw(found, args.plot)
    return 0


def environment(threads: int) -> dict[str, str]:
    """The number of threads, in the words of each competitor."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA", "FUSEDOPTIM")
    flags = os.environ.get("XLA_FLAGS", "")
    if threads == 1:
        flags += " --xla_cpu_multi_thread_eigen=false"
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "2", "JAX_PLATFORMS": "cpu"}
    return {f"{name}_NUM_THREADS": str(threads) for name in names} | {"XLA_FLAGS": flags.strip()} | quiet


def model(text: str) -> str:
    power = text.removeprefix("2^")
    if text not in MODELS and not (power != text and power.isdecimal() and 4 <= int(power) <= 27):
        raise ArgumentTypeError(f"must be 2^4 ... 2^27, {', '.join(MODELS)}, got {text!r}")
    return text


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    everything = ["2^4", "2^8", "2^12", "2^16", "2^20", "2^24", "2^26", *MODELS]
    cpus = len(os.sched_getaffinity(0))
    add = parser.add_argument
    add(
        "--workloads",
        dest="models",
        nargs="+",
        type=model,
        default=everything,
        metavar="W",
        help="default: %(default)s",
    )
    add("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="default: all that are installed")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="default: all")
    threads = sorted({1, cpus})
    add("--threads", nargs="+", type=arguments.positive, default=threads, metavar="N", help="default: 1 and all")
    add("--check", action="store_true", help="only check that all do the same update")
    add("--plot", type=arguments.picture, metavar="PATH", help="draw a picture there")
    add("--child", type=Path, metavar="PATH", help="used by the program itself")
    arguments.measuring(parser, repetitions=15)
    args = parser.parse_args()
    raise SystemExit(child(args) if args.child else parent(args, sys.argv[1:]))
