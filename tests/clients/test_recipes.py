"""The programs of docs/recipes.md run, and do what the page says."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .. import ROOT

PAGE = ROOT / "docs" / "recipes.md"
FRONT_PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md"]

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def programs(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def recipe(title: str) -> str:
    _, *sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (section,) = (section for section in sections if section.startswith(title))
    (program,) = programs(section)
    return program


def run(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a program has at its end."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    Path("recipe.py").write_text(program)
    return runpy.run_path("recipe.py")


def test_every_recipe_has_a_test() -> None:
    titles = re.findall(r"^## (.+)$", PAGE.read_text(), re.MULTILINE)
    tested = re.findall(r'recipe\("(.+)"\)', Path(__file__).read_text())
    assert len(titles) == len(tested) and all(map(str.startswith, titles, tested))


@pytest.mark.parametrize("page", [page for page in FRONT_PAGES if page.exists()], ids=lambda page: page.name)
def test_a_front_page(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *_ = programs(page.read_text())
    params = run(first, tmp_path, monkeypatch)["params"]
    np.testing.assert_allclose(np.append(params["w"], params["b"]), [1.0, -2.0, 0.5, 3.0], atol=0.01)


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
