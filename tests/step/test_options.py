"""The common keywords as attributes: what is read is what holds, and what is set holds from the next step on."""

import math
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import OUTSIDE, Case
from ..expected import Expected, Options
from ..nests import arrays, bits, copied, gradients, mixed, normal, snapshot, unchanged

DEFAULTS: dict[str, Any] = {
    "accumulate": 1,
    "clip_norm": None,
    "clip_value": None,
    "ema": None,
    "maximize": False,
    "nonfinite": "propagate",
    "num_threads": None,
}
OTHERS: dict[str, list[Any]] = {
    "accumulate": [3, np.int64(2), 1],
    "clip_norm": [0.5, 1, math.inf, np.float32(0.25), None],
    "clip_value": [0.5, 1, np.array(0.25), None],
    "ema": [0.5, 0, np.float32(0.75)],
    "maximize": [True, np.bool_(False), False],
    "nonfinite": ["skip", "raise", "propagate"],
    "num_threads": [2, np.int32(1), None],
}


def options(optimizer: fo.Optimizer) -> dict[str, Any]:
    return {name: getattr(optimizer, name) for name in DEFAULTS}


def test_what_is_read_is_what_was_given(kind: Case) -> None:
    assert options(kind.make(mixed())) == DEFAULTS
    given = {name: values[0] for name, values in OTHERS.items()}
    assert options(kind.make(mixed(), **given)) == given


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_set_is_read_and_nothing_else_changes(kind: Case, name: str) -> None:
    optimizer = kind.make(mixed(), ema=0.9)
    for value in OTHERS[name]:
        before = options(optimizer)
        setattr(optimizer, name, value)
        assert options(optimizer) == before | {name: value}
        assert type(getattr(optimizer, name)) in (int, float, bool, str, type(None))
    optimizer.step(gradients(mixed(), 1))


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_is_refused_where_it_is_given_is_refused_where_it_is_set(kind: Case, name: str) -> None:
    optimizer = kind.make(mixed(), ema=0.9)
    bad = [*OUTSIDE[name], *({"accumulate": [2**31, None], "ema": [None]}.get(name, []))]
    before = options(optimizer)
    for value in bad:
        with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
            setattr(optimizer, name, value)
        assert options(optimizer) == before


SET: list[dict[str, Any]] = [
    {"clip_norm": 0.5},
    {"clip_norm": None, "clip_value": 0.3},
    {"maximize": True},
    {"accumulate": 3},
    {"clip_norm": 0.1, "maximize": False},
    {"accumulate": 2, "clip_value": None},
    {"accumulate": 1, "clip_norm": None},
]


def test_what_is_set_holds_from_the_next_step(kind: Case) -> None:
    """To the bit, one after another; an average goes on with another decay."""
    optimizer = kind.make({"w": normal(0, 300), "b": normal(1, 5, dtype=np.float64)}, ema=0.9)
    wanted = Options(ema=0.9)
    expected = Expected([(kind, 0.0, arrays(optimizer.params))], wanted)
    for k, changes in enumerate(SET):
        for name, value in changes.items():
            setattr(optimizer, name, value)
            setattr(wanted, name, value)
        for t in (0, 1):
            given = [gradients(optimizer.params, 10 * k + 5 * t + call) for call in range(wanted.accumulate)]
            for grads in given:
                optimizer.step(grads)
            expected.step(given)
        for w, e, (_, _, weight, _), average in zip(
            arrays(optimizer.params), arrays(optimizer.ema_params), expected.tensors, expected.ema, strict=True
        ):
            assert bits(w, e) == bits(weight, average), changes
        optimizer.ema = wanted.ema = 0.9 - 0.1 * k


def test_infinity_measures_the_norm_and_clips_nothing(kind: Case) -> None:
    optimizer, plain = kind.make(mixed(), clip_norm=math.inf), kind.make(mixed())
    for t in range(2):
        grads = gradients(mixed(), t)
        for each in (optimizer, plain):
            each.step(grads, grad_scale=2.0)
        assert optimizer.last_grad_norm == fo.reference.norm(arrays(grads)) / 2
        assert snapshot(optimizer) == snapshot(plain)
    assert plain.last_grad_norm is None
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3, 4))
    assert optimizer.t == 3


def test_what_becomes_of_gradients_that_are_not_finite() -> None:
    optimizer, nan = fo.SGD(np.ones(1), lr=1.0), np.array([math.nan])
    optimizer.nonfinite = "skip"
    optimizer.step(nan)
    optimizer.nonfinite = "raise"
    with pytest.raises(FloatingPointError):
        optimizer.step(nan)
    assert optimizer.params.tolist() == [1.0] and optimizer.skipped == 2
    optimizer.nonfinite = "propagate"
    optimizer.step(nan)
    assert np.isnan(optimizer.params).all()


# How many are accumulated


def test_up_and_down_between_two_updates(kind: Case) -> None:
    """States stay where they are, but for the sums, which come and go; bound gradients have to be bound again."""
    optimizer = kind.make(mixed(), ema=0.9)
    optimizer.step(gradients(mixed(), 0))
    states, params = dict(optimizer.state), optimizer.params
    optimizer.bind(gradients(mixed(), 1))
    for n in (2, 3, 1):
        before = bits(params, *states.values())
        optimizer.accumulate = n
        assert ("grad_sum" in optimizer.state) == (n > 1)
        assert optimizer.params is params and bits(params, *states.values()) == before
        assert all(
            own is was
            for name, nest in states.items()
            for own, was in zip(arrays(optimizer.state[name]), arrays(nest), strict=True)
        )
        with pytest.raises(TypeError, match=r"needs bind\(grads\) first"):
            optimizer.step()
        t = optimizer.t
        for call in range(n):
            assert optimizer.accumulated == call
            optimizer.step(gradients(mixed(), call))
        assert optimizer.t == t + 1


def test_amid_a_window_it_stays(kind: Case) -> None:
    optimizer = kind.make(mixed(), accumulate=3)
    optimizer.step(gradients(mixed(), 0))
    for n in (1, 2, 4):
        with (
            unchanged(optimizer),
            pytest.raises(ValueError, match=r"^accumulate must stay 3 .* got \d; call flush\(\)"),
        ):
            optimizer.accumulate = n
    assert optimizer.accumulate == 3
    optimizer.flush()
    optimizer.accumulate = 1
    assert optimizer.accumulate == 1


def test_counts_and_what_is_frozen_stay_with_it() -> None:
    for make in (fo.NAdam, fo.ScheduleFreeAdamW):
        optimizer, twin = (make(mixed()) for _ in range(2))
        for each in (optimizer, twin):
            each.freeze("layers")
            each.step(gradients(mixed(), 0))
        optimizer.accumulate = 2
        optimizer.accumulate = 1
        for each in (optimizer, twin):
            each.step(gradients(mixed(), 1))
            each.thaw("layers")
            each.step(gradients(mixed(), 2))
        assert snapshot(optimizer) == snapshot(twin) and optimizer.steps == twin.steps


# What is refused


@pytest.mark.parametrize(
    "name", ["learning_rate", "clipnorm", "clip_grad_norm", "beta", "weight_decay", "grad_scale", ""]
)
def test_what_is_no_attribute_cannot_be_set(kind: Case, name: str) -> None:
    optimizer = kind.make(mixed())
    before = dict(vars(optimizer))
    with pytest.raises(AttributeError, match=f"^{type(optimizer).__name__} has no attribute '{name}'"):
        setattr(optimizer, name, 1)
    assert vars(optimizer) == before


def test_of_a_hyper_parameter_it_is_said_where_it_is() -> None:
    optimizer = fo.AdamW(np.ones(1))
    with pytest.raises(AttributeError, match=r"a group has it: opt\.groups\[0\]\.weight_decay = …$"):
        optimizer.weight_decay = 0.5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name", ["rule", "carried", "registry", "step", "params", "state", "groups", "steps", "ema_params"]
)
def test_what_an_optimizer_is_cannot_be_set(kind: Case, name: str) -> None:
    optimizer = kind.make(mixed())
    before = dict(vars(optimizer))
    with pytest.raises(AttributeError):
        setattr(optimizer, name, getattr(fo.SGD, name))
    assert vars(optimizer) == before
    optimizer.step(gradients(mixed(), 1))


def test_an_average_cannot_begin_amid_a_run(kind: Case) -> None:
    optimizer = kind.make(mixed())
    for value in (0.9, None):
        with unchanged(optimizer), pytest.raises(ValueError, match=r"^ema must be given where the optimizer is made"):
            optimizer.ema = value
    assert optimizer.ema is None


@pytest.mark.parametrize("name", ["accumulate", "clip_norm", "nonfinite"])
def test_what_needs_all_gradients_is_not_set_amid_a_block(kind: Case, name: str) -> None:
    optimizer = kind.make(mixed())
    with optimizer.stepping(), pytest.raises(RuntimeError, match=f"^cannot set {name} inside"):
        setattr(optimizer, name, OTHERS[name][0])
    assert options(optimizer) == DEFAULTS


def test_the_others_hold_from_the_next_update_of_a_block(kind: Case) -> None:
    params = {"a": normal(0, 9), "b": normal(0, 9)}
    optimizer = kind.make(params)
    down, up = kind.make(copied(params["a"])), kind.make(copied(params["b"]), maximize=True, clip_value=0.3)
    with optimizer.stepping():
        optimizer.update("a", normal(1, 9))
        optimizer.maximize, optimizer.clip_value = True, 0.3
        optimizer.update("b", normal(1, 9))
    for each in (down, up):
        each.step(normal(1, 9))
    assert bits(params["a"], params["b"]) == bits(down.params, up.params)
