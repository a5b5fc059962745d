"""The comparison with peers in bench/. Nothing here depends on how long anything takes."""

import json
import subprocess
import sys
from math import prod
from pathlib import Path

import pytest

for package in ("rich", "matplotlib"):
    pytest.importorskip(package, reason=f"{package} is not installed")

import compare
import models
import peers

BENCH = Path(compare.__file__).parent


def run(*args: str) -> subprocess.CompletedProcess[str]:
    # A process of its own: the peers bring warnings, threads and settings along.
    command = [sys.executable, str(BENCH / "compare.py"), *args]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)


@pytest.mark.parametrize(
    ("name", "tensors", "parameters"),
    [
        ("2^4", 1, 16),
        ("mlp", 6, 8_970),
        ("1000-small", 1000, 160_000),
        ("resnet50", 161, 25_557_032),
        ("gpt2", 148, 124_439_808),
    ],
)
def test_shapes(name: str, tensors: int, parameters: int) -> None:
    shapes = models.shapes(name)
    assert (len(shapes), sum(map(prod, shapes))) == (tensors, parameters)


@pytest.mark.parametrize("peer", peers.PEERS)
def test_same_update(peer: str) -> None:
    if package := peers.missing(peer):
        pytest.skip(f"{package} is not installed")
    if peer in ("torch-compiled", "deepspeed"):
        pytest.skip("its compiler takes minutes: bench/compare.py --check")
    done = run("--check", "--workloads", "mlp", "--threads", "1", "--peers", peer)
    assert done.returncode == 0, done.stderr
    for variant in models.VARIANTS:
        for name in (*peers.OURS, peer):
            assert f"mlp, {variant}: {name} does the same update" in done.stderr


@pytest.mark.parametrize(
    ("variant", "other"),
    [
        ("clip", {}),
        ("full", {"clip": 1.0, "ema": 0.999, "zero": True}),
        ("full", {"clip": 1.0, "decay": 0.01, "zero": True}),
        ("full", {"clip": 1.0, "decay": 0.01, "ema": 0.99, "zero": True}),
        ("full", {"clip": 1.0, "decay": 0.01, "ema": 0.999}),
    ],
    ids=["unclipped", "undecayed", "not averaged", "another average", "not zeroed"],
)
def test_another_update_is_refused(variant: str, other: dict[str, float]) -> None:
    field = compare.Field("mlp", variant)
    field.check("ours", field.make("ours"))
    wrong = peers.Ours(field.weights, field.grads, models.Variant(bytes=28, **other))
    with pytest.raises(compare.MismatchError, match="computes another step than the reference on mlp"):
        field.check("wrong", wrong)


def test_compare(tmp_path: Path) -> None:
    figures, picture = tmp_path / "compare.json", tmp_path / "compare.png"
    done = run(
        *("--workloads", "2^4", "mlp", "--peers", "numpy-inplace", "--variants", "step", "full", "--threads", "1"),
        *("--repetitions", "2", "--json", str(figures), "--plot", str(picture)),
    )
    assert done.returncode == 0, done.stderr
    assert "mlp, full: 8,970 parameters in 6, 1 threads" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    assert found["machine"]["num_threads"] == 1
    names = [*peers.OURS, "numpy-inplace", "limit"]
    assert [(f["model"], f["variant"], f["competitor"]) for f in found["results"]] == [
        (model, variant, name) for model in ("2^4", "mlp") for variant in ("step", "full") for name in names
    ]
    for figure in found["results"]:
        assert figure["times"].keys() == peers.OURS.keys() - {figure["competitor"]}


def test_a_peer_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, peer in peers.PEERS.items():
        if peer.needs:
            monkeypatch.setattr(peer, "needs", "no_such_package")
            assert peers.missing(name) == "no_such_package"


@pytest.mark.parametrize("args", ["--workloads 2^3", "--workloads bert", "--peers mxnet", "--threads 0", "--json /"])
def test_bad_arguments(args: str) -> None:
    done = run(*args.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr
