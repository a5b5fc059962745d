"""How many threads a large step uses.

The ``num_threads`` of an optimizer, else :func:`set_num_threads`, else ``FUSEDOPTIM_NUM_THREADS``, else OpenMP's default
(``OMP_NUM_THREADS``, ``threadpool_limits``); then at most as many as the affinity mask and the control group grant. One
inside another OpenMP region and in a forked child, where GNU OpenMP cannot start threads.
"""

import math
import os
from pathlib import Path

from fusedoptim import _core

VARIABLE = "FUSEDOPTIM_NUM_THREADS"


def set_num_threads(n: int | None) -> None:
    """Sets the number of threads of all steps that are not told one; None goes back to OpenMP's default."""
    _core.set_default_threads(0 if n is None else thread_count("n", n))


def get_num_threads() -> int:
    """The number of threads a large step would use now."""
    return _core.num_threads()


def positive(name: str, n: int) -> int:
    """`n`, unless it is no whole number >= 1."""
    if isinstance(n, bool) or not hasattr(n, "__index__") or n < 1:
        raise ValueError(f"{name} must be a whole number >= 1, got {n!r}")
    return int(n)


def thread_count(name: str, n: int) -> int:
    """`n`, unless it is no whole number >= 1; more than any machine has is as good as all."""
    return min(positive(name, n), 1 << 30)


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
