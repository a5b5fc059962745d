"""What the package costs where there is next to nothing to compute: a small call, the import, a unit that has died."""

import subprocess
import sys
import time
from argparse import ArgumentParser
from timeit import Timer

import numpy as np

import fusedoptim as fo
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from fusedoptim.cli.bench.competitors import OURS, Workload
    from fusedoptim.cli.bench.timing import Spread, interleave, ratio
    from goals import Figure, tell


def small_calls(repetitions: int) -> list[Figure]:
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
        Figure(f"{name}, n = 16", "x np.add", ratio(seconds[name], seconds["np.add"]), goal)
        for name, goal in (("kernels.adam", "<= 6"), ("Adam.step", "<= 8"))
    ]


def importing(repetitions: int) -> Figure:
    """What fusedoptim adds to the import of NumPy, in fresh processes."""
    run("import numpy, fusedoptim")  # leaves all files in the page cache
    seconds = [run("import numpy, fusedoptim") - run("import numpy") for _ in range(repetitions)]
    return Figure("import fusedoptim", "ms", Spread.of(seconds, 1e3), "<= 50")


def run(code: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begin


def dead_units(rule: str, repetitions: int, steps: int = 5000) -> Figure:
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
    slower = [dead / normal - 1 for normal, dead in zip(*seconds.values(), strict=True)]
    return Figure(f"{rule}, {steps:,} zero gradients", "% slower", Spread.of(slower, 100), "<= 5")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    arguments.measuring(parser, repetitions=31)
    args = parser.parse_args()
    dead = [dead_units(rule, args.repetitions) for rule in ("momentum", "rmsprop", "adam")]
    tell([*small_calls(args.repetitions), importing(args.repetitions), *dead], args.json)
