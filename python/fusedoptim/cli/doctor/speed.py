"""Whether it is as fast as this machine lets it be. What is slow is a warning: nothing is wrong with the result."""

import os
from functools import partial
from timeit import Timer

import numpy as np

from fusedoptim.cli.bench.competitors import LIMIT, OURS, Workload
from fusedoptim.cli.bench.timing import interleave, ratio
from fusedoptim.cli.doctor.finding import Finding, ok, warning
from fusedoptim.machine.threads import VARIABLE, get_num_threads
from fusedoptim.optim.adam import Adam

N = 2**24  # 64 MB an array, four of them: more than caches hold
REPETITIONS = 7
LEAST_GAIN = 1.1
LEAST_SHARE = 0.8


def gain_by_threads() -> Finding:
    """All threads are faster than one."""
    n = get_num_threads()
    if n == 1:
        return ok("one thread is all there is")
    w, g = np.ones((2, N), np.float32)
    timers = {f"{k}": Timer(partial(Adam(w, num_threads=k).step, g)) for k in (1, n)}
    seconds = interleave(timers, REPETITIONS)
    gain = ratio(seconds["1"], seconds[f"{n}"]).median
    told = f"{n} threads take an Adam step of 2^{N.bit_length() - 1} parameters {gain:.2f} times as fast as 1"
    if gain < LEAST_GAIN:
        return warning(told, f"{idle()} else the memory is busy with one: set {VARIABLE}=1 and leave the others free")
    return ok(told)


def memory_limit() -> Finding:
    """Adam takes little longer than a loop with the same loads and stores and no arithmetic."""
    work = Workload("adam", N)
    competitors = work.competitors()
    timers = {name: Timer(competitors[name]) for name in (OURS, LIMIT)}
    seconds = interleave(timers, REPETITIONS, lambda name: work.reset())
    share = ratio(seconds[LIMIT], seconds[OURS]).median
    speed = work.bytes_moved / np.median(seconds[LIMIT]) / 1e9
    told = f"memory gives {speed:.3g} GB/s, and Adam reaches {100 * share:.0f} % of that"
    if share < LEAST_SHARE:
        return warning(told, f"{idle()} else `python -m fusedoptim bench` shows the sizes and rules that are slow")
    return ok(told)


def idle() -> str:
    load = f", now under a load of {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"ask again on an idle machine (this one has {os.cpu_count()} CPUs{load});"
