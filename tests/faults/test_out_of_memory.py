"""Without memory: a MemoryError before anything has changed, and what was made before goes on. Each in a process of its own."""

import platform
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .. import TESTS
from .test_threads import printed

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are set by Linux's means"),
    pytest.mark.usefixtures("layer"),
]

LIMITED = """
import contextlib, resource
import numpy as np, fusedoptim as fo

@contextlib.contextmanager
def free(megabytes):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (megabytes << 20), resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)

@contextlib.contextmanager
def fails():
    try:
        yield
    except MemoryError:
        return
    raise AssertionError("there was enough")

def normal(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)

def bits(optimizer):
    return [a.tobytes() for a in (optimizer.params, *optimizer.state.values())], optimizer.t

n = 1 << 22  # a state of 16 MiB
"""


def limited(code: str) -> None:
    # Large blocks go back to the system when they are freed, so that there is none to be had again.
    printed(LIMITED + textwrap.dedent(code), MALLOC_MMAP_THRESHOLD_="65536")


def test_construction() -> None:
    """Adam's second state does not fit."""
    code = """
    w = normal(n)
    before = w.tobytes()
    with free(24), fails():
        fo.Adam(w, num_threads=1)
    assert w.tobytes() == before
    optimizer = fo.Adam(w, num_threads=1)
    optimizer.step(w.copy())
    assert optimizer.t == 1 and w.tobytes() != before
    """
    limited(code)


def test_another_group() -> None:
    code = """
    optimizer, twin = (fo.Adam(normal(10)) for _ in range(2))
    more = normal(n)
    with free(24), fails():
        optimizer.add_group({"params": more})
    for each in (optimizer, twin):
        each.step(normal(10))
    assert bits(optimizer) == bits(twin)
    optimizer.add_group({"params": more})
    """
    limited(code)


@pytest.mark.parametrize("threads", [1, 2])
def test_step(threads: int) -> None:
    """The sums of the gradients of rows that come twice do not fit."""
    code = f"""
    table = normal(64, 1 << 16)
    grad = fo.RowGrad(np.tile(np.arange(32), 2), normal(64, 1 << 16))  # 8 MiB of sums
    optimizer, twin = (fo.Momentum(table.copy(), num_threads={threads}) for _ in range(2))
    for each in (optimizer, twin):
        each.step(grad)
    before = bits(optimizer)
    with free(2), fails():
        optimizer.step(grad)
    assert bits(optimizer) == before
    for each in (optimizer, twin):
        each.step(grad)
    assert bits(optimizer) == bits(twin)
    """
    limited(code)


def test_threads_that_cannot_be_started() -> None:
    """The step runs on the calling thread, and on all when there is memory again, at the latest a hundred steps later."""
    code = """
    import os
    alone = len(os.listdir("/proc/self/task"))
    optimizer, twin = (fo.Adam(normal(n >> 4), num_threads=threads) for threads in (2, 1))
    g = normal(n >> 4)
    with free(2):
        optimizer.step(g)
        assert len(os.listdir("/proc/self/task")) == alone
    for _ in range(100):
        optimizer.step(g)
    for _ in range(101):
        twin.step(g)
    assert bits(optimizer) == bits(twin)
    assert len(os.listdir("/proc/self/task")) == alone + (fo.get_num_threads() > 1)
    """
    limited(code)


def test_each_allocation(tmp_path: Path) -> None:
    """Whichever fails, in whatever call: there is a MemoryError, or it was not needed."""
    if not shutil.which("cc") or platform.libc_ver()[0] != "glibc":
        pytest.skip("there is no C compiler, or no glibc, whose malloc can be replaced")
    library = tmp_path / "failing_malloc.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, TESTS / "faults" / "failing_malloc.c"], check=True)
    code = f"""
    import ctypes, itertools, numpy as np, fusedoptim as fo

    fail_after = ctypes.CDLL({str(library)!r}).fail_after
    ones = lambda: dict(w=np.ones((4, 3)), b=np.ones(()))
    adam, frozen, lamb, adafactor, sgd = fo.Adam(ones(), clip_norm=1.0, ema=0.9), *(kind(ones()) for kind in (fo.SGD, fo.LAMB, fo.Adafactor, fo.SGD))
    grads, table, rows = ones(), fo.SGD(np.ones((4, 3))), fo.RowGrad(np.array([3, 1, 3]), np.ones((3, 3)))
    arrays = np.ones((4, 3))

    def block():
        with sgd.stepping():
            sgd.update("w", grads["w"])

    def averaged():
        with adam.using_ema():
            pass

    calls = [
        lambda: fo.Adam(ones(), ema=0.9, accumulate=2),
        lambda: adam.step(grads),
        lambda: lamb.step(grads),
        lambda: adafactor.step(grads),
        lambda: table.step(rows),
        lambda: sgd.step({{"w": grads["w"], "b": 1.0}}),
        lambda: sgd.step({{"w": grads["w"], "b": None}}),
        lambda: adam.bind(grads),
        lambda: (frozen.freeze("w"), frozen.thaw("w")),
        lambda: fo.kernels.adam(*arrays, lr=0.1),
        lambda: fo.kernels.adam(*arrays, lr=-0.1),
        lambda: adam.t,
        lambda: repr(adam),
        lambda: adam.state_dict(),
        block,
        averaged,
    ]
    failed = 0
    for call in calls:
        for n in range(-1, 150):  # first, none of them
            fail_after(n)
            try:
                call()
            except MemoryError:
                failed += 1
            except (TypeError, ValueError):  # what is refused anyway
                pass
            except RuntimeError as error:
                assert str(error) == "can't allocate lock", error  # as CPython says it
            finally:
                fail_after(-1)
    assert failed > 50, failed
    for optimizer in adam, frozen, lamb, adafactor, sgd:
        optimizer.step(grads)
    """
    printed(code, LD_PRELOAD=str(library))
