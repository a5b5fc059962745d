"""Steps with weights, gradients and states of 32, 16 and 8 bits: each format against float32, against a loop that moves as
many bytes, and against peers. First every step is checked: ours on the first 65,280 elements to the bit.
"""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from timeit import Timer
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim import _core, reference
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra
from fusedoptim.core.arena import allocate
from fusedoptim.numerics import formats
from fusedoptim.reference import Array

with extra("bench"):
    from rich.console import Console

    from formats import ALL, FLOAT32, FORMATS, Format, wide
    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.blocks import BLOCK, fill, holds
    from fusedoptim.cli.bench.competitors import LIMIT, MismatchError
    from fusedoptim.cli.bench.timing import Spread, interleave, ratio
    from narrow_peers import LR, PEERS, Make, missing, set_threads

FACTORS = (1.0, -0.5, 3.0)  # of the gradient in the steps of a check: Adam would not notice a constant factor
OURS, UNIT = "ours", "our float32"


@dataclass(frozen=True)
class Rule:
    """What steps, and the loop of as many arrays with no arithmetic but one addition; all formats or two."""

    optimizer: type[fo.Optimizer]
    loop: Callable[..., None]
    arrays: int  # of the loop
    formats: tuple[str, ...] = (FLOAT32, ALL)

    @property
    def bytes(self) -> int:
        """That the loop moves an element: of all arrays but the gradient twice."""
        return 4 * (2 * self.arrays - 1)


RULES = {
    "adam": Rule(fo.Adam, _core.traffic2, 4, tuple(FORMATS)),
    "momentum": Rule(fo.Momentum, _core.traffic1, 3),
    "lion": Rule(fo.Lion, _core.traffic1, 3),
}


@dataclass(frozen=True)
class FormatTime:
    """What one competitor took for one step."""

    rule: str
    format: str
    competitor: str
    parameters: int
    threads: int
    bytes_moved: float  # a parameter; of peers: by ours
    bytes_kept: float  # a parameter: weights, states, copies
    nanoseconds: Spread  # a parameter
    gb_per_second: float
    share: Spread  # the time of the limit over this one
    speedup: Spread  # the time of our float32 step over this one
    times: Spread  # this one over ours


class Tensor:
    """Numbers that repeat a block, and what steps on them have to come to."""

    def __init__(self, name: str, n: int) -> None:
        self.name, self.rule, self.n = name, RULES[name], n
        # To the bit, in whole blocks of 8 bits.
        self.checked = n if n < BLOCK else BLOCK // formats.BLOCK * formats.BLOCK
        self.w, self.g = np.random.default_rng(0).standard_normal((2, BLOCK), np.float32)

    def laid_out(self, form: Format) -> tuple[Array, Array]:
        """Weights and gradients in a format, in huge pages."""
        made = []
        for slot, block in enumerate((form.weights(self.w), form.gradients(self.g))):
            (array,) = allocate([((self.n,), block.dtype)], slot)
            fill(block, array)
            made.append(array)
        return made[0], made[1]

    def ours(self, name: str) -> "Ours":
        form = FORMATS[name]
        own = Ours(form, self.rule.optimizer, *self.laid_out(form))
        self.check(name, form, own.step, own.grads, own.opt.params)
        for array, expected in zip(own.arrays(), self.expected(name, form), strict=True):
            if array[: len(expected)].tobytes() != expected.tobytes():
                raise MismatchError(f"{self.name}, {name}: other bits than the reference")
        return own

    def peer(self, who: str, make: Make, form: Format) -> Callable[[], None]:
        weights, grads = self.laid_out(form)
        step = make(weights, grads)
        self.check(who, form, step, grads, weights)
        return step

    def check(self, who: str, form: Format, step: Callable[[], None], grads: Array, weights: Array) -> None:
        """Steps, and compares all weights with those of the reference in float32."""
        w, states = self.w.copy(), np.zeros((self.rule.arrays - 2, BLOCK), np.float32)
        for t, factor in enumerate(FACTORS, start=1):
            g = np.float32(factor) * self.g
            fill(form.gradients(g), grads)
            step()
            self.reference(w, g, *states, t=t)
        if not holds(w, weights, same=alike):
            raise MismatchError(f"{who} computes another step than the reference")

    def reference(self, *arrays: Any, t: int, **random: Any) -> None:
        hyper = {"t": t} if "t" in _core.rule_hypers[self.name] else {}
        getattr(reference, self.name)(*arrays, lr=LR, **hyper, **random)

    def expected(self, name: str, form: Format) -> list[Array]:
        """The bits of a check's first elements: weights, their rest, states, the scales of codes, a copy."""
        w: Any = form.weights(self.w[: self.checked])
        if form.keywords.get("rounding") == "split":
            w = w, np.zeros(self.checked, np.int16)
        states = [self.stored(state, form.keywords.get("state_dtype")) for state in _core.narrow_states[self.name]]
        for t, factor in enumerate(FACTORS, start=1):
            g = form.gradients(np.float32(factor) * self.g[: self.checked])
            self.reference(w, g, *states, t=t, random=None if name == "nearest" else (0, t, 0))
        copy = [formats.to_bfloat16(w)] if form.copies else []
        return [part for array in (w, *states) for part in (array if isinstance(array, tuple) else (array,))] + copy

    def stored(self, state: str, dtype: str | None) -> Any:
        zeros = np.zeros(self.checked, np.float32)
        if dtype == "float8":
            return formats.to_codes(zeros, _core.narrow_states[self.name][state])
        return formats.bfloat16(formats.to_bfloat16(zeros)) if dtype == "bfloat16" else zeros

    def limit(self, bytes_moved: float) -> Callable[[], None]:
        """The loop, over as much float32 as moves so many bytes a parameter."""
        n = round(self.n * bytes_moved / self.rule.bytes)
        buffers = [allocate([((n,), np.dtype(np.float32))], slot)[0] for slot in range(self.rule.arrays)]
        fill(self.g, *buffers)
        return partial(self.rule.loop, *buffers)


def alike(part: Array, values: Array) -> bool:
    """As near as 8 bits come, which lose what is tiny beside others of its block."""
    return bool(np.mean(np.abs(wide(part) - values)) < LR / 10)


class Ours:
    """An optimizer with its gradients bound."""

    def __init__(self, form: Format, kind: type[fo.Optimizer], weights: Array, grads: Array) -> None:
        self.form, self.grads = form, grads
        self.opt = form.make(kind, weights, lr=LR)
        self.opt.bind(grads)
        self.step = self.opt.step

    def arrays(self) -> list[Array]:
        """What it writes: the weights, their rest, states and their scales, the copy."""
        states = dict(self.opt.state)
        rest = [states.pop("w_low")] if "w_low" in states else []
        return [self.opt.params, *rest, *states.values(), *([self.opt.copy_to] if self.form.copies else [])]

    @property
    def kept(self) -> float:
        """Bytes a parameter."""
        return sum(array.nbytes for array in self.arrays()) / self.grads.size

    @property
    def moved(self) -> float:
        """Bytes a parameter: what it writes it has read before, but for a copy; and the gradient."""
        copied = self.opt.copy_to.itemsize if self.form.copies else 0
        return 2 * self.kept - copied + self.grads.itemsize

    @property
    def passing(self) -> float:
        """Bytes a parameter that memory sees: a line that is only written is fetched all the same."""
        return self.moved + (self.opt.copy_to.itemsize if self.form.copies else 0)


def measure(args: Namespace, say: Console) -> Iterator[FormatTime]:
    for rule in args.rules:
        for exponent in args.exponents:
            tensor = Tensor(rule, 2**exponent)
            unit = tensor.ours(FLOAT32)
            for name in [name for name in RULES[rule].formats if name in args.formats]:
                say.print(f"{rule}, 2^{exponent}, {name} ...", highlight=False)
                own = unit if name == FLOAT32 else tensor.ours(name)
                steps = {UNIT: unit.step, OURS: own.step, LIMIT: tensor.limit(own.passing)}
                steps |= dict(peers(tensor, name, args.peers, say))
                for threads in args.threads:
                    set_threads(threads)
                    seconds = interleave({who: Timer(step) for who, step in steps.items()}, args.repetitions)
                    yield from times(tensor, name, own, threads, seconds)


def peers(tensor: Tensor, name: str, asked: list[str], say: Console) -> Iterator[tuple[str, Callable[[], None]]]:
    """Those who do what a format does."""
    for who in asked:
        make = PEERS[who].beside.get(name)
        if make is None or tensor.name != "adam":
            continue
        try:
            yield who, tensor.peer(who, make, FORMATS[name])
        except Exception as exception:  # noqa: BLE001 - what a peer may raise is beyond us
            reason = str(exception).strip().partition("\n")[0]
            say.print(f"{who}: left out, {type(exception).__name__}: {reason}", markup=False)


def times(tensor: Tensor, name: str, own: Ours, threads: int, seconds: dict[str, list[float]]) -> Iterator[FormatTime]:
    unit = seconds.pop(UNIT)
    for who, samples in seconds.items():
        nanoseconds = Spread.of(samples, 1e9 / tensor.n)
        yield FormatTime(
            *(tensor.name, name, who, tensor.n, threads, own.moved, own.kept, nanoseconds),
            (own.passing if who == LIMIT else own.moved) / nanoseconds.median,
            *(ratio(seconds[LIMIT], samples), ratio(unit, samples), ratio(samples, seconds[OURS])),
        )


HEADINGS = [
    *("\nformat", "bytes\nmoved", "bytes\nkept", "\nns/param", "\nquartiles", "\nGB/s"),
    *("share of\nthe limit", "times as fast\nas float32", "ours is times\nas fast"),
]


def table(found: list[FormatTime]) -> Any:
    lines = []
    for f in found:
        ns = f"{f.nanoseconds.median:.3g}", f.nanoseconds.quartiles, f"{f.gb_per_second:.3g}"
        if f.competitor == OURS:
            share = f"{f.share.median:.2f}"
            lines.append(
                [f.format, f"{f.bytes_moved:.4g}", f"{f.bytes_kept:.4g}", *ns, share, f"{f.speedup.median:.2f}", ""]
            )
        else:
            lines.append([f"  {f.competitor}", "", "", *ns, "", f"{f.speedup.median:.2f}", f"{f.times.median:.2f}"])
    n, threads = found[0].parameters, found[0].threads
    title = f"{found[0].rule}, 2^{n.bit_length() - 1} parameters, {threads} threads"
    return report.table(HEADINGS, lines, title=title, caption=CAPTION)


def markdown(found: list[FormatTime]) -> str:
    """A table for each rule and size, with a column for each number of threads."""
    tables = []
    for (rule, n), group in groupby(found, lambda f: (f.rule, f.parameters)):
        of_size = [f for f in group if f.competitor != LIMIT]
        threads = sorted({f.threads for f in of_size})
        heads = [f"{k} thread{'s' * (k > 1)}: ns a parameter (× float32, of the limit)" for k in threads]
        lines = [
            f"| {rule}, 2^{n.bit_length() - 1} | bytes | {' | '.join(heads)} |",
            f"|---|---:|{'---:|' * len(threads)}",
        ]
        for name, who in dict.fromkeys((f.format, f.competitor) for f in of_size):
            each = [f for f in of_size if (f.format, f.competitor) == (name, who)]
            cells = [f"{f.nanoseconds.median:.3f} ({f.speedup.median:.2f}, {f.share.median:.2f})" for f in each]
            what = f"{name} | {each[0].bytes_moved:.3g}" if who == OURS else f"– {who} | "
            lines.append(f"| {what} | {' | '.join(cells)} |")
        tables.append("\n".join(lines) + "\n")
    return "\n".join(tables)


CAPTION = "limit: a float32 loop that moves as many bytes. float32: ours, in the same turns."


def main(args: Namespace) -> None:
    say = Console(stderr=True)
    for peer in filter(missing, args.peers):
        say.print(f"{peer}: {missing(peer)} is not installed", highlight=False)
    args.peers = [peer for peer in args.peers if not missing(peer)]
    cpus = len(os.sched_getaffinity(0))
    args.threads = sorted({min(threads, cpus) for threads in args.threads})
    machine = report.machine()  # its load is that before the measurement
    found = list(measure(args, say))
    console = report.console(args.json, 130)
    console.print("{cpu}, {isa}, load {load:.1f} before, {after:.1f} after".format(**machine, after=os.getloadavg()[0]))
    of_table = lambda f: (list(RULES).index(f.rule), f.parameters, f.threads)
    for _, group in groupby(sorted(found, key=of_table), of_table):
        console.print(table(list(group)))
    report.write_json(args.json, machine, found)
    if args.table:
        args.table.write_text(markdown(found))


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    add = parser.add_argument
    cpus = len(os.sched_getaffinity(0))
    add("--rules", nargs="+", choices=RULES, default=list(RULES), help="default: all")
    add("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="F", help="default: all")
    about = "sizes, 2^K parameters; default: %(default)s"
    add("--exponents", nargs="+", type=arguments.exponent, default=[20, 24], metavar="K", help=about)
    add(
        "--threads",
        nargs="+",
        type=arguments.positive,
        default=sorted({1, cpus}),
        metavar="N",
        help="default: 1 and all",
    )
    quick = [peer for peer in PEERS if peer != "torchao"]
    about = "default: all that are installed but torchao, which compiles for minutes"
    add("--peers", nargs="*", choices=PEERS, default=quick, metavar="P", help=about)
    arguments.measuring(parser, repetitions=9)
    add("--table", type=arguments.result, metavar="PATH", help="write tables in Markdown there")
    main(parser.parse_args())
