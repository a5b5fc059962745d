"""Thinc's optimizers, and spaCy's: the same numbers to rounding, wherever the framework takes them to."""

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..bits import assert_same_bits
from ..nests import normal
from ..nightly import NIGHTLY
from .own_tests import own_tests

pytest.importorskip("thinc", reason="Thinc, whose optimizers these are, is not installed")

from thinc import api

from fusedoptim import thinc

ROUNDING = 1e-4  # of how far weights move: Thinc computes lr · (m / (√v + eps)), and here it is (lr · m) / …
SHAPES: dict[tuple[int, str], tuple[int, ...]] = {(1, "W"): (3, 4), (1, "b"): (4,), (2, "E"): (5, 2, 3)}
KINDS = {"Adam": thinc.FusedAdam, "RAdam": thinc.FusedRAdam, "SGD": thinc.FusedSGD}
L2 = {"no L2": (0.0, True), "decay": (0.01, True), "penalty": (0.01, False)}


def falling(rate: float) -> Iterator[float]:
    while True:
        yield rate
        rate *= 0.99


def pair(rule: str, learn_rate: Any = 0.02, **keywords: Any) -> tuple[Any, Any]:
    """Thinc's and ours, alike."""
    rates = [learn_rate, learn_rate] if isinstance(learn_rate, float) else [learn_rate(), learn_rate()]
    return getattr(api, rule)(rates[0], **keywords), KINDS[rule](rates[1], **keywords)


def run(optimizer: Any, weights: dict[Any, Any], calls: int, lr_scale: float = 1.0) -> None:
    """One key comes late; the gradients of the first calls are long, of the last ones short."""
    for call in range(calls):
        for seed, key in enumerate(weights):
            if key == (1, "b") and call < 3:
                continue
            g = normal(100 * seed + call, *weights[key].shape) * (3.0 if call < calls // 2 else 0.05)
            weights[key], zeroed = optimizer(key, weights[key], np.float32(g), lr_scale=lr_scale)
            assert not zeroed.any()
        optimizer.step_schedules()


def assert_alike(one: dict[Any, Any], other: dict[Any, Any], start: dict[Any, Any]) -> None:
    for key, before in start.items():
        moved = abs(one[key] - before).max()
        assert moved > 1e-3
        np.testing.assert_allclose(other[key], one[key], rtol=0, atol=ROUNDING * moved)


@pytest.mark.parametrize("averaged", [True, False])
@pytest.mark.parametrize("clip", [0.0, 1.0])
@pytest.mark.parametrize("l2", L2)
@pytest.mark.parametrize("rule", KINDS)
def test_as_thinc(rule: str, l2: str, clip: float, averaged: bool) -> None:
    """With a learning rate that a schedule lowers, and one that a layer scales."""
    size, is_decay = L2[l2]
    keywords = {"L2": size, "L2_is_weight_decay": is_decay, "grad_clip": clip, "use_averages": averaged}
    stock, fused = pair(rule, lambda: falling(0.02), **keywords)
    start = {key: normal(k, *shape) for k, (key, shape) in enumerate(SHAPES.items())}
    one, other = ({key: w.copy() for key, w in start.items()} for _ in range(2))
    for optimizer, weights in ((stock, one), (fused, other)):
        run(optimizer, weights, 40, lr_scale=0.5)
        run(optimizer, weights, 20)
    assert_alike(one, other, start)
    assert fused.nr_update == stock.nr_update
    assert (fused.averages is None) is not averaged
    if averaged:
        assert_alike(stock.averages, fused.averages, {key: np.zeros(shape) for key, shape in SHAPES.items()})
    for moments in ("mom1", "mom2"):
        mine, theirs = getattr(fused, moments), getattr(stock, moments)
        assert mine.keys() == theirs.keys()
        for key, m in theirs.items():
            np.testing.assert_allclose(mine[key], m, rtol=1e-3, atol=1e-6)


def test_every_step_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of those above was Thinc's own."""

    def refused(*args: Any, **keywords: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(api.Optimizer, "__call__", refused)
    for rule, (size, is_decay), clip in itertools.product(KINDS, L2.values(), (0.0, 1.0)):
        optimizer = KINDS[rule](0.02, L2=size, L2_is_weight_decay=is_decay, grad_clip=clip)
        run(optimizer, {key: normal(0, *shape) for key, shape in SHAPES.items()}, 4)


def test_a_line_of_a_config() -> None:
    """The name is found by Thinc's registry, which imports what it means only where it is asked for."""
    program = """
import sys
from thinc.api import Optimizer, registry
make = lambda name: registry.resolve({"it": {"@optimizers": name, "learn_rate": [0.2, 0.1]}})["it"]
assert make("Adam.v1") and "fusedoptim" not in sys.modules
for name in ("FusedAdam.v1", "FusedRAdam.v1", "FusedSGD.v1"):
    optimizer = make(name)
    assert isinstance(optimizer, Optimizer) and type(optimizer).__module__ == "fusedoptim.thinc"
    assert optimizer.learn_rate == 0.2
    optimizer.step_schedules()
    assert optimizer.learn_rate == 0.1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def test_weights_that_are_replaced() -> None:
    """As by `use_params` and `from_bytes`: the state goes on, and arrays given before are let alone."""
    stock, fused = pair("Adam")
    key, start = (1, "W"), normal(0, 3, 4)
    one, other, kept = start.copy(), start.copy(), []
    for call in range(6):
        g = normal(call + 1, 3, 4)
        one, _ = stock(key, one.copy(), g.copy())
        other = other.copy()
        kept.append((other, other.copy()))
        given = other.copy()
        other, _ = fused(key, given, g.copy())
        assert other is given
    assert_alike({key: one}, {key: other}, {key: start})
    for array, before in kept:
        assert_same_bits(array, before)


def predicted(optimizer: Any) -> list[Any]:
    """What a network says when it is trained, with its weights and with their averages."""
    api.fix_random_seed(0)
    model = api.chain(api.Relu(16), api.Softmax())
    x, y = normal(0, 60, 8), np.eye(3, dtype="f")[np.arange(60) % 3]
    model.initialize(X=x, Y=y)
    for _ in range(20):
        guess, back = model.begin_update(x)
        back((guess - y) / len(x))
        model.finish_update(optimizer)
    with model.use_params(optimizer.averages):
        averaged = model.predict(x)
    return [averaged, model.predict(x)]


def test_a_model_of_thinc() -> None:
    for one, other in zip(*map(predicted, pair("Adam", L2=0.01)), strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-4)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_model_of_torch_within_thinc() -> None:
    """Whose weights come as new views of torch's memory at each call."""
    torch = pytest.importorskip("torch", reason="torch, of which Thinc wraps a model, is not installed")
    results = []
    for optimizer in pair("Adam"):
        torch.manual_seed(0)
        module = torch.nn.Linear(4, 2)
        start = module.weight.detach().numpy().copy()
        model = api.PyTorchWrapper(module)
        for call in range(10):
            guess, back = model.begin_update(normal(call, 8, 4))
            back(guess - normal(call, 8, 2))
            model.finish_update(optimizer)
        results.append(module.weight.detach().numpy())
    assert_alike({0: results[0]}, {0: results[1]}, {0: start})


def odd_arrays() -> dict[str, Any]:
    strided = np.zeros((6, 8), "f")[::2, ::2]
    strided[...] = normal(0, 3, 4)
    return {
        "float64": normal(0, 3, 4, dtype=np.float64),
        "Fortran": np.asfortranarray(normal(0, 3, 4)),
        "strided": strided,
        "subclass": normal(0, 3, 4).view(type("Own", (np.ndarray,), {})),
    }


@pytest.mark.parametrize("odd", ["weights", "gradient"])
@pytest.mark.parametrize("array", odd_arrays())
def test_what_is_no_plain_array_is_stepped_as_thinc_does(array: str, odd: str) -> None:
    results = []
    for optimizer in pair("SGD", L2=0.01, L2_is_weight_decay=False, use_averages=False):
        arrays = {"weights": normal(0, 3, 4), "gradient": normal(0, 3, 4)} | {odd: odd_arrays()[array]}
        results.append(optimizer((1, "W"), arrays["weights"], arrays["gradient"]))
        assert optimizer.nr_update[1, "W"] == 1
    assert_same_bits(np.asarray(results[0][0]), np.asarray(results[1][0]))
    assert not results[1][1].any()


@pytest.mark.parametrize(
    ("keywords", "weights", "gradient"),
    [
        ({"beta1": 0.0}, normal(0, 3), normal(1, 3)),
        ({}, normal(0, 3), normal(1, 4)),
        ({}, normal(0, 3).tolist(), normal(1, 3)),
    ],
    ids=["no such rule", "another shape", "a list"],
)
def test_what_thinc_refuses(keywords: dict[str, Any], weights: Any, gradient: Any) -> None:
    """Is refused in its words."""
    errors = []
    for optimizer in pair("Adam", **keywords):
        with pytest.raises(Exception) as error:
            optimizer((1, "W"), weights, gradient)
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


def test_a_gradient_that_is_read_only() -> None:
    for optimizer in pair("Adam", grad_clip=1.0, L2=0.01, L2_is_weight_decay=False):
        w, g = normal(0, 3), normal(1, 3)
        g.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            optimizer((1, "W"), w, g)
        assert_same_bits(w, normal(0, 3))


def test_an_empty_array() -> None:
    w, g = pair("Adam")[1]((1, "W"), np.zeros((0, 3), "f"), np.zeros((0, 3), "f"))
    assert w.shape == g.shape == (0, 3)


def test_the_tests_of_thinc(tmp_path: Path) -> None:
    assert "20 passed" in own_tests(tmp_path, "thinc", "thinc.tests.test_optimizers")


@pytest.mark.skipif(not NIGHTLY, reason="minutes; FUSEDOPTIM_NIGHTLY=1 runs them")
def test_the_tests_of_spacy(tmp_path: Path) -> None:
    pytest.importorskip("spacy", reason="spaCy, whose tests these are, is not installed")
    pipeline = [f"spacy.tests.pipeline.{name}" for name in ("test_tagger", "test_textcat", "test_tok2vec")]
    own_tests(tmp_path, "thinc", *pipeline, "spacy.tests.parser", "spacy.tests.training")
