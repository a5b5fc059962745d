"""A whole step without an optimizer: what the reference says, in this order, to the bit."""

import math
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import Case
from ..nests import normal

ALL: dict[str, Any] = {"grad_scale": 4.0, "clip_norm": 2.0, "clip_value": 0.05, "maximize": True, "zero_grads": True}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"clip_norm": 1e9},
    {"clip_norm": 0.5, "maximize": True},
    {"clip_norm": None, "clip_value": None, "ema": None, "num_threads": None},
    ALL,
]


@pytest.mark.parametrize("options", OPTIONS, ids=[",".join(options) for options in OPTIONS])
@pytest.mark.parametrize("averaged", [False, True])
def test_it_is_what_the_reference_says(case: Case, dtype: type, options: dict[str, Any], averaged: bool) -> None:
    w = normal(0, 5, 7, dtype=dtype)
    wanted, ema, average = w.copy(), normal(1, 5, 7, dtype=dtype), normal(1, 5, 7, dtype=dtype)
    states, mine = case.new_state(w), case.new_state(w)
    l2 = {} if "weight_decay" in fo._core.rule_hypers[case.rule] else {"weight_decay": 0.1}
    keywords = options | l2 | ({"ema": average, "ema_decay": 0.75} if averaged else {})
    for t in range(1, 4):
        g = normal(t + 1, 5, 7, dtype=dtype)
        given, hyper = g.copy(), case.hyper_at(t)
        norm = fo.whole_step(case.rule, w, given, *mine, **hyper, **keywords)
        expected_norm = fo.reference.norm([g]) / options.get("grad_scale", 1.0)
        assert norm == (expected_norm if options.get("clip_norm") else None)
        scale = (-1 if options.get("maximize") else 1) / options.get("grad_scale", 1.0)
        scale *= min(1, (options.get("clip_norm") or math.inf) / expected_norm)
        limit = options.get("clip_value") or math.inf
        g = fo.reference.gradient([g], wanted, scale=scale, clip_value=limit, **l2)
        case.reference(wanted, g, *states, **hyper)
        if averaged:
            fo.reference.average(ema, wanted, decay=0.75)
        assert_same_bits(w, wanted)
        assert_same_bits(average, ema)
        for own, state in zip(mine, states, strict=True):
            assert_same_bits(own, state)
        assert given.any() ^ options.get("zero_grads", False)


def test_arrays_by_name_and_threads() -> None:
    one, other = ([normal(k, 100_000) for k in range(3)] for _ in range(2))
    fo.whole_step("momentum", *one, lr=0.1, num_threads=1)
    fo.whole_step("momentum", other[0], m=other[2], g=other[1], lr=0.1, num_threads=2)
    for own, wanted in zip(one, other, strict=True):
        assert_same_bits(own, wanted)


def test_of_no_elements() -> None:
    empty = np.zeros((0, 3))
    assert fo.whole_step("sgd", empty, empty.copy(), clip_norm=1.0) == 0.0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"clip_norm": 0.0}, ValueError, "^clip_norm must be a number > 0, or inf, or None, got 0.0"),
        ({"clip_value": "1"}, TypeError, "^clip_value must be"),
        ({"grad_scale": 0}, ValueError, "^grad_scale must be a finite number > 0"),
        ({"ema_decay": 1.0}, ValueError, "^ema_decay must be"),
        ({"weight_decay": -1.0}, ValueError, "^weight_decay must be"),
        ({"zero_grads": 1}, TypeError, "^zero_grads must be True or False"),
        ({"maximize": None}, TypeError, "^maximize must be True or False"),
        ({"num_threads": 0}, ValueError, "^num_threads must be a whole number"),
        ({"ema": np.ones(3)}, ValueError, "^ema must have the shape"),
        ({"ema": np.ones((2, 2), np.float32)}, TypeError, "^ema must be float64 as w is"),
        ({"learning_rate": 0.1}, TypeError, "^unknown keyword 'learning_rate' for kernels.adam; did you mean 'lr'"),
        ({"random": (0, 1, 0)}, TypeError, "^random is for numbers of 16 and 8 bits"),
        ({"g": np.ones((2, 2))}, TypeError, "^repeated keyword 'g'"),
    ],
    ids=lambda value: next(iter(value), None) if isinstance(value, dict) else "",
)
def test_what_is_refused(change: dict[str, Any], error: type[Exception], words: str) -> None:
    arrays = [normal(k, 2, 2, dtype=np.float64) for k in range(4)]
    before = [array.tobytes() for array in arrays]
    with pytest.raises(error, match=words):
        fo.whole_step("adam", *arrays, **change)
    assert [array.tobytes() for array in arrays] == before


@pytest.mark.parametrize("which", range(4))
def test_an_average_that_is_another_array(which: int) -> None:
    arrays = [normal(k, 9) for k in range(4)]
    with pytest.raises(ValueError, match=rf"^ema and {'wgmv'[which]} share memory"):
        fo.whole_step("adam", *arrays, ema=arrays[which])


def test_a_gradient_that_cannot_be_zeroed() -> None:
    w, g = normal(0, 9), normal(1, 9)
    g.flags.writeable = False
    fo.whole_step("sgd", w, g)
    with pytest.raises(ValueError, match=r"^g is read-only"):
        fo.whole_step("sgd", w, g, zero_grads=True)


@pytest.mark.parametrize(
    ("rule", "words"),
    [("adamm", "did you mean 'adam'"), ("accumulate", "got 'accumulate'"), ("muon", "take Muon"), ("adam_rows", "got")],
)
def test_what_is_no_rule(rule: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fo.whole_step(rule, normal(0, 3), normal(1, 3))
