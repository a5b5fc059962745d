"""Which threads run a step: our own pool's, or OpenMP's.

Both do the same: a step is cut into shares, which are claimed by whatever thread has a CPU. What differs is who starts
the threads and how the caller waits at the end. The pool's caller waits for shares that somebody is in the middle of; a
region of OpenMP ends when each of its threads has come by, also one that has no CPU yet. A library of OpenMP keeps its
threads awake for some milliseconds after each of its operations, however: beside those, another pool waits for a CPU.
"""

import os
from importlib import import_module
from importlib.util import find_spec

from fusedoptim import _core
from fusedoptim.machine import threads

VARIABLE = "FUSEDOPTIM_THREADING_LAYER"
LAYERS = ("pool", "openmp")


def threading_layer() -> str:
    """Which threads run the steps of this process: ``"pool"``, the library's own, or ``"openmp"``.

    The environment variable ``FUSEDOPTIM_THREADING_LAYER``, read at import, chooses; the default is ``"pool"``, or with
    ``fusedoptim.torch`` the OpenMP that torch has.

    >>> import fusedoptim as fo
    >>> fo.threading_layer() in ("pool", "openmp")
    True
    """
    return _core.threading_layer()


def has_openmp() -> bool:
    """Whether this build has the layer of OpenMP."""
    return find_spec("fusedoptim._openmp") is not None


def share_openmp() -> None:
    """Takes the threads of the OpenMP that this process has, unless the environment chooses, or the rank has a share of
    the CPUs, of which OpenMP knows nothing. It loads no second one.
    """
    loaded = threads.openmp_runtimes()
    if os.environ.get(VARIABLE) or threads.is_share() or not loaded or not has_openmp():
        return
    module = import_module("fusedoptim._openmp")
    if threads.openmp_runtimes() == loaded:
        _core.use_openmp(module.layer)


def configure() -> None:
    """Reads the environment."""
    name = os.environ.get(VARIABLE) or "pool"
    if name not in LAYERS:
        raise ValueError(f"the environment variable {VARIABLE} must be one of {', '.join(LAYERS)}, got {name!r}")
    if name == "pool":
        return _core.use_pool()
    try:
        _core.use_openmp(import_module("fusedoptim._openmp").layer)
    except ImportError as error:
        raise ImportError(
            f"{VARIABLE}=openmp needs an OpenMP runtime, and this build's could not be loaded ({error}): install it "
            "(libgomp1 on Debian), build where CMake finds OpenMP, or leave the variable unset for the pool"
        ) from error
