"""What the package costs where there is next to nothing to compute: a small call, the import, a unit that has died."""

import subprocess
import sys
import time
from argparse import ArgumentParser
from dataclasses import asdict, dataclass
from timeit import Timer

import numpy as np

import fusedoptim as fo
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from rich import box, print
    from rich.table import Table

    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.competitors import OURS, Workload
    from fusedoptim.cli.bench.timing import Spread, interleave, ratio


@dataclass(frozen=True)
class Cost:
    what: str
    unit: str
    measured: Spread
    target: float  # at most


def small_calls(repetitions: int) -> list[Cost]:
    """A step on 16 elements, in units of the cheapest thing NumPy does with them."""
    w, g, m, v, a, b = np.ones((6, 16), np.float32)
    names = {"np": np, "kernels": fo.kernels, "opt": fo.Adam(np.ones_like(w)), **locals()}
    statements = {
        "np.add": "np.add(a, b, out=a)",
        "kernels.adam": "kernels.adam(w, g, m, v, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, t=10)",
        "Adam.step": "opt.step(g)",
    }
    seconds = interleave({name: Timer(code, globals=names) for name, code in statements.items()}, repetitions)
    return [
        Cost(f"{name}, n = 16", "x np.add", ratio(seconds[name], seconds["np.add"]), target)
        for name, target in (("kernels.adam", 6), ("Adam.step", 8))
    ]


def importing(repetitions: int) -> Cost:
    """What fusedoptim adds to the import of NumPy, in fresh processes."""
    run("import numpy, fusedoptim")  # leaves all files in the page cache
    extra_ms = [1e3 * (run("import numpy, fusedoptim") - run("import numpy")) for _ in range(repetitions)]
    return Cost("import fusedoptim", "ms", Spread.of(extra_ms), 50)


def run(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def dead_units(rule: str, repetitions: int, steps: int = 5000) -> Cost:
    """A step whose gradients have been zero for so long that the averages would be subnormal, against a normal one."""
    work = Workload(rule, 2**14)
    gradient = work.arrays[1]
    step = work.competitors()[OURS]
    normal = [array.copy() for array in work.arrays]
    gradient.fill(0)
    for _ in range(steps):
        step()
    dead = [array.copy() for array in work.arrays]

    def restore(name: str) -> None:  # into the same memory, whose place counts more than anything else here
        for array, values in zip(work.arrays, normal if name == "normal" else dead, strict=True):
            np.copyto(array, values)

    seconds = interleave({"normal": Timer(step), "dead": Timer(step)}, repetitions, restore)
    slower = ratio(seconds["dead"], seconds["normal"])
    percent = Spread(*(100 * (value - 1) for value in (slower.median, slower.low, slower.high)))
    return Cost(f"{rule}, {steps:,} zero gradients", "% slower", percent, 5)


def table(costs: list[Cost]) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("cost")
    for heading in ("median", "quartiles", "at most"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("unit", ""):
        table.add_column(heading, no_wrap=True)
    for cost in costs:
        spread = cost.measured
        verdict = "reached" if spread.median <= cost.target else "[bold red]missed"
        quartiles = f"{spread.low:.1f} ... {spread.high:.1f}"
        table.add_row(cost.what, f"{spread.median:.1f}", quartiles, f"{cost.target:g}", cost.unit, verdict)
    return table


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=arguments.positive, default=31, metavar="N", help="default: %(default)s")
    parser.add_argument("--json", type=arguments.result, metavar="PATH", help="write all figures there")
    args = parser.parse_args()
    dead = [dead_units(rule, args.repetitions) for rule in ("momentum", "rmsprop", "adam")]
    costs = [*small_calls(args.repetitions), importing(args.repetitions), *dead]
    print(table(costs))
    if args.json:
        report.write_json(args.json, report.machine(), [asdict(cost) for cost in costs])
