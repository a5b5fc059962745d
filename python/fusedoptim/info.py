"""What runs on this machine."""

import os
import platform
from typing import Any

import numpy as np

from fusedoptim import _core, isa, threads


def info() -> dict[str, Any]:
    """What was found on this machine, and what was chosen.

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
        "openmp": _core.has_openmp(),
        "num_threads": threads.get_num_threads(),
        "cpus": os.cpu_count(),
        "cgroup_quota": threads.cgroup_quota(),
        "parallel_threshold": _core.parallel_threshold,
        "environment": {name: os.environ.get(name) for name in (isa.VARIABLE, threads.VARIABLE, "OMP_NUM_THREADS")},
    }
