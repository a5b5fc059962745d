"""The benchmarks of formats in bench/, and what is trained with them. Nothing here depends on how long anything takes."""

import csv
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

for package in ("rich", "matplotlib", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed")

import fusedoptim as fo
import narrow
import narrow_peers
import narrow_training
import transformer
from formats import ALL, FLOAT32, FORMATS, WITH_COPY

from .. import ROOT

PAGE = ROOT / "docs" / "narrow.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE) if PAGE.exists() else []


def run(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(Path(narrow.__file__).with_name(program)), *args]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)


def test_narrow(tmp_path: Path) -> None:
    figures, table = tmp_path / "narrow.json", tmp_path / "narrow.md"
    peers = () if narrow_peers.missing("torch fused") else ("torch fused", "casts, torch fused", "casts, our float32")
    done = run(
        *("narrow.py", "--exponents", "17", "--threads", "1", "--repetitions", "2"),
        *("--peers", *peers, "--json", str(figures), "--table", str(table)),
    )
    assert done.returncode == 0, done.stderr
    assert f"| {ALL} | 14 |" in table.read_text()
    assert "adam, 2^17 parameters, 1 threads" in done.stdout
    found = json.loads(figures.read_text())["results"]
    adam = [f for f in found if f["rule"] == "adam"]
    assert [f["format"] for f in adam if f["competitor"] == narrow.OURS] == list(FORMATS)
    assert {(f["competitor"], f["format"]) for f in adam if f["competitor"] in peers} == {
        (peer, name) for peer in peers for name in narrow_peers.PEERS[peer].beside
    }
    for rule in ("momentum", "lion"):
        assert {f["format"] for f in found if f["rule"] == rule} == {FLOAT32, ALL}
    for f in found:
        assert 0 < f["nanoseconds"]["low"] <= f["nanoseconds"]["median"] and f["speedup"]["median"] > 0


# Bytes a parameter that Adam moves, and that are kept; a scale for 256 codes makes the rest.
BYTES = {
    FLOAT32: (28, 12),
    WITH_COPY: (28, 14),
    "split": (26, 12),
    "stochastic": (22, 10),
    "nearest": (22, 10),
    ALL: (14, 6),
    "state bfloat16": (20, 8),
    "state float8": (16 + 1 / 16, 6 + 1 / 32),
    "split, state bfloat16": (18, 8),
    "split, state float8": (14 + 1 / 16, 6 + 1 / 32),
    "stochastic, state float8": (10 + 1 / 16, 4 + 1 / 32),
}


@pytest.mark.parametrize("name", FORMATS)
def test_bytes(name: str) -> None:
    ours = narrow.Tensor("adam", 2**12).ours(name)
    assert (ours.moved, ours.kept) == BYTES[name]
    assert ours.passing == ours.moved + 2 * (name == WITH_COPY)


def test_another_step_is_refused() -> None:
    tensor = narrow.Tensor("adam", 2**10)

    def idle(weights: np.ndarray, grads: np.ndarray) -> narrow_peers.Step:
        return lambda: None

    def other(weights: np.ndarray, grads: np.ndarray) -> narrow_peers.Step:
        optimizer = fo.Adam(weights, narrow_peers.LR, betas=(0.5, 0.5))
        return lambda: optimizer.step(grads)

    for make in (idle, other):
        with pytest.raises(narrow.MismatchError, match="idle computes another step than the reference"):
            tensor.peer("idle", make, FORMATS[FLOAT32])


def test_other_bits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of another seed, which are as near."""
    tensor, make = narrow.Tensor("adam", 2**10), fo.Adam
    seeded = narrow.Rule(lambda *args, **keywords: make(*args, seed=1, **keywords), tensor.rule.loop, 4)  # type: ignore[arg-type]
    tensor.ours(ALL)
    monkeypatch.setattr(tensor, "rule", seeded)
    with pytest.raises(narrow.MismatchError, match="all bfloat16: other bits than the reference"):
        tensor.ours(ALL)


@pytest.mark.parametrize("name", transformer.init(11, np.random.default_rng(0), width=8, length=6))
def test_gradient_of_the_transformer(name: str) -> None:
    """By central differences, along a random direction."""
    rng = np.random.default_rng(1)
    params = {key: w.astype(np.float64) for key, w in transformer.init(11, rng, width=8, length=6).items()}
    x, y = rng.integers(0, 11, (2, 2, 5))
    direction = 1e-6 * rng.standard_normal(params[name].shape)
    there, back = (transformer.loss(params | {name: params[name] + s * direction}, x, y) for s in (1, -1))
    along = np.sum(transformer.gradient(params, x, y)[name] * direction)
    assert (there - back) / 2 == pytest.approx(along, rel=1e-5)


def test_training(tmp_path: Path) -> None:
    figures = tmp_path / "runs.json"
    done = run(
        *("narrow_training.py", "--seeds", "1", "--steps", "1", "--processes", "1"),
        *("--out", str(tmp_path), "--json", str(figures)),
    )
    assert done.returncode == 0, done.stderr
    head, *rows = csv.reader((tmp_path / "narrow.csv").read_text().splitlines())
    assert head == narrow_training.HEADINGS
    assert [row[0] for row in rows] == list(FORMATS)
    assert "</svg>" in (tmp_path / "narrow.svg").read_text()
    runs = json.loads(figures.read_text())["results"]
    assert len(runs) == len(FORMATS) * len(narrow_training.TASKS)
    assert all(run["steps"] == [1] and np.isfinite(run["losses"]).all() for run in runs)


def test_the_same_run_again_and_another_seed() -> None:
    losses = [narrow_training.train(("digits", ALL, seed), steps=20).losses for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]
    assert losses[0][-1][0] < losses[0][0][0]


def test_the_table_has_every_format() -> None:
    table = ROOT / "docs" / "narrow.csv"
    if not table.exists():
        pytest.skip(f"{table} is not there")
    _, *rows = csv.reader(table.read_text().splitlines())
    assert [row[0] for row in rows] == list(FORMATS), "run: python bench/narrow_training.py"


@pytest.mark.parametrize("k", range(len(PROGRAMS)))
def test_programs_of_the_page(k: int, tmp_path: Path) -> None:
    """Those that need a package, and assert by themselves; Sphinx runs the others."""
    for package in re.findall(r"^import (\w+)", PROGRAMS[k], re.MULTILINE):
        pytest.importorskip(package, reason=f"{package} is not installed")
    program = tmp_path / "program.py"
    program.write_text(PROGRAMS[k])
    runpy.run_path(str(program))


@pytest.mark.parametrize("args", ["--exponents 3", "--formats int4", "--peers mxnet", "--threads 0", "--json /"])
def test_bad_arguments(args: str) -> None:
    done = run("narrow.py", *args.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr
