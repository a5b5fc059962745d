"""Gradients of 16 bits: a step of them is, to the bit, that of the float32 which they mean."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.numerics import formats

from ..cases import DEFAULTS, Case
from ..nests import bits, normal

NARROW = [case for case in DEFAULTS if case.make(np.ones((2, 2))).rule in fo._core.narrow_states]
OTHERS = [case for case in DEFAULTS if case not in NARROW]
PENALTY = Case(fo.Momentum, {"weight_decay": 0.1})  # of L2, in the gradient
SIZES = {"a": 1, "b": 255, "c": 4096, "d": 5000}


def bfloat16(x: np.ndarray) -> np.ndarray:
    return formats.bfloat16(formats.to_bfloat16(x))


def float16(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float16)


HALVES = [bfloat16, float16]


def params() -> dict[str, np.ndarray]:
    return {name: normal(k, n) for k, (name, n) in enumerate(SIZES.items())}


def gradients(t: int, half: Callable[[np.ndarray], np.ndarray]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of 16 bits, and what they mean. One is float32 in both."""
    grads = {name: half(normal(10 * t + k, n)) for k, (name, n) in enumerate(SIZES.items())}
    meant = {name: formats.load(g) for name, g in grads.items()}
    grads["b"] = meant["b"].copy()
    return grads, meant


def step(optimizer: fo.Optimizer, grads: Any, **keywords: Any) -> None:
    optimizer.step(grads, **keywords)


def step_bound(optimizer: fo.Optimizer, grads: Any, **keywords: Any) -> None:
    optimizer.bind(grads)
    optimizer.step(**keywords)


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half.__name__)
@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"clip_norm": 0.5, "ema": 0.9},
        {"accumulate": 2, "clip_norm": 0.5, "clip_value": 0.01},
        {"nonfinite": "skip", "maximize": True, "num_threads": 3},
    ],
    ids=lambda keywords: ",".join(keywords) or "none",
)
@pytest.mark.parametrize("row", [*NARROW, PENALTY], ids=str)
@pytest.mark.parametrize("way", [step, step_bound])
def test_a_step(row: Case, keywords: dict[str, Any], half: Callable[[Any], Any], way: Callable[..., None]) -> None:
    own, meant = row.make(params(), **keywords), row.make(params(), **keywords)
    for t in range(1, 6):
        grads, wide = gradients(t, half)
        way(own, grads, zero_grads=t > 3)
        way(meant, wide, zero_grads=t > 3)
        assert t <= 3 or not any(g.view(f"u{g.itemsize}").any() for g in grads.values())
        assert own.last_grad_norm == meant.last_grad_norm
    own.flush(), meant.flush()
    assert bits(own.params, *own.state.values()) == bits(meant.params, *meant.state.values())


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half.__name__)
def test_a_block(half: Callable[[Any], Any]) -> None:
    optimizers = [fo.Adam(params()), fo.Adam(params())]
    for optimizer, grads in zip(optimizers, gradients(1, half), strict=True):
        with optimizer.stepping():
            for name in reversed(SIZES):
                optimizer.update(name, grads[name])
    own, meant = optimizers
    assert bits(own.params, *own.state.values()) == bits(meant.params, *meant.state.values())


def test_widths_may_change_from_step_to_step() -> None:
    own, meant = fo.Adam(params()), fo.Adam(params())
    for t, half in enumerate([bfloat16, formats.load, float16, formats.load, bfloat16]):
        grads, wide = gradients(t, half)
        own.step(grads), meant.step(wide)
    assert bits(own.params, *own.state.values()) == bits(meant.params, *meant.state.values())


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half.__name__)
def test_one_that_is_not_finite(half: Callable[[Any], Any]) -> None:
    optimizer = fo.SGD(params(), nonfinite="raise", accumulate=2)
    grads, _ = gradients(1, half)
    optimizer.step(grads)
    wide = formats.load(grads["c"])
    wide[4000] = np.nan
    before = bits(optimizer.params)
    with pytest.raises(FloatingPointError, match=r'grads\["c"\]'):
        optimizer.step(grads | {"c": half(wide)})
    assert bits(optimizer.params) == before and optimizer.skipped == 1


def test_a_gradient_that_is_a_weight_is_refused() -> None:
    w = np.ones(8, np.float32)
    optimizer = fo.SGD(w)
    with pytest.raises(ValueError, match="share memory"):
        optimizer.step(w.view(np.float16)[:8])
    assert optimizer.t == 0


def test_one_for_a_float64_weight_is_refused() -> None:
    optimizer = fo.SGD(np.ones(8))
    for half in HALVES:
        with pytest.raises(TypeError, match=r"grads must be float32 or float64, got (bfloat16|float16); convert it"):
            optimizer.step(half(np.ones(8, np.float32)))


@pytest.mark.parametrize("row", OTHERS, ids=str)
def test_a_rule_that_needs_sums_takes_whole_ones(row: Case) -> None:
    w = np.ones((4, 4), np.float32)
    optimizer = row.make(w)
    g: Any = float16(w)
    with pytest.raises(TypeError, match="must be float32"):
        optimizer.step(fo.RowGrad(np.arange(4), g) if row.optimizer is fo.SparseAdam else g)
    assert optimizer.t == 0


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half.__name__)
def test_rows(half: Callable[[Any], Any]) -> None:
    own, meant = (fo.Adam(normal(0, 9, 4)) for _ in range(2))
    for t in (1, 2, 3):
        rows, values = np.array([3, 0, 3, 8]), half(normal(t, 4, 4))
        own.step(fo.RowGrad(rows, values)), meant.step(fo.RowGrad(rows, formats.load(values)))
    assert bits(own.params, *own.state.values()) == bits(meant.params, *meant.state.values())


@pytest.mark.parametrize("block", [False, True])
def test_rows_after_one_of_16_bits(block: bool) -> None:
    rows, values = np.array([3, 0, 3]), normal(1, 3, 4)
    own, meant = (fo.Adam(normal(0, 5, 4)) for _ in range(2))
    first = bfloat16(normal(2, 5, 4))
    for optimizer, g in ((own, first), (meant, formats.load(first))):
        optimizer.step(g)
        if block:
            with optimizer.stepping():
                optimizer.update((), fo.RowGrad(rows, values))
        else:
            optimizer.step(fo.RowGrad(rows, values))
        optimizer.step(normal(3, 5, 4))
    assert bits(own.params, *own.state.values()) == bits(meant.params, *meant.state.values())
