"""What was found on this machine, and what was chosen: a dict for bug reports and the command line."""

import os
import platform
from typing import TypedDict

import numpy as np

from fusedoptim import _core
from fusedoptim.machine import isa, layers, threads

VARIABLES = (
    isa.VARIABLE,
    layers.VARIABLE,
    threads.VARIABLE,
    "OMP_NUM_THREADS",
    "OMP_THREAD_LIMIT",
    *threads.BINDERS,
    *threads.LAUNCHERS,
)


class Info(TypedDict):
    """What :func:`info` returns."""

    fusedoptim: str
    python: str
    numpy: str
    machine: str
    isa: str
    available_isas: tuple[str, ...]
    threading_layer: str
    openmp: bool
    openmp_runtimes: list[str]
    num_threads: int
    threads_set_by: str
    cpus: int | None
    affinity: int
    cgroup_quota: int | None
    ranks: int
    parallel_threshold: int
    environment: dict[str, str | None]
    warnings: list[str]


def info() -> Info:
    """What was found on this machine, what was chosen, and why.

    Returns
    -------
    dict
        ``"num_threads"`` is what a large step would use now, in this thread, and ``"threads_set_by"`` tells which of
        the limits that is: what was asked for, the affinity mask (``"affinity"``, in CPUs), the control group
        (``"cgroup_quota"``, in CPUs; None without one), or another. ``"ranks"`` is the number of processes of a parallel job on this machine, which
        share its CPUs. ``"openmp"`` tells whether this build has that
        layer of threads, ``"openmp_runtimes"`` has the paths of the
        OpenMP libraries in the process; ``"warnings"`` a sentence for each thing that has lowered the number of threads.

    Examples
    --------
    >>> import fusedoptim as fo
    >>> fo.info()["isa"] in fo.available_isas()
    True
    """
    return {
        "fusedoptim": _core.version,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "isa": isa.isa(),
        "available_isas": isa.available_isas(),
        "threading_layer": layers.threading_layer(),
        "openmp": layers.has_openmp(),
        "openmp_runtimes": threads.openmp_runtimes(),
        "num_threads": threads.get_num_threads(),
        "threads_set_by": threads.set_by(),
        "cpus": os.cpu_count(),
        "affinity": _core.num_cpus(),
        "cgroup_quota": threads.cgroup_quota(),
        "ranks": threads.ranks(),
        "parallel_threshold": _core.parallel_threshold,
        "environment": {name: os.environ.get(name) for name in VARIABLES},
        "warnings": threads.warnings(),
    }
