"""Decoupled weight decay, which joins the step before it meets the weight: however small, float32 does not round it away."""

from functools import partial
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import CASES, MATRIX_CASES, Case
from ..nests import normal

STEPS = 300
DECAYS = {"weight_decay", "lambd"}
DECAYING = {row.rule: row for row in [*CASES, *MATRIX_CASES] if DECAYS & fo._core.rule_hypers[row.rule].keys()}
# Where the rate of a tensor is relative to its norm, one at which a step is no less than a weight's last digit.
OWN = {rule: {"trust_coefficient": 1.0} for rule in ("lars", "nesterov_lars")}


def run(row: Case, dtype: type, **keywords: Any) -> np.ndarray:
    """Weights after some real steps: the rate falls, as it does in training."""
    rng = np.random.default_rng(0)
    w = np.linspace(1, 2, 1024, dtype=dtype).reshape(32, 32)
    optimizer = row.make(w, **OWN.get(row.rule, {}) | keywords)
    for _ in range(STEPS):
        optimizer.step(rng.normal(size=w.shape).astype(dtype))
    return w.astype(np.float64)


@pytest.mark.parametrize("rule", DECAYING)
def test_a_small_one_is_that_of_float64(rule: str) -> None:
    row = DECAYING[rule]
    (name,) = DECAYS & fo._core.rule_hypers[rule].keys()
    lr = fo.schedules.linear(2e-5, n=STEPS)

    def decayed(dtype: type) -> float:
        return float((run(row, dtype, lr=lr, **{name: 0.0}) - run(row, dtype, lr=lr, **{name: 1e-2})).mean())

    assert decayed(np.float32) == pytest.approx(decayed(np.float64), rel=0.02)


def test_fromage_shrinks_as_in_float64() -> None:
    """Its root is a decay too: of 2e-8 a step here."""
    norms = [np.linalg.norm(run(Case(fo.Fromage), dtype, lr=2e-4)) for dtype in (np.float32, np.float64)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-6)


PLAIN: list[tuple[Any, Any, dict[str, Any]]] = [
    (fo.AdamW, fo.Adam, {}),
    (fo.AdamW, fo.Adam, {"amsgrad": True}),
    (fo.AdamW, fo.Adam, {"cautious": True}),
    (fo.AdamaxW, fo.Adamax, {}),
    (partial(fo.NAdam, decoupled_weight_decay=True), fo.NAdam, {}),
    (partial(fo.RAdam, decoupled_weight_decay=True), fo.RAdam, {}),
]


@pytest.mark.parametrize(("decoupled", "plain", "keywords"), PLAIN)
def test_none_is_exact(decoupled: Any, plain: Any, keywords: dict[str, Any], dtype: type) -> None:
    """Of zeros of both signs, too."""
    zeros = [0.0, -0.0, 0.0, -0.0], [0.0, 0.0, -0.0, -0.0]
    w = np.append(normal(0, 100, dtype=dtype), np.array(zeros[0], dtype))
    optimizer, wanted = decoupled(w.copy(), weight_decay=0.0, **keywords), plain(w.copy(), **keywords)
    for seed in range(10):
        g = np.append(normal(seed, 100, dtype=dtype), np.array(zeros[1], dtype))
        optimizer.step(g)
        wanted.step(g)
        assert_same_bits(optimizer.params, wanted.params)


@pytest.mark.parametrize("layer", [fo.kernels, fo.reference])
def test_an_infinite_weight_becomes_nan(layer: Any) -> None:
    w = np.array([np.inf, 1.0])
    with np.errstate(invalid="ignore"):
        layer.sgd(w, np.array([0.0, 1.0]), lr=0.5)
    np.testing.assert_array_equal(w, [np.nan, 0.5])
