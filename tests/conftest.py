import gc
import os
from collections.abc import Iterator

import pytest
import threadpoolctl

# Threads that wait for one that has no CPU leave it theirs: on a busy machine, or beside other workers of pytest-xdist, the
# suite would take several times as long. OpenMP reads it when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import fusedoptim as fo

from .cases import CASES, DEFAULTS, DTYPES, KINDS, Case


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a test runs for.

    `case`: every row of the table; `each`: every optimizer with its defaults; `kind`: one of each structure, for what does
    not depend on the rule; `dtype`, `isa`: all there are.
    """
    values_of = {"case": CASES, "each": DEFAULTS, "kind": KINDS, "dtype": DTYPES, "isa": fo.available_isas()}
    for name, values in values_of.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=name_of)


def name_of(value: object) -> str:
    return str(value) if isinstance(value, Case | str) else getattr(value, "__name__", "")


def pytest_collection_finish() -> None:
    """What thousands of tests are made of stays to the end: collecting garbage need not look at it each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def one_thread_of_blas() -> Iterator[None]:
    """Two would wait for each other, in loops, where something else runs."""
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        yield


@pytest.fixture(autouse=True, scope="session")
def threads_of_small_steps() -> None:
    """They take part in steps that are too short to wake them for."""
    fo._core.set_least_to_wake(0)


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    """Undoes set_num_threads."""
    yield
    fo.set_num_threads(None)
    fo.machine.threads.configure()
