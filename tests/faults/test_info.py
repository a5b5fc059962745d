"""`fusedoptim.info()`: what was found, what was chosen, and why."""

import os
from pathlib import Path

import pytest

import fusedoptim as fo

from .test_threads import OPENMP, printed, several_cpus

REPORT = "i = fo.info(); print(i['num_threads'], i['threads_set_by'], *i['warnings'], sep='\\n')"


def told(code: str = "", **environment: str) -> tuple[str, str, list[str]]:
    threads, by, *warnings = printed(f"import os\n{code}\nimport fusedoptim as fo\n{REPORT}", **environment).split("\n")
    return threads, by, warnings


def test_all_that_is_promised_is_there() -> None:
    info = fo.info()
    assert set(info) == set(fo.info.__annotations__["return"].__annotations__)
    assert info["num_threads"] == fo.get_num_threads()
    assert info["threading_layer"] == fo.threading_layer()
    assert all(name in info["environment"] for name in ("OMP_NUM_THREADS", "OMP_PROC_BIND", "FUSEDOPTIM_ISA"))


def test_a_number_that_was_set() -> None:
    fo.set_num_threads(1)
    assert fo.info()["threads_set_by"] == "set_num_threads() or FUSEDOPTIM_NUM_THREADS"


@several_cpus
def test_the_control_group() -> None:
    fo._core.set_cpu_quota(1)
    assert (fo.info()["num_threads"], fo.info()["threads_set_by"]) == (1, "the quota of the control group")


@several_cpus
def test_omp_thread_limit() -> None:
    threads, by, warnings = told(FUSEDOPTIM_NUM_THREADS="2", OMP_THREAD_LIMIT="1")
    assert (threads, by) == ("1", "OMP_THREAD_LIMIT")
    assert warnings[-1] == "OMP_THREAD_LIMIT lowers the threads of a step to 1; unset it"


@several_cpus
def test_omp_num_threads() -> None:
    threads, by, warnings = told(OMP_NUM_THREADS="1")
    assert (threads, by) == ("1", "OMP_NUM_THREADS")
    assert warnings[-1].startswith("OMP_NUM_THREADS gives 1 of ")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks on this system")
@several_cpus
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_mask_that_is_narrower_than_the_machine(when: str) -> None:
    narrow = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    mask = f"the affinity mask has 1 of {os.cpu_count()} CPUs: "
    threads, _, warnings = told(narrow if when == "before" else f"import fusedoptim\n{narrow}")
    assert threads == "1"
    assert warnings[0].startswith(mask + "taskset, a control group"), warnings


@several_cpus
def test_omp_proc_bind() -> None:
    """The library that binds the thread has counted before; only others find one CPU."""
    threads, _, warnings = told(OMP_PROC_BIND="true")
    assert (int(threads), warnings) == (fo.get_num_threads(), [])
    narrow = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    threads, _, warnings = told(narrow, OMP_PROC_BIND="true")
    assert threads == "1" and "OMP_PROC_BIND has bound this thread" in warnings[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child() -> None:
    """OpenMP's threads do not survive; the pool begins anew."""
    code = "import fusedoptim\nif (child := os.fork()): os.waitpid(child, 0); os._exit(0)"
    assert told(code, **OPENMP) == told(**OPENMP)
    assert told(code) == told()


def test_openmp_runtimes(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    assert fo.machine.threads.openmp_runtimes(maps) == []
    line = "7f0-7f1 r-xp 0 fe:00 1     {}\n"
    libraries = ["/usr/lib/libgomp.so.1.0.0", "/a b/torch/lib/libgomp-a34b.so.1", "/x/libiomp5.so", "/x/libomp.so.5"]
    others = ["/usr/lib/libm.so.6", "[heap]", "/x/libcompiler.so", ""]
    maps.write_text("".join(line.format(path) for each in libraries for path in [each, each, *others]))
    assert fo.machine.threads.openmp_runtimes(maps) == sorted(libraries)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no list of what is loaded on this system")
def test_our_runtime_is_among_them() -> None:
    code = "import fusedoptim as fo; print(len(fo.info()['openmp_runtimes']))"
    assert not fo.info()["openmp"] or int(printed(code, **OPENMP)) >= 1
