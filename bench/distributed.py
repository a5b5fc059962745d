"""A sharded Adam against the usual way, an all-reduce and a whole step on every rank. Run by MPI's launcher:

    mpiexec -n 2 python -m mpi4py bench/distributed.py

Each rank is bound to a CPU of its own and steps with one thread. A rank that waits spins, so a sample counts only where no
rank lost its CPU meanwhile, as far as there are such samples.
"""

import os
import resource
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import fusedoptim as fo
from fusedoptim import _core
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra
from fusedoptim.core import tree

with extra("bench"):
    from fusedoptim.cli.bench.timing import Spread
    from fusedoptim.reference import Array
    from goals import Figure, tell

comm: Any = MPI.COMM_WORLD
P = comm.size
TENSORS = 37
SIZES = [1_000_000, 25_000_000, 120_000_000]
LR = 1e-4
MANY = 20  # calls
LEAST = 3  # undisturbed samples, or all count
Sample = tuple[float, bool]  # seconds of the slowest rank, and whether no rank lost its CPU


def nest(n: int) -> list[Array]:
    """Of so many elements, in tensors of sizes like a network's."""
    rng = np.random.default_rng(0)
    cuts = np.sort(rng.integers(0, n, TENSORS - 1))
    return [part.copy() for part in np.split(rng.standard_normal(n, np.float32), cuts)]


def minibatch(params: Any, rank: int) -> Any:
    rng = np.random.default_rng([1, rank])
    return tree.map_leaves(lambda w: rng.standard_normal(w.shape, np.float32), params)


def allreduce(params: list[Array]) -> tuple[Callable[[], None], fo.Adam, list[Array]]:
    """Gradients in one buffer, which is reduced in place, and a whole step on every rank."""
    weights, grads = fo.arena(params), fo.arena(params, slot=1)
    buffer = grads[0].base
    optimizer = fo.Adam(weights, lr=LR)
    optimizer.bind(grads)

    def step() -> None:
        comm.Allreduce(MPI.IN_PLACE, [buffer.view(np.float32), MPI.FLOAT])
        optimizer.step(grad_scale=float(P))

    return step, optimizer, grads


def sharded(params: list[Array], over: Any) -> tuple[fo.distributed.Sharded, Callable[[], None]]:
    optimizer = fo.distributed.Sharded(fo.Adam, params, over, lr=LR)
    return optimizer, optimizer.step


def many(call: Callable[[], None]) -> Callable[[], None]:
    """What takes less than the clock and the caches' warming up."""

    def calls() -> None:
        for _ in range(MANY):
            call()

    return calls


def sample(call: Callable[[], None]) -> Sample:
    comm.Barrier()
    switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
    begin = time.perf_counter()
    call()
    seconds = time.perf_counter() - begin
    lost = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - switches
    return comm.allreduce(seconds, MPI.MAX), comm.allreduce(lost, MPI.MAX) == 0


def interleaved(calls: dict[str, Callable[[], None]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each, in turns; the undisturbed ones, if there are some, else the fastest quarter."""
    found: dict[str, list[Sample]] = {name: [] for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            found[name].append(sample(call))
    return {name: chosen(samples) for name, samples in found.items()}


def chosen(samples: list[Sample]) -> list[float]:
    undisturbed = [seconds for seconds, alone in samples if alone]
    if len(undisturbed) >= LEAST:
        return undisturbed
    return sorted(seconds for seconds, _ in samples)[: max(LEAST, len(samples) // 4)]


def check(n: int) -> None:
    """All ways lead to the same weights: on two ranks, where there is one order to add in, with the same bits."""
    params = nest(n)
    step, plain, grads = allreduce(params)
    for own, g in zip(grads, minibatch(params, comm.rank), strict=True):
        own[:] = g
    step()
    for over in (comm, fo.distributed.SharedMemory(comm)):
        optimizer, _ = sharded(params, over)
        optimizer.step(minibatch(params, comm.rank))
        for got, wanted in zip(optimizer.params, plain.params, strict=True):
            if P <= 2:
                assert np.array_equal(got, wanted)
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def memory() -> float:
    """Bytes of this process, shared ones in proportion, in MiB."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def figures_of_memory(n: int) -> list[Figure]:
    """Each way by itself, after a step."""
    taken = {}
    for name in ("allreduce", "messages", "shared memory"):
        params = nest(n)
        before = memory()
        if name == "allreduce":
            step, *kept = allreduce(params)
        else:
            kept = list(sharded(params, comm if name == "messages" else fo.distributed.SharedMemory(comm)))
            step = kept[1]
        step()
        comm.Barrier()
        taken[name] = comm.allreduce(memory() - before) / P
        comm.Barrier()
        del step, kept, params
    less = {name: 100 * (1 - taken[name] / taken["allreduce"]) for name in ("messages", "shared memory")}
    goal = {2: ">= 22", 4: ">= 34"}.get(P, "")
    return [
        *(Figure(f"memory of a rank, {name}", "MiB", Spread.of([mib])) for name, mib in taken.items()),
        Figure("less memory, messages", "%", Spread.of([less["messages"]]), goal),
        Figure("less memory, shared memory", "%", Spread.of([less["shared memory"]]), goal),
    ]


def figures_of(n: int, repetitions: int) -> list[Figure]:
    params = nest(n)
    plain, whole, grads = allreduce(params)
    ours, step = sharded(params, comm)
    shared, shared_step = sharded(params, fo.distributed.SharedMemory(comm))
    for each in (grads, ours.grads, shared.grads):
        for own, g in zip(each, minibatch(params, comm.rank), strict=True):
            own[:] = g
    bucket = [np.ones(1 << 20, np.float32) for _ in range(2)]
    half = [part[: part.size // P] for part in bucket]
    calls = {
        "allreduce": plain,
        "messages": step,
        "shared memory": shared_step,
        "reduction": ours._reduction.finish,
        "own update": lambda: ours._inner.step(ours._holdings.of_group),
        "whole update": whole.step,
        "gather": ours._update.spread_all,
        "agreement": many(lambda: ours._agree_on_step(None, 1.0, False, {})),
        "sum": many(lambda: _core.write_mean(half[0], half, P, 1)),
        "copy": many(lambda: np.copyto(bucket[0], bucket[1])),
    }
    for call in calls.values():
        call()
    seconds = interleaved(calls, repetitions)
    least = {name: min(times) for name, times in seconds.items()}

    def times_as_fast(name: str) -> Spread:
        return Spread.of([slow / np.median(seconds[name]) for slow in seconds["allreduce"]])

    large = n >= 20_000_000
    efficiency = [np.median(seconds["whole update"]) / (P * own) for own in seconds["own update"]]
    return [
        *(
            Figure(f"step, {name}", "ms", Spread.of(seconds[name], 1e3))
            for name in ("allreduce", "messages", "shared memory")
        ),
        Figure("messages, as fast as allreduce", "x", times_as_fast("messages"), ">= 1.8" if large else ""),
        Figure("shared memory, as fast as allreduce", "x", times_as_fast("shared memory"), ">= 2.5" if large else ""),
        *(
            Figure(f"{name}, of an element", "ns", Spread.of(seconds[name], 1e9 / n))
            for name in ("reduction", "own update", "whole update", "gather")
        ),
        Figure("update: efficiency", "", Spread.of(efficiency), ">= 0.9"),
        Figure(
            "own sum, of an element of 4 MiB", "ns", Spread.of(seconds["sum"], 1e9 / MANY / bucket[0].size), "<= 0.15"
        ),
        Figure("agreement", "ms", Spread.of(seconds["agreement"], 1e3 / MANY), "<= 0.2"),
        Figure("a copy of 4 MiB: the machine", "GB/s", Spread.of([2 * MANY * bucket[0].nbytes / least["copy"] / 1e9])),
    ]


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=arguments.positive, nargs="+", default=SIZES, help="parameters")
    parser.add_argument("--repetitions", type=arguments.positive, default=40)
    parser.add_argument("--memory", type=arguments.positive, help="measure memory at so many parameters, and no time")
    parser.add_argument("--quick", action="store_true", help="to see that it works")
    arguments.json(parser, "the figures")
    args = parser.parse_args()
    sizes, repetitions = ([200_000], 3) if args.quick else (args.n, args.repetitions)
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpus[comm.rank % len(cpus)]})
    fo.set_num_threads(1)
    check(100_000)
    for n in [args.memory] if args.memory else sizes:
        figures = figures_of_memory(n) if args.memory else figures_of(n, repetitions)
        if comm.rank == 0:
            library = MPI.Get_library_version().split("\n")[0].strip(" \0")[:40]
            tell(figures, args.json, f"Adam, {n:,} parameters, {P} ranks, {library}")


main()
