"""How many threads a large step uses.

The ``num_threads`` of an optimizer, else :func:`set_num_threads`, else ``FUSEDOPTIM_NUM_THREADS``, else OpenMP's default
(``OMP_NUM_THREADS``, ``threadpool_limits``); then at most as many as the affinity mask and the control group grant. One
inside another OpenMP region and in a forked child, where GNU OpenMP cannot start threads.
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


def set_num_threads(n: int | None) -> None:
    """Sets the number of threads of all steps that are not told one; None goes back to OpenMP's default."""
    _core.set_default_threads(0 if n is None else thread_count("n", n))


def get_num_threads() -> int:
    """The number of threads a large step would use now."""
    return _core.num_threads()


def set_by() -> str:
    """Which limit made the number of threads what it is, in words."""
    return {
        "default": f"set_num_threads() or {VARIABLE}",
        "openmp": _openmp_default(),
        "affinity": "the affinity mask",
        "cgroup_quota": "the quota of the control group",
        "OMP_THREAD_LIMIT": "OMP_THREAD_LIMIT",
        "fork": "fork: OpenMP cannot start threads in a forked child",
        "nested": "the OpenMP region that this is inside of",
        "no openmp": "the build, which has no OpenMP",
    }[_core.threads_set_by()]


def openmp_is_set() -> bool:
    """Whether OpenMP's default is that of OMP_NUM_THREADS, whose first number is that of the outermost region."""
    return os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip() == str(get_num_threads())


def _openmp_default() -> str:
    n = str(get_num_threads())
    if openmp_is_set():
        return "OMP_NUM_THREADS"
    return (
        "all CPUs of the affinity mask"
        if n == str(_core.num_cpus())
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
    if _core.threads_set_by() == "fork":
        found.append("this is a forked child: its steps run on one thread; start workers by spawn or forkserver")
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
    if _core.threads_set_by() == "openmp" and get_num_threads() < min(mask, cgroup_quota() or mask):
        found.append(f"{_openmp_default()} gives {get_num_threads()} of {mask} CPUs; set_num_threads() overrides it")
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
    if value := os.environ.get(VARIABLE):
        if not value.isdecimal() or int(value) < 1:
            raise ValueError(f"the environment variable {VARIABLE} must be a whole number >= 1, got {value!r}")
        set_num_threads(int(value))
