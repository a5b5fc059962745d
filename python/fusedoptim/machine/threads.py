"""How many threads a large step uses.

The ``num_threads`` of an optimizer, else :func:`set_num_threads`, else ``FUSEDOPTIM_NUM_THREADS``, else
``OMP_NUM_THREADS``, else all CPUs, or, of a process that a launcher has started several of on this machine, its share; then at most as many as the affinity mask and the control group grant, and as could be
started. The layer of OpenMP also heeds ``threadpool_limits`` and ``torch.set_num_threads``, and has
one inside another OpenMP region.
"""

import math
import os
import re
from pathlib import Path

from fusedoptim import _core
from fusedoptim.core.checks import thread_count

VARIABLE = "FUSEDOPTIM_NUM_THREADS"
BINDERS = (
    "OMP_PROC_BIND",
    "GOMP_CPU_AFFINITY",
    "OMP_PLACES",
)  # any of them makes an OpenMP library bind the main thread

LAUNCHERS = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "LOCAL_WORLD_SIZE")  # Open MPI's, MPICH's, torchrun's


def set_num_threads(n: int | None) -> None:
    """Sets the number of threads of all steps that are not told one; None goes back to the default."""
    _core.set_default_threads(0 if n is None else thread_count("n", n))


def get_num_threads() -> int:
    """The number of threads a large step would use now."""
    return _core.num_threads()


def set_by() -> str:
    """Which limit made the number of threads what it is, in words."""
    return {
        "default": f"set_num_threads() or {VARIABLE}",
        "cpus": "all CPUs of the affinity mask",
        "openmp": _openmp_default(),
        "OMP_NUM_THREADS": f"this rank's share of the CPUs, with {ranks()} ranks" if is_share() else "OMP_NUM_THREADS",
        "affinity": "the affinity mask",
        "cgroup_quota": "the quota of the control group",
        "OMP_THREAD_LIMIT": "OMP_THREAD_LIMIT",
        "startable": "the system, which could not start more: a limit on memory or on processes",
        "nested": "the OpenMP region that this is inside of",
    }[_core.threads_set_by()]


def ranks() -> int:
    """The processes of a parallel job on this machine, this one among them, as its launcher says; 1 where there is none."""
    return max([1, *map(_first_number, LAUNCHERS)])


def _share() -> int:
    """The CPUs of this rank; 0 where it is no matter, for its launcher has bound it to some."""
    cpus = os.cpu_count() or 1
    return max(1, min(cpus, cgroup_quota() or cpus) // ranks()) if ranks() > 1 and _core.num_cpus() == cpus else 0


def is_share() -> bool:
    return _first_number("OMP_NUM_THREADS") == 0 and _share() > 0


def openmp_is_set() -> bool:
    """Whether OpenMP's default is that of OMP_NUM_THREADS."""
    return _first_number("OMP_NUM_THREADS") == get_num_threads()


def _first_number(variable: str) -> int:
    """Of a list, that of the outermost region; 0 where there is none."""
    first = os.environ.get(variable, "").split(",")[0].strip()
    return min(int(first), 2**31 - 1) if first.isascii() and first.isdecimal() else 0


def _openmp_default() -> str:
    if openmp_is_set():
        return "OMP_NUM_THREADS"
    return (
        "all CPUs of the affinity mask"
        if get_num_threads() == _core.num_cpus()
        else "OpenMP's default: threadpool_limits or the like"
    )


def openmp_runtimes(maps: Path = Path("/proc/self/maps")) -> list[str]:
    """The OpenMP libraries that are loaded into this process, where the system tells. Each has threads of its own."""
    try:
        return sorted(set(re.findall(r"(/.*/lib(?:gomp|omp|iomp)[^/\n]*)$", maps.read_text(), re.MULTILINE)))
    except OSError:
        return []


def warnings() -> list[str]:
    """What has lowered the number of threads without having been asked for it."""
    mask, cpus = _core.num_cpus(), os.cpu_count() or 1
    found = []
    if mask < cpus:
        binder = next((name for name in BINDERS if os.environ.get(name, "false").lower() != "false"), None)
        by = (
            f"{binder} has bound this thread, as seen by all OpenMP libraries but the first; unset it"
            if binder
            else None
        )
        found.append(
            f"the affinity mask has {mask} of {cpus} CPUs: "
            + (by or "taskset, a control group, or a library has bound this thread; widen it with os.sched_setaffinity")
        )
    if _core.threads_set_by() == "OMP_THREAD_LIMIT":
        found.append(f"OMP_THREAD_LIMIT lowers the threads of a step to {get_num_threads()}; unset it")
    if (busy := ranks() * get_num_threads()) > cpus and mask == cpus:
        found.append(
            f"{ranks()} ranks of {get_num_threads()} threads are {busy} on {cpus} CPUs, and wait for each other; "
            f"set {VARIABLE}={max(1, cpus // ranks())}, or have the launcher bind them"
        )
    by_default = not is_share() and _core.threads_set_by() in ("openmp", "OMP_NUM_THREADS")
    if by_default and get_num_threads() < min(mask, cgroup_quota() or mask):
        found.append(f"{set_by()} gives {get_num_threads()} of {mask} CPUs; set_num_threads() overrides it")
    if _core.threads_set_by() == "startable":
        found.append(f"no more than {get_num_threads()} threads could be started; raise `ulimit -u` or the memory")
    return found


def cgroup_quota(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The CPUs this process' control group (version 2 or 1) grants, rounded up; None without a limit."""
    try:
        if (limit := root / "cpu.max").exists():
            quota, period = limit.read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{part}_us").read_text() for part in ("quota", "period"))
        return max(1, math.ceil(int(quota) / int(period))) if int(quota) > 0 else None
    except (OSError, ValueError):  # no control group, or "max"
        return None


def configure() -> None:
    """Reads the environment and the control group."""
    _core.set_cpu_quota(cgroup_quota() or 0)
    _core.set_openmp_variables(_first_number("OMP_NUM_THREADS") or _share(), _first_number("OMP_THREAD_LIMIT"))
    if value := os.environ.get(VARIABLE):
        if not value.isdecimal() or int(value) < 1:
            raise ValueError(f"the environment variable {VARIABLE} must be a whole number >= 1, got {value!r}")
        set_num_threads(int(value))
