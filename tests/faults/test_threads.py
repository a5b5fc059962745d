"""What runs: threads, instruction sets, the environment, limits of the machine, and fork."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import Case

CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
several_cpus = pytest.mark.skipif(
    min(CPUS, fo.machine.threads.cgroup_quota() or CPUS) < 2,
    reason="one thread is all that this machine grants",
)
VARIABLES = ("FUSEDOPTIM_ISA", "FUSEDOPTIM_NUM_THREADS", "OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
PARALLEL = fo._core.parallel_threshold
OPENMP = {"FUSEDOPTIM_THREADING_LAYER": "openmp"}


def python(code: str, **environment: str) -> tuple[int, str, str]:
    """The exit code, output and errors of a program in a new process, with no other of our variables in its environment.

    After a minute it is killed, and all that it forked.
    """
    clean = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, output, errors


def printed(program: str, **environment: str) -> str:
    code, output, errors = python(program, **environment)
    assert code == 0, errors
    return output.strip()


def complaint(**environment: str) -> str:
    """The last line of the error that importing raises."""
    code, _, errors = python("import fusedoptim", **environment)
    assert code == 1
    return errors.strip().splitlines()[-1]


# Threads

GET = "import fusedoptim as fo; print(fo.get_num_threads())"


def test_set_and_get() -> None:
    default = fo.get_num_threads()
    fo.set_num_threads(1)
    assert fo.get_num_threads() == 1
    fo.set_num_threads(10**30)
    assert 1 <= fo.get_num_threads() <= CPUS
    fo.set_num_threads(np.int64(1))
    assert fo.get_num_threads() == 1
    fo.set_num_threads(None)
    fo.machine.threads.configure()
    assert fo.get_num_threads() == default


@pytest.mark.parametrize("n", [0, -1, 1.0, 1.5, "2", True])
def test_set_num_threads_refuses(n: object) -> None:
    before = fo.get_num_threads()
    with pytest.raises(ValueError, match=r"^n must be a whole number >= 1, got"):
        fo.set_num_threads(n)
    assert fo.get_num_threads() == before


@several_cpus
def test_precedence(layer: str) -> None:
    """Setter over FUSEDOPTIM_NUM_THREADS over OMP_NUM_THREADS over the number of CPUs."""
    most = str(min(CPUS, fo.machine.threads.cgroup_quota() or CPUS))
    assert printed(GET) == most
    assert printed(GET, OMP_NUM_THREADS="1") == "1"
    assert printed(GET, OMP_NUM_THREADS="1", FUSEDOPTIM_NUM_THREADS="2") == "2"
    assert printed(GET, OMP_NUM_THREADS="2", FUSEDOPTIM_NUM_THREADS="1") == "1"
    assert printed(GET.replace("print", "fo.set_num_threads(2); print"), FUSEDOPTIM_NUM_THREADS="1") == "2"
    assert printed(GET.replace("print", "fo.set_num_threads(1); print"), FUSEDOPTIM_NUM_THREADS="2") == "1"
    assert printed(GET, FUSEDOPTIM_NUM_THREADS="1000") == most
    assert printed(GET, FUSEDOPTIM_NUM_THREADS="") == most


@several_cpus
@pytest.mark.parametrize(("argument", "setter", "threads"), [(None, 1, 1), (None, 2, 2), (1, 2, 1), (2, 1, 2)])
def test_the_argument_comes_first(layer: str, argument: int | None, setter: int, threads: int) -> None:
    """Seen in the number of threads of the process: others are started with the first step that needs them."""
    code = f"""
        import os, numpy as np, fusedoptim as fo
        w = np.zeros({8 * PARALLEL})
        optimizer = fo.SGD(w, num_threads={argument})
        fo.set_num_threads({setter})
        before = len(os.listdir("/proc/self/task"))
        optimizer.step(w.copy())
        print(1 + len(os.listdir("/proc/self/task")) - before)
    """
    assert printed(code) == str(threads)


@several_cpus
def test_little_work_starts_no_threads(layer: str) -> None:
    code = f"""
        import os, numpy as np, fusedoptim as fo
        before = os.listdir("/proc/self/task")
        w = np.zeros({PARALLEL - 1})
        fo.SGD(w, num_threads=2).step(w.copy())
        assert os.listdir("/proc/self/task") == before
    """
    printed(code)


def test_more_threads_than_anyone_has(kind: Case) -> None:
    w = np.random.default_rng(0).normal(size=PARALLEL)
    wanted, g = w.copy(), w[::-1].copy()
    kind.make(w, num_threads=10**30).step(g)
    kind.make(wanted, num_threads=1).step(g)
    assert_same_bits(w, wanted)


def test_absurd_environment_does_not_hang(layer: str) -> None:
    code = f"import numpy as np, fusedoptim as fo; w = np.zeros({PARALLEL}); fo.SGD(w).step(w.copy()); print('done')"
    assert printed(code, FUSEDOPTIM_NUM_THREADS=str(10**30)) == "done"
    assert printed(code, OMP_NUM_THREADS=str(2**31 - 1)) == "done"


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", " ", "1,2", "inf"])
def test_a_bad_number_of_threads_in_the_environment(value: str) -> None:
    said = complaint(FUSEDOPTIM_NUM_THREADS=value)
    assert (
        said
        == f"ValueError: the environment variable FUSEDOPTIM_NUM_THREADS must be a whole number >= 1, got {value!r}"
    )


@several_cpus
def test_threadpool_limits() -> None:
    """They are OpenMP's, whose threads are not the pool's."""
    pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    code = """
        import threadpoolctl, fusedoptim as fo
        before = fo.get_num_threads()
        with threadpoolctl.threadpool_limits(1):
            print(fo.get_num_threads(), fo.info()["threads_set_by"], *fo.info()["warnings"], sep=";")
        assert fo.get_num_threads() == before
    """
    threads, by, *warnings = printed(code, **OPENMP).split(";")
    assert (threads, by) == ("1", "OpenMP's default: threadpool_limits or the like")
    assert "set_num_threads() overrides it" in warnings[-1]
    assert printed(code).split(";")[0] == str(fo.get_num_threads())


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks on this system")
@pytest.mark.parametrize("when", ["before", "after"])
def test_affinity_mask(layer: str, when: str) -> None:
    mask = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    lines = [mask, "import fusedoptim as fo"] if when == "before" else ["import fusedoptim as fo", mask]
    assert printed("\n".join(["import os", *lines, "fo.set_num_threads(8); print(fo.get_num_threads())"])) == "1"


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "10000 100000\n"}, 1),
        ({"cpu.max": "nonsense\n"}, None),
        ({"cpu.max": ""}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "300000\n"}, None),
    ],
)
def test_cgroup_quota(tmp_path: Path, files: dict[str, str], cpus: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert fo.machine.threads.cgroup_quota(tmp_path) == cpus


@several_cpus
def test_the_quota_is_a_limit() -> None:
    fo.set_num_threads(2)
    fo._core.set_cpu_quota(1)
    assert fo.get_num_threads() == 1
    fo.machine.threads.configure()
    fo.set_num_threads(2)
    assert fo.get_num_threads() == 2


BESIDE_LOAD = """
import os, subprocess, sys, time, numpy as np, fusedoptim as fo

def ran(tasks):
    return sum(int(open(f"/proc/self/task/{task}/schedstat").read().split()[0]) for task in tasks)

def shares_of_time():
    others = set(os.listdir("/proc/self/task")) - {str(os.getpid())}
    before = ran(others), ran([os.getpid()])
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        opt.step(g)
    return (ran(others) - before[0]) / (ran([os.getpid()]) - before[1])

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
w, g = np.zeros((2, 1 << 20), np.float32)
opt = fo.SGD(w)
opt.step(g)
busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(6)]
try:
    shares_of_time()
    by_default = shares_of_time()
    fo.set_num_threads(2)
    print(by_default, shares_of_time())
finally:
    for each in busy:
        each.kill()
"""


@several_cpus
@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell who waits for a CPU")
def test_beside_other_load_a_step_wakes_nobody_unless_asked(layer: str) -> None:
    """By default the threads of a step do nothing where the CPUs are wanted; a number that was given is kept to."""
    found = printed(BESIDE_LOAD, FUSEDOPTIM_NUM_THREADS="", OMP_NUM_THREADS="")
    by_default, asked_for = map(float, found.split())
    assert by_default < 0.1 < asked_for


# Layers


def test_the_threading_layer(layer: str) -> None:
    assert (
        printed("import fusedoptim as fo; print(fo.threading_layer(), fo.info()['threading_layer'])")
        == f"{layer} {layer}"
    )


def test_the_default_layer_loads_no_openmp() -> None:
    code = "import fusedoptim as fo; print(fo.threading_layer(), *fo.info()['openmp_runtimes'])"
    assert printed(code, FUSEDOPTIM_THREADING_LAYER="") == "pool"


def test_a_bad_layer_in_the_environment() -> None:
    said = complaint(FUSEDOPTIM_THREADING_LAYER="tbb")
    variable = "the environment variable FUSEDOPTIM_THREADING_LAYER"
    assert said == f"ValueError: {variable} must be one of pool, openmp, got 'tbb'"


def test_a_layer_that_is_not_there() -> None:
    code = "import sys; sys.modules['fusedoptim._openmp'] = None; import fusedoptim"
    exit_code, _, errors = python(code, **OPENMP)
    said = errors.strip().splitlines()[-1]
    assert exit_code == 1 and said.startswith("ImportError: FUSEDOPTIM_THREADING_LAYER=openmp needs an OpenMP runtime")
    assert said.endswith("or leave the variable unset for the pool")


# Instruction sets


def test_use_isa() -> None:
    before = fo.isa()
    assert before in fo.available_isas()
    assert fo.available_isas()[0] == "baseline"
    for name in fo.available_isas():
        with fo.use_isa(name):
            assert fo.isa() == fo.info()["isa"] == name
            with fo.use_isa("baseline"):
                assert fo.isa() == "baseline"
            assert fo.isa() == name
        assert fo.isa() == before


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)])
def test_use_isa_in_blocks_that_overlap(order: tuple[int, ...]) -> None:
    """As of several threads. The last of those still open says, and in the end all is as before."""
    before = fo.isa()
    names = [fo.available_isas()[-1], "baseline", fo.available_isas()[-1]]
    blocks = [fo.use_isa(name) for name in names]
    for block, name in zip(blocks, names, strict=True):
        block.__enter__()
        assert fo.isa() == name
    left = set(order)
    for k in order:
        blocks[k].__exit__(None, None, None)
        left.remove(k)
        assert fo.isa() == (names[max(left)] if left else before)


def test_use_isa_is_undone_after_an_exception() -> None:
    before = fo.isa()
    with pytest.raises(KeyError), fo.use_isa("baseline"):
        raise KeyError
    assert fo.isa() == before


@pytest.mark.parametrize("name", ["sse9", "", "AVX2", None, 2])
def test_use_isa_refuses(name: object) -> None:
    before = fo.isa()
    with pytest.raises(ValueError, match=r"^name must be one of baseline.*got"), fo.use_isa(name):
        pass
    assert fo.isa() == before


def test_the_environment_lowers_the_isa() -> None:
    code = "import fusedoptim as fo; print(fo.isa(), *fo.available_isas())"
    for name in fo.available_isas():
        assert printed(code, FUSEDOPTIM_ISA=name).split() == [name, *fo.available_isas()]
    assert printed(code).split()[0] == printed(code, FUSEDOPTIM_ISA="").split()[0] == fo.available_isas()[-1]


def test_a_bad_isa_in_the_environment() -> None:
    said = complaint(FUSEDOPTIM_ISA="avx1024")
    assert said.startswith("ValueError: the environment variable FUSEDOPTIM_ISA must be one of baseline")
    assert said.endswith("got 'avx1024'")


# Fork

STEPS = f"""
import multiprocessing, os, sys, numpy as np, fusedoptim as fo

def steps():
    w, g = np.random.default_rng(0).normal(size=(2, {8 * PARALLEL}))
    optimizer = fo.Adam(w, num_threads=2)
    for _ in range(3):
        optimizer.step(g)
    return w.tobytes()

def in_child():
    same = fo.threading_layer() == "pool" and fo.get_num_threads() == before and steps() == expected
    os._exit(0 if same and len(os.listdir("/proc/self/task")) == before else 3)

fo.set_num_threads(2)
before, expected = fo.get_num_threads(), steps()
"""

FORKS = {
    "fork": """
for _ in range(10):
    child = os.fork()
    if child == 0:
        in_child()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
""",
    "multiprocessing": """
children = [multiprocessing.get_context("fork").Process(target=in_child) for _ in range(4)]
for child in children:
    child.start()
for child in children:
    child.join()
assert [child.exitcode for child in children] == [0] * 4
""",
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("way", FORKS)
def test_fork_after_a_parallel_step(layer: str, way: str) -> None:
    """The child neither hangs nor computes anything else, and has threads of its own, the pool's; the parent goes on."""
    printed(STEPS + FORKS[way] + "assert fo.get_num_threads() == before and steps() == expected")


LAUNCHED = """
import fusedoptim as fo
found = fo.info()
print(found["ranks"], found["num_threads"], found["threads_set_by"], *found["warnings"], sep="|")
"""


@several_cpus
@pytest.mark.parametrize("variable", fo.machine.threads.LAUNCHERS)
def test_a_rank_of_a_parallel_job_takes_its_share_of_the_cpus(variable: str) -> None:
    share = max(1, min(CPUS, fo.machine.threads.cgroup_quota() or CPUS) // 2)
    plain = {"FUSEDOPTIM_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    found = printed(LAUNCHED, **plain, **{variable: "2"}).strip().split("|")
    assert found[:3] == ["2", str(share), "this rank's share of the CPUs, with 2 ranks"]
    assert printed(LAUNCHED, **plain, **{variable: ""}).split("|")[0] == "1"
    chosen = printed(LAUNCHED, **plain | {"FUSEDOPTIM_NUM_THREADS": str(CPUS)}, **{variable: "2"})
    assert f"2 ranks of {CPUS} threads are {2 * CPUS} on {CPUS} CPUs" in chosen
