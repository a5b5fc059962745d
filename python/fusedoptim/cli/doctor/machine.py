"""What the system grants: CPUs, and processes."""

import os
import signal
import subprocess
import sys

from fusedoptim import _core
from fusedoptim.cli.doctor.finding import REINSTALL, Finding, failed, ok, warning
from fusedoptim.machine import layers, threads

PATIENCE = 20  # seconds, for a program that takes one

# A parallel step, then one in a child, which no thread but the caller's survives.
FORK = """
import os
import numpy as np
import fusedoptim as fo

def stepped():
    w = np.linspace(-1, 1, 4 * fo._core.parallel_threshold)
    fo.Adam(w).step(w.copy())
    return w.tobytes()

expected = stepped()
child = os.fork()
if child == 0:
    os._exit(stepped() != expected)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def number_of_threads() -> Finding:
    """As many as there are CPUs, or why not."""
    n, cpus = threads.get_num_threads(), os.cpu_count() or 1
    layer = f"the layer is {layers.threading_layer()}"
    if n >= cpus:
        return ok(f"{n}, as many as CPUs; {layer}")
    return warning(f"{n} on {cpus} CPUs, by {threads.set_by()}; {layer}", f"{raised(cpus)}, unless it is meant")


def raised(cpus: int) -> str:
    """How to have as many threads as CPUs."""
    source = _core.threads_set_by()
    if source == "openmp" and _core.num_cpus() < cpus and not threads.openmp_is_set():
        source = "cpus"  # OpenMP took all that the mask has
    affinity = (
        f"start it with `taskset -c 0-{cpus - 1}`, or with a wider cpuset of the container, and unset OMP_PROC_BIND"
    )
    return {
        "startable": "raise the limit on processes (`ulimit -u`) or on memory",
        "default": f"call set_num_threads({cpus}), or set {threads.VARIABLE}={cpus}",
        "openmp": f"set OMP_NUM_THREADS={cpus}, or lift what threadpool_limits or the like has set",
        "cpus": affinity,
        "affinity": affinity,
        "OMP_NUM_THREADS": f"set OMP_NUM_THREADS={cpus}, or unset it",
        "cgroup_quota": "raise the container's limit on CPUs",
        "OMP_THREAD_LIMIT": "unset OMP_THREAD_LIMIT",
        "nested": "take the step outside of the parallel region",
    }[source]


def fork() -> Finding:
    """A child steps after its parent has used threads."""
    if not hasattr(os, "fork"):
        return ok("there is none on this system")
    code = exit_code(FORK, PATIENCE)
    if code is None:
        how = "start worker processes by spawn or forkserver, never by fork: multiprocessing.set_start_method('spawn')"
        return failed(f"a forked child was not done with a step after {PATIENCE} s", how)
    if code != 0:
        return failed(f"a forked child does another step than its parent, or none (exit code {code})", REINSTALL)
    return ok("a child steps after a parallel step of its parent, with the same bits")


def exit_code(program: str, seconds: float) -> int | None:
    """Of a program in a new process; None where it takes longer. It is killed then, or at Ctrl-C, with all that it forked."""
    process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
