"""The benchmark of a step inside a training loop. Nothing here depends on how long anything takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="rich is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")

import fusedoptim as fo
import loop
import peers
import training
import worker


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, loop.__file__, *args]
    env = os.environ | environment
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600, env=env)


def test_loop(tmp_path: Path) -> None:
    figures = tmp_path / "loop.json"
    done = run("--quick", "--json", str(figures))
    assert done.returncode == 0, done.stderr
    assert "Adam, 33,000 parameters, after a product" in done.stdout
    assert "60 single steps in 2 rounds" in done.stdout
    found = json.loads(figures.read_text())
    assert found["machine"]["num_threads"] == fo.get_num_threads()
    of = {part: [f for f in found["results"] if f["what"] == part] for part in loop.PARTS}
    present = [peer for peer in ("torch-fused", "numba") if not peers.missing(peer)]
    for situation in (loop.ALONE, loop.PRODUCT, loop.BESIDE):
        group = [f for f in of["step"] if f["situation"] == situation]
        names = [f["competitor"] for f in group]
        assert names[0] == loop.ONE and {*present} < {*names}
        assert any(f["layer"] and f["threads"] == fo.get_num_threads() for f in group[1:])
        assert all(f["samples"] == 60 and f["times"].keys() == f["mean_times"].keys() == {loop.ONE} for f in group)
    assert {f["parameters"] for f in of["clip"]} == {2**12, 2**16}
    assert all(f["times"].keys() == {f"{loop.ONE}: step", f"{loop.ONE}: clip"} for f in of["clip"])
    assert [f["competitor"] for f in of["training"][:2]] == [training.WHOSE, loop.ONE]
    for figure in found["results"]:
        spread = figure["milliseconds"]
        assert 0 < spread["low"] <= spread["median"] <= spread["high"] and figure["mean"] > 0
    for unit in (f for f in of["step"] if f["competitor"] == loop.ONE):
        assert unit["threads"] == 1 and unit["times"][loop.ONE]["median"] == 1


def test_parts_and_sizes() -> None:
    done = run("--quick", "--parts", "step", "--n", "1000", "--layers", "--peers", "--situations", "alone")
    assert done.returncode == 0, done.stderr
    titles = [line.strip() for line in done.stdout.splitlines() if "parameters" in line]
    assert titles == ["Adam, 1,000 parameters, alone"]


def test_a_peer_that_is_not_there_is_told() -> None:
    absent = next((peer for peer in peers.PEERS if peers.missing(peer)), None)
    if absent is None:
        pytest.skip("all peers are installed")
    done = run("--quick", "--parts", "step", "--layers", "--situations", "alone", "--peers", absent)
    assert done.returncode == 0, done.stderr
    assert f"{absent}: left out, {peers.missing(absent)} is not installed" in done.stderr


def test_training_in_numpy() -> None:
    """The network that stands in for scikit-learn's learns, with either optimizer to the same loss."""
    first, last = (training._numpy(True, samples=128, iterations=n)[1] for n in (1, 8))
    assert last < first / 2
    assert last == pytest.approx(training._numpy(False, samples=128, iterations=8)[1], rel=1e-6)


def test_worker() -> None:
    with worker.Worker("ours", "ours", {"FUSEDOPTIM_NUM_THREADS": "1"}) as process:
        assert process.call("about")["threads"] == 1
        job = process.call("make", peer="ours", model="100", variant="clip")
        assert len(process.call("time", job=job, steps=4, product=True)) == 4
        with pytest.raises(worker.WorkerError, match="KeyError: 'nobody'"):
            process.call("make", peer="nobody", model="100", variant="step")
        assert len(process.call("time", job=job, steps=1, product=False)) == 1
    assert process.process.poll() is not None


def test_a_worker_that_dies_is_told() -> None:
    with worker.Worker("ours", "ours", {"PYTHONHOME": os.devnull}) as process:
        process.process.wait()
        with pytest.raises(worker.WorkerError, match="the process has ended"):
            process.call("about")


def test_spinning_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def record(*args: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(loop.subprocess, "Popen", record)

    def interrupted() -> None:
        with loop.spinning(wanted=True):
            assert len(started) == len(os.sched_getaffinity(0))
            assert all(process.poll() is None for process in started)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize("args", ["--n 0", "--parts nap", "--peers mxnet", "--clip-exponents 3", "--json /"])
def test_bad_arguments(args: str) -> None:
    done = run(*args.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr
