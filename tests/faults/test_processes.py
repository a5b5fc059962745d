"""Processes, OpenMP runtimes and their settings: no hang, no wrong count of threads, the same bits.

Each in a process of its own, which is killed after a minute.
"""

import os
import platform
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import fusedoptim as fo

from .. import ROOT
from ..nightly import NIGHTLY
from .test_threads import PARALLEL, printed, several_cpus

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system"),
    pytest.mark.usefixtures("layer"),
]

STEPS = f"""
import multiprocessing, os, sys, threading
import numpy as np, fusedoptim as fo

def steps(threads=2):
    w, g = np.random.default_rng(0).normal(size=(2, {8 * PARALLEL}))
    optimizer = fo.Adam(w, num_threads=threads, clip_norm=1.0)
    for _ in range(3):
        optimizer.step(g)
    return w.tobytes()

def forked():
    before = fo.get_num_threads()
    child = os.fork()
    if child == 0:
        os._exit(0 if fo.threading_layer() == "pool" and fo.get_num_threads() == before and steps() == expected else 3)
    return child

def joined(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

expected = steps(1)
"""


def ran(code: str, **environment: str) -> str:
    return printed(STEPS + textwrap.dedent(code), **environment)


def test_fork_while_another_thread_is_inside_a_step() -> None:
    code = """
    ending = threading.Event()

    def train():
        while not ending.is_set():
            steps()

    threads = [threading.Thread(target=train) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert [joined(forked()) for _ in range(20)] == [0] * 20
    finally:
        ending.set()
    for thread in threads:
        thread.join()
    assert steps() == expected
    """
    ran(code)


def test_fork_in_the_middle_of_a_step() -> None:
    """The optimizer's arrays may be half updated in the child, where no thread goes on: it is refused, with the way out."""
    code = """
    inside, go_on = threading.Event(), threading.Event()

    def schedule(t):
        if t > 1:
            inside.set()
            go_on.wait()
        return 0.5

    w, g = np.ones(3), np.ones(3)
    optimizer = fo.SGD(w, lr=schedule)
    optimizer.step(g)
    thread = threading.Thread(target=optimizer.step, args=(g,))
    thread.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        try:
            optimizer.step(g)
        except RuntimeError as error:
            again = fo.SGD(w, lr=0.5)
            again.step(g)
            os._exit(0 if "in a forked child make a new optimizer, and load a checkpoint" in str(error) else 3)
        os._exit(4)
    try:
        assert joined(child) == 0
    finally:
        go_on.set()
    thread.join()
    assert optimizer.t == 2
    """
    ran(code)


REIMPORTS = {
    "reloaded": "importlib.reload(fo)",
    "reloaded whole": "[importlib.reload(sys.modules[name]) for name in names if hasattr(sys.modules[name], '__file__') and '_core' not in name]",
    "imported anew": "[sys.modules.pop(name) for name in names]",
    "imported anew but for the compiled": "[sys.modules.pop(name) for name in names if name != 'fusedoptim._core']",
}


@pytest.mark.parametrize("way", REIMPORTS)
def test_another_import(way: str) -> None:
    """As of a notebook: optimizers of before and of after step, with what there was and what there is now."""
    code = f"""
    import importlib

    table, rows = np.ones((3, 2)), (np.array([0, 2, 0]), np.ones((3, 2)))
    old, old_rows = fo.SGD(table, lr=1.0), fo.RowGrad(*rows)
    names = [name for name in sys.modules if name.partition(".")[0] == "fusedoptim"]
    {REIMPORTS[way]}
    import fusedoptim as fo

    new = fo.SGD(table, lr=1.0)
    for optimizer in old, new:
        for grad in old_rows, fo.RowGrad(*rows), np.ones((3, 2)):
            before = table.copy()
            optimizer.step(grad)
            moved = before - table
            assert np.array_equal(moved, np.ones((3, 2)) if grad is not old_rows and type(grad) is np.ndarray else [[2, 2], [0, 0], [1, 1]])
    assert steps() == expected
    """
    ran(code)


FORKS = """
steps()
assert all(joined(forked()) == 0 for _ in range({n}))
assert steps() == expected
print({n})
"""


def test_forks() -> None:
    """At night ten thousand, from a new process every now and then."""
    n = 500 if NIGHTLY else 100
    for _ in range(20 if NIGHTLY else 1):
        assert int(ran(FORKS.format(n=n))) == n


def test_a_fork_of_a_fork() -> None:
    code = """
    steps()
    child = os.fork()
    if child == 0:
        os._exit(joined(forked()))
    assert joined(child) == 0
    """
    ran(code)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_new_process_has_its_threads(tmp_path: Path, method: str) -> None:
    """Also where it is started after a parallel step."""
    script = """
    def child(queue):
        queue.put((fo.get_num_threads(), steps() == expected, fo.info()["warnings"]))

    if __name__ == "__main__":
        context = multiprocessing.get_context(sys.argv[1])
        steps()
        queue = context.Queue()
        process = context.Process(target=child, args=(queue,))
        process.start()
        threads, same, warned = queue.get(timeout=50)
        process.join()
        assert same and process.exitcode == 0 and warned == fo.info()["warnings"]
        assert threads == fo.get_num_threads(), (threads, fo.get_num_threads())
    """
    path = tmp_path / "main.py"
    path.write_text(STEPS + textwrap.dedent(script))
    printed(f"import runpy, sys; sys.argv = ['{path}', '{method}']; sys.path.insert(0, '{tmp_path}')\n" + RUN_MAIN)


RUN_MAIN = """
import subprocess
done = subprocess.run([sys.executable, *sys.argv], capture_output=True, text=True)
assert done.returncode == 0, done.stderr
"""


@several_cpus
def test_many_python_threads_with_optimizers_of_their_own() -> None:
    code = """
    got = [None] * 8

    def work(k):
        got[k] = [steps(threads) for threads in (1, 2, 3)]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [[expected] * 3] * 8
    """
    ran(code)


@several_cpus
def test_more_threads_step_than_there_is_a_pool_for() -> None:
    """Who finds it busy steps alone, with the same bits."""
    code = """
    w, g = np.random.default_rng(0).normal(size=(2, 1 << 20))
    optimizers = [fo.Adam(w.copy(), clip_norm=1.0, num_threads=k % 3 + 1) for k in range(6)]

    def train(optimizer):
        for _ in range(20):
            optimizer.step(g)

    threads = [threading.Thread(target=train, args=(optimizer,)) for optimizer in optimizers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({optimizer.params.tobytes() for optimizer in optimizers}) == 1
    """
    ran(code)


def test_the_process_ends_while_a_daemon_steps() -> None:
    """No hang, no crash, whichever thread holds the interpreter's lock at its end."""
    code = """
    import time
    optimizers = [fo.Adam(np.ones(n), clip_norm=1.0) for n in (10, 1000, 1 << 17)]

    def train(optimizer):
        g = optimizer.params.copy()
        while True:
            optimizer.step(g)

    for optimizer in optimizers:
        threading.Thread(target=train, args=(optimizer,), daemon=True).start()
    while not all(optimizer.t > 100 for optimizer in optimizers):
        time.sleep(0.01)
    """
    for _ in range(20 if NIGHTLY else 5):
        ran(code)


def test_a_subinterpreter() -> None:
    """It is refused there, and that is all that happens."""
    code = """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    steps()
    program = '''
    try:
        import fusedoptim
    except ImportError as error:
        assert "import it in the main interpreter" in str(error)
    else:
        raise AssertionError
    '''
    interpreter = interpreters.create()
    interpreters.run_string(interpreter, program)
    interpreters.destroy(interpreter)
    assert steps() == expected
    """
    ran(code)


@several_cpus
def test_a_thread_with_a_small_stack() -> None:
    """Of 64 KiB, of which Python takes a part. (Of Muon's products NumPy's BLAS takes more.)"""
    code = """
    from tests.runs import RULES, make, step

    def train():
        for row in RULES:
            for dtype in np.float32, np.float64:
                params = {"w": np.ones((2, 5000), dtype), "layers": [np.ones((300, 7), dtype)]}
                if row.optimizer is not fo.Muon:
                    step(make(row, params, clip_value=1.0), 0)
        print("done")

    threading.stack_size(1 << 16)
    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    """
    assert ran(code, PYTHONPATH=str(ROOT)).endswith("done")


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="no users on this system")
def test_a_limit_on_processes() -> None:
    """A thread that cannot be started is a thread fewer; once it can, it is there."""
    code = """
    import resource
    if os.getuid() == 0:
        os.setuid(54321)  # whom limits concern
    resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    before, alone = fo.get_num_threads(), len(os.listdir("/proc/self/task"))
    assert steps() == expected and len(os.listdir("/proc/self/task")) == alone
    if fo.threading_layer() == "pool":
        assert fo.get_num_threads() == 1 and "could be started" in fo.info()["warnings"][-1]
    resource.setrlimit(resource.RLIMIT_NPROC, (resource.getrlimit(resource.RLIMIT_NPROC)[1],) * 2)
    assert all(steps() == expected for _ in range(20)) and len(os.listdir("/proc/self/task")) == alone + 1
    assert fo.get_num_threads() == before
    """
    ran(code)


@several_cpus
def test_signals_are_left_to_the_program(layer: str) -> None:
    """One that all its threads block, to wait for it, is not taken by a thread of the pool."""
    if layer == "openmp":
        pytest.skip("OpenMP's threads are its own")
    code = """
    import signal, time
    steps()
    time.sleep(0.2)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    os.kill(os.getpid(), signal.SIGUSR1)
    time.sleep(0.2)
    assert signal.SIGUSR1 in signal.sigpending()
    """
    ran(code, OPENBLAS_NUM_THREADS="1")


@several_cpus
@pytest.mark.skipif(platform.system() != "Linux", reason="the C library of Linux sets the mode")
def test_another_rounding_mode() -> None:
    """That of the program is not that of a step, on none of its threads."""
    upwards = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]
    code = f"""
    import ctypes
    steps()
    w, g = np.random.default_rng(0).normal(size=(2, {8 * PARALLEL}))
    optimizers = [fo.Adam(w.copy(), num_threads=threads) for threads in (1, 2, 1)]
    assert ctypes.CDLL("libm.so.6").fesetround({upwards}) == 0
    one, tiny = 1.0, 1e-30
    assert one + tiny > one
    for optimizer in optimizers[:2] * 3:
        optimizer.step(g)
    ctypes.CDLL("libm.so.6").fesetround(0)
    for _ in range(3):
        optimizers[2].step(g)
    assert len(set(optimizer.params.tobytes() for optimizer in optimizers)) == 1
    """
    ran(code)


# Settings of OpenMP


@several_cpus
@pytest.mark.parametrize(
    ("environment", "count", "by"),
    [
        ({}, None, "all CPUs of the affinity mask"),
        ({"OMP_NUM_THREADS": "1"}, 1, "OMP_NUM_THREADS"),
        ({"OMP_THREAD_LIMIT": "1"}, 1, None),
        ({"FUSEDOPTIM_NUM_THREADS": "2", "OMP_THREAD_LIMIT": "1"}, 1, "OMP_THREAD_LIMIT"),
        ({"FUSEDOPTIM_NUM_THREADS": "1"}, 1, "set_num_threads() or FUSEDOPTIM_NUM_THREADS"),
        ({"FUSEDOPTIM_NUM_THREADS": "99"}, None, "the affinity mask"),
        ({"OMP_PROC_BIND": "true"}, None, None),
        ({"OMP_PROC_BIND": "spread", "OMP_PLACES": "cores"}, None, None),
        ({"OMP_DYNAMIC": "true"}, None, None),
        ({"OMP_WAIT_POLICY": "passive"}, None, None),
        ({"OMP_STACKSIZE": "256k"}, None, None),
    ],
    ids=str,
)
def test_environment(environment: dict[str, str], count: int | None, by: str | None) -> None:
    code = """
    assert steps() == expected
    print(fo.get_num_threads(), len(os.sched_getaffinity(0)), fo.info()["threads_set_by"], sep=";")
    """
    threads, cpus, set_by = ran(code, **environment).split(";")
    quota = fo.machine.threads.cgroup_quota()
    if count is not None:
        assert int(threads) == count
    elif quota is None and "OMP_PROC_BIND" not in environment:
        assert threads == cpus
    if by is not None and (quota is None or count is not None):
        assert set_by == by


@several_cpus
def test_nested_in_another_region(layer: str, tmp_path: Path) -> None:
    """A region of the same runtime, which calls back into Python: a step in it has one thread."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "region.c").write_text(
        "void region(void (*call)(void)) {\n#pragma omp parallel num_threads(2)\n#pragma omp single\n  call();\n}\n"
    )
    library = tmp_path / "region.so"
    command = [compiler, "-fopenmp", "-shared", "-fPIC", str(tmp_path / "region.c"), "-o", str(library)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip(f"{compiler} has no OpenMP")
    code = f"""
    import ctypes
    seen = []

    def call():
        seen.append((fo.get_num_threads(), fo.info()["threads_set_by"], steps() == expected))

    callback = ctypes.CFUNCTYPE(None)(call)
    ctypes.CDLL({str(library)!r}).region(callback)
    print(*seen[0], len(fo.info()["openmp_runtimes"]), sep=";")
    """
    threads, set_by, same, runtimes = ran(code).split(";")
    assert same == "True"
    if layer == "openmp" and runtimes == "1":  # one that is not ours cannot be seen into
        assert (threads, set_by) == ("1", "the OpenMP region that this is inside of")


# Two runtimes


def needs(*modules: str) -> Callable[..., object]:
    from importlib.util import find_spec

    lacking = [name for name in modules if find_spec(name) is None]
    return pytest.mark.skipif(bool(lacking), reason=f"{', '.join(lacking)} is not installed")


OTHERS = [
    pytest.param("torch", "torch.ones(1 << 20).add_(1).sum()", marks=needs("torch"), id="torch"),
    pytest.param(
        "sklearn.cluster",
        "sklearn.cluster.KMeans(2, n_init=1).fit(np.arange(2000.0).reshape(-1, 2))",
        marks=needs("sklearn"),
        id="sklearn",
    ),
]


@pytest.mark.parametrize("bind", ["", "true"], ids=["", "bound"])
@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize(("module", "work"), OTHERS)
def test_beside_another_runtime(module: str, work: str, order: str, bind: str) -> None:
    """With the other one's threads at work before and after ours; also in a forked child."""
    importing = f"import {module}"
    code = f"""
    {importing if order == "last" else ""}
    {work}
    assert steps() == expected
    {work}
    assert steps() == expected and joined(forked()) == 0
    info = fo.info()
    assert info["openmp_runtimes"]
    print(info["num_threads"], info["affinity"], len(info["warnings"]), sep=";")
    """
    before = importing + "\n" if order == "first" else ""
    environment = {"OMP_PROC_BIND": bind} if bind else {}
    threads, cpus, warned = map(int, printed(before + STEPS + textwrap.dedent(code), **environment).split(";"))
    assert threads == min(cpus, fo.machine.threads.cgroup_quota() or cpus)
    assert (warned > 0) == (cpus < (os.cpu_count() or 1)), "cut down without a warning, or warned of nothing"
    assert bind or cpus == fo.info()["affinity"]
