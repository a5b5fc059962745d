"""The programs of docs/recipes.md run, and do what the page says."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .. import ROOT

PAGE = ROOT / "docs" / "recipes.md"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def recipe(title: str) -> str:
    _, *sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (section,) = (section for section in sections if section.startswith(title))
    (program,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    return str(program)


def run(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a program has at its end."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    Path("recipe.py").write_text(program)
    return runpy.run_path("recipe.py")


def test_every_recipe_is_here() -> None:
    named = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)
    assert len(named) == sum(name.startswith("test_") for name in globals()) - 1


def test_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    program = recipe("A network")
    whole = run(program, tmp_path / "whole", monkeypatch)
    assert whole["accuracy"] > 0.96
    stopped = program.replace("while epoch < EPOCHS", "while epoch < 7")
    assert stopped != program
    run(stopped, tmp_path / "halves", monkeypatch)
    resumed = run(program, tmp_path / "halves", monkeypatch)
    assert all(np.array_equal(w, resumed["params"][name]) for name, w in whole["params"].items())


def test_no_decay_on_biases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(recipe("No decay"), tmp_path, monkeypatch)
    unchanged = {name for name, w in names["params"].items() if np.array_equal(w, np.ones_like(w))}
    assert unchanged == {"b1", "b2"}


def test_log_the_learning_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(recipe("Log the"), tmp_path, monkeypatch)
    rates = [line["lr"] for line in names["log"]]
    assert rates == [names["opt"].lr(t) for t in range(1, 101)]
    assert names["log"][0] == {"step": 1, "lr": pytest.approx(0.01), "norm": 10.0}


def test_resume_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(recipe("Resume"), tmp_path, monkeypatch)  # asserts by itself


def test_in_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run(recipe("In a container"), tmp_path, monkeypatch)
    assert re.match(r"\d+ threads, by \w", capsys.readouterr().out)
