"""The benchmark of the trainings of others. Nothing here depends on how long anything takes."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="rich is not installed")

import clients


def run(*args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, clients.__file__, *args]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize("name", clients.TRAININGS)
def test_a_training_comes_to_the_same(name: str, tmp_path: Path) -> None:
    if find_spec(clients.TRAININGS[name].needs) is None:
        pytest.skip(f"{clients.TRAININGS[name].needs}, which trains, is not installed")
    figures = tmp_path / "clients.json"
    done = run("--quick", "--only", name, "--json", str(figures))
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(figures.read_text())["results"]
    assert found["training"] == name
    assert found["goal"] == clients.TRAININGS[name].goal


def test_another_result_is_refused() -> None:
    training = clients.Training("", lambda quick: lambda ours: [1.0 + ours], 1.0, 1e-3)
    with pytest.raises(SystemExit, match=r"ours comes to 2\.0, and the other to 1\.0"):
        clients.check("x", training, training.make(True))
