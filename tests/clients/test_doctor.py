"""The doctor finds nothing wrong where nothing is, and tells each fault and its remedy. No test depends on a speed."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.cli import doctor, main
from fusedoptim.cli.bench.competitors import LIMIT, OURS
from fusedoptim.cli.doctor import correctness, machine, speed
from fusedoptim.cli.doctor.finding import Finding, Verdict, failed, ok, warning

from .test_cli import run

ISAS = fo.available_isas()


def assert_told(finding: Finding, verdict: Verdict, *words: str) -> None:
    assert finding.verdict is verdict, finding
    told = f"{finding.sentence}; {finding.remedy}"
    assert all(word in told for word in words), told
    assert (verdict is Verdict.OK) == (not finding.remedy)


def plain(check: Callable[[], Finding]) -> str:
    return check.__name__.replace("_", " ")


def test_a_healthy_machine_without_rich() -> None:
    done = run("doctor", absent=("rich",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"{plain(check)}: " in done.stdout for check in doctor.CHECKS)
    assert Verdict.FAILED.value not in done.stdout
    for check in (machine.fork, *(check for check in doctor.CHECKS if check.__module__ == correctness.__name__)):
        if check is not correctness.instruction_sets:  # which warns of one that is lowered
            assert f"ok       {plain(check)}: " in done.stdout


def test_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def this_check() -> Finding:
        return warning("slow", "hurry")

    monkeypatch.setattr(doctor, "CHECKS", (this_check,))
    assert main(["doctor", "--json", "-"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["checks"] == [{"check": "this check", "verdict": "warning", "sentence": "slow", "remedy": "hurry"}]
    assert found["machine"]["isa"] == fo.isa()
    assert "this check: slow" in err


@pytest.mark.parametrize(
    ("findings", "code", "summary"),
    [
        ([ok("good")], 0, "All is well."),
        ([ok("good"), warning("slow", "hurry")], 0, "It works; 1 of 2 checks"),
        ([warning("slow", "hurry"), failed("wrong", "mend it")], 1, "1 of 2 checks failed"),
    ],
)
def test_verdict(
    findings: list[Finding],
    code: int,
    summary: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rest = iter(findings)

    def this_check() -> Finding:
        return next(rest)

    monkeypatch.setattr(doctor, "CHECKS", (this_check,) * len(findings))
    assert main(["doctor"]) == code
    printed = capsys.readouterr().out
    assert summary in printed
    for finding in findings:
        assert f"{finding.verdict.value:<9}this check: {finding.sentence}\n" in printed
        assert f"what to do: {finding.remedy}" in printed or not finding.remedy


def test_a_check_that_breaks_down_is_a_failure() -> None:
    def broken() -> Finding:
        raise MemoryError("no room")

    assert_told(doctor.examine(broken), Verdict.FAILED, "MemoryError: no room", "report it")


# Results


@pytest.fixture(params=["lamb", "sgd"])
def corrupt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the last bit of one weight wrong on some instruction sets."""
    kernel = getattr(fo.kernels, request.param)
    monkeypatch.setattr(correctness, "SIZES", (1, 17))

    def corrupt(*isas: str) -> None:
        def wrong(w: np.ndarray, *arrays: np.ndarray, **hyper: float) -> None:
            kernel(w, *arrays, **hyper)
            if fo.isa() in isas and w.size == 17:
                w[16] = np.nextafter(w[16], np.inf)

        monkeypatch.setattr(fo.kernels, request.param, wrong)

    return corrupt


@pytest.mark.skipif(len(ISAS) < 2, reason="this CPU has one instruction set")
def test_wrong_bits_of_the_best_instruction_set(corrupt: Callable[..., None]) -> None:
    corrupt(ISAS[-1])
    told = f"on {ISAS[-1]}", "of 17 × float32", f"set FUSEDOPTIM_ISA={ISAS[-2]}"
    assert_told(correctness.instruction_sets(), Verdict.FAILED, *told)


def test_wrong_bits_of_all_instruction_sets(corrupt: Callable[..., None]) -> None:
    corrupt(*ISAS)
    told = *(f"on {isa}" for isa in ISAS), "do not train with this build"
    assert_told(correctness.instruction_sets(), Verdict.FAILED, *told)


@pytest.mark.skipif(len(ISAS) < 2, reason="this CPU has one instruction set")
def test_a_lowered_instruction_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correctness, "SIZES", (1, 17))
    with fo.use_isa(ISAS[0]):
        found = correctness.instruction_sets()
    assert_told(found, Verdict.WARNING, f"{ISAS[0]} runs, though there is {ISAS[-1]}", "unset FUSEDOPTIM_ISA")


def test_bits_that_depend_on_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = correctness.trained
    monkeypatch.setattr(correctness, "get_num_threads", lambda: 2)
    monkeypatch.setattr(correctness, "trained", lambda n: trained(n)[: 2 * n])
    told = "other bits with 2 threads", "set FUSEDOPTIM_NUM_THREADS=1"
    assert_told(correctness.same_bits_with_threads(), Verdict.FAILED, *told)


def takes_all(*arrays: Any) -> None:
    pass


def writes_first(w: Any, *arrays: Any) -> None:
    if isinstance(w, np.ndarray) and w.flags.writeable:
        w[0] += 1
    raise TypeError("too late")


@pytest.mark.parametrize(
    ("kernel", "told"), [(takes_all, (*correctness.HOSTILE, "overlapping")), (writes_first, ("float16", "overlapping"))]
)
def test_hostile_arrays_that_are_taken(kernel: Any, told: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fo.kernels, "adam", kernel)
    assert_told(correctness.hostile_arrays(), Verdict.FAILED, *told, "do not train with this build")


def test_a_checkpoint_that_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    load = "load" if hasattr(fo.Optimizer, "load") else "load_state_dict"
    monkeypatch.setattr(fo.Optimizer, load, lambda optimizer, saved: None)
    told = "goes on otherwise", "do not train with this build"
    assert_told(correctness.checkpoint(), Verdict.FAILED, *told)


def test_checkpoints_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def save(optimizer: fo.Optimizer, path: Path) -> None:
        raise ModuleNotFoundError("no safetensors")

    monkeypatch.setattr(fo.Optimizer, "save", save, raising=False)
    told = "cannot save files", "pip install 'fusedoptim[checkpoint]'"
    assert_told(correctness.checkpoint(), Verdict.WARNING, *told)


# The machine


SOURCES = {
    "default": ("set_num_threads()", "set_num_threads(8)"),
    "openmp": ("OpenMP's default", "OMP_NUM_THREADS=8"),
    "cpus": ("all CPUs of the affinity mask", "taskset -c 0-7"),
    "OMP_NUM_THREADS": ("OMP_NUM_THREADS", "unset it"),
    "startable": ("could not start more", "ulimit -u"),
    "affinity": ("the affinity mask", "taskset -c 0-7"),
    "cgroup_quota": ("the quota", "container's limit"),
    "OMP_THREAD_LIMIT": ("OMP_THREAD_LIMIT", "unset OMP_THREAD_LIMIT"),
    "nested": ("the OpenMP region", "outside"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_number_of_threads(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One on a machine of eight CPUs."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(fo._core, "num_threads", lambda: 1)
    monkeypatch.setattr(fo._core, "num_cpus", lambda: 8)
    monkeypatch.setattr(fo._core, "threads_set_by", lambda: source)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    why, remedy = SOURCES[source]
    assert_told(machine.number_of_threads(), Verdict.WARNING, "on 8 CPUs", why, remedy)


def test_as_many_threads_as_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    fo.set_num_threads(1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert_told(machine.number_of_threads(), Verdict.OK, "1, as many as CPUs", fo.threading_layer())


@pytest.fixture
def affinity() -> Iterator[Callable[[set[int]], None]]:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("no affinity masks on this system")
    before = os.sched_getaffinity(0)
    yield lambda mask: os.sched_setaffinity(0, mask)
    os.sched_setaffinity(0, before)


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU is all there is")
def test_a_real_affinity_mask(affinity: Callable[[set[int]], None]) -> None:
    affinity({min(os.sched_getaffinity(0))})
    fo.set_num_threads(2)
    assert fo.get_num_threads() == 1
    assert machine.number_of_threads().verdict is Verdict.WARNING


LIMITED = {
    "FUSEDOPTIM_NUM_THREADS": ("1", "set_num_threads() or FUSEDOPTIM_NUM_THREADS", "set FUSEDOPTIM_NUM_THREADS="),
    "OMP_NUM_THREADS": ("1,4", "OMP_NUM_THREADS", "set OMP_NUM_THREADS="),
    "OMP_THREAD_LIMIT": ("1", "OMP_THREAD_LIMIT", "unset OMP_THREAD_LIMIT"),
    "a mask": ("", "the affinity mask", "taskset"),
}


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU is all there is")
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks on this system")
@pytest.mark.parametrize("name", LIMITED)
def test_a_process_with_one_thread(name: str) -> None:
    """As it is, and not as a test sets it."""
    value, why, remedy = LIMITED[name]
    masked = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})" if name == "a mask" else ""
    program = f"import os\n{masked}\nfrom fusedoptim.cli.doctor import machine\nprint(machine.number_of_threads())"
    clean = {key: kept for key, kept in os.environ.items() if key not in LIMITED}
    environment = clean if name == "a mask" else clean | {name: value}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "1 on " in done.stdout and why in done.stdout and remedy in done.stdout, done.stdout


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


@needs_fork
def test_fork() -> None:
    assert_told(machine.fork(), Verdict.OK)


@needs_fork
def test_a_child_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    hangs = f"""
import os, pathlib, signal
if os.fork() == 0:
    pathlib.Path({str(pid)!r}).write_text(str(os.getpid()))
signal.pause()
"""
    monkeypatch.setattr(machine, "FORK", hangs)
    monkeypatch.setattr(machine, "PATIENCE", 1)
    assert_told(machine.fork(), Verdict.FAILED, "not done with a step after 1 s", "spawn")
    for _ in range(50):
        if not lives(int(pid.read_text())):
            return
        time.sleep(0.1)
    pytest.fail("the child is still there")


def lives(pid: int) -> bool:
    """Zombies do not: who inherits a child may be slow to bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@needs_fork
def test_a_child_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = machine.FORK.replace("child = os.fork()", "child = os.fork()\nif child == 0:\n    expected = b''")
    monkeypatch.setattr(machine, "FORK", wrong)
    assert_told(machine.fork(), Verdict.FAILED, "another step than its parent", "exit code 1")


def test_a_system_without_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork", raising=False)
    assert_told(machine.fork(), Verdict.OK, "none on this system")


# Speed


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretends that the steps took so many seconds each."""
    monkeypatch.setattr(speed, "N", 1024)

    def pretend(**seconds: float) -> None:
        def interleave(timers: dict[str, Any], *args: Any) -> dict[str, list[float]]:
            assert timers.keys() == seconds.keys()
            return {name: [value] * 3 for name, value in seconds.items()}

        monkeypatch.setattr(speed, "interleave", interleave)

    return pretend


def test_threads_that_gain_nothing(timed: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "get_num_threads", lambda: 2)
    timed(**{"1": 2.0, "2": 1.0})
    assert_told(speed.gain_by_threads(), Verdict.OK, "2 threads", "2.00 times as fast")
    timed(**{"1": 1.0, "2": 1.25})
    told = "0.80 times as fast", "idle machine", "set FUSEDOPTIM_NUM_THREADS=1"
    assert_told(speed.gain_by_threads(), Verdict.WARNING, *told)


def test_one_thread_has_nothing_to_gain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "get_num_threads", lambda: 1)
    assert_told(speed.gain_by_threads(), Verdict.OK, "one thread")


def test_share_of_the_memory_limit(timed: Callable[..., None]) -> None:
    timed(**{OURS: 1e-6, LIMIT: 0.9e-6})
    assert_told(speed.memory_limit(), Verdict.OK, "31.9 GB/s", "90 %")  # 7 numbers of 4 bytes each
    timed(**{OURS: 2e-6, LIMIT: 1e-6})
    assert_told(speed.memory_limit(), Verdict.WARNING, "50 %", "idle machine", "fusedoptim bench")
