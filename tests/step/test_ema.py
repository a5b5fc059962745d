"""The running average of the weights; test_step.py has its bits."""

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import arrays, bits, gradients, mixed, normal, snapshot, unchanged

STEPS = 20_000


def test_it_begins_at_the_weights(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    assert bits(optimizer.ema_params) == bits(mixed())
    assert optimizer.ema_params is optimizer.state["ema"]


@pytest.mark.parametrize("corrected", [True, False])
def test_it_is_the_weighted_mean(corrected: bool) -> None:
    """Of the weights after each update, the newest of weight 1 - decay; uncorrected, with the first ones for the rest."""
    decay, w = 0.75, normal(0, 50, dtype=np.float64)
    optimizer, first, history = fo.Adam(w, lr=0.1, ema=decay, ema_bias_correction=corrected), w.copy(), []
    for t in range(1, 21):
        optimizer.step(normal(t, 50, dtype=np.float64))
        history.append(w.copy())
        weights = (1 - decay) * decay ** np.arange(t)[::-1]
        mean, rest = np.einsum("t,ti->i", weights, history), decay**t
        wanted = mean / (1 - rest) if corrected else mean + rest * first
        np.testing.assert_allclose(optimizer.ema_params, wanted, rtol=1e-13)


def test_at_first_it_is_the_weight(kind: Case) -> None:
    """To the bit, and whatever it was before."""
    optimizer = kind.make(mixed(), ema=0.999)
    for ema in arrays(optimizer.ema_params):
        ema.fill(np.nan)
    optimizer.step(gradients(mixed(), 1))
    assert bits(optimizer.ema_params) == bits(optimizer.params)


@pytest.mark.parametrize("decay", [0.9, 0.9999, 0.999999])
@pytest.mark.parametrize("corrected", [True, False])
def test_of_constants_it_is_the_constant(dtype: type, decay: float, corrected: bool) -> None:
    w = normal(0, 512, dtype=dtype)
    optimizer = fo.SGD(w, lr=0.0, ema=decay, ema_bias_correction=corrected)
    for _ in range(STEPS):
        optimizer.step(np.zeros_like(w))
    assert bits(optimizer.ema_params) == bits(normal(0, 512, dtype=dtype))


@pytest.mark.parametrize("make", [fo.ScheduleFreeSGD, fo.ScheduleFreeAdamW, partial(fo.ASGD, lambd=0.0, t0=0)])
def test_of_constants_every_average_is_the_constant(make: Any, dtype: type) -> None:
    w = normal(0, 512, dtype=dtype)
    optimizer, first = make(w, lr=0.1), bits(w)
    for _ in range(STEPS):
        optimizer.step(np.zeros_like(w))
    assert bits(w) == bits(next(iter(optimizer.state.values()))) == first
    if isinstance(optimizer, fo.ScheduleFreeSGD | fo.ScheduleFreeAdamW):
        with optimizer.averaged():
            assert bits(w) == first


def test_swapped_in_and_back(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    for step in (1, 2):
        optimizer.step(gradients(mixed(), step))
    params = optimizer.params
    before, weights, averages = snapshot(optimizer), bits(params), bits(optimizer.ema_params)
    assert weights != averages
    with optimizer.using_ema():
        assert optimizer.params is params
        assert (bits(params), bits(optimizer.ema_params)) == (averages, weights)
    assert snapshot(optimizer) == before
    with unchanged(optimizer), pytest.raises(ZeroDivisionError), optimizer.using_ema():
        raise ZeroDivisionError


def test_of_groups_and_frozen_parameters(kind: Case) -> None:
    optimizer = kind.make([{"params": mixed()}, {"params": normal(5, 9)}], ema=0.5)
    optimizer.freeze((0, "w"))
    optimizer.step(gradients(optimizer.params, 1))
    averages = bits(optimizer.ema_params)
    with unchanged(optimizer), optimizer.using_ema():
        assert bits(optimizer.params) == averages


def test_without_an_average(kind: Case) -> None:
    optimizer = kind.make(mixed())
    with pytest.raises(AttributeError, match=f"^{kind.optimizer.__name__} keeps no average .* ema=0.999"):
        optimizer.ema_params  # noqa: B018
    with pytest.raises(AttributeError, match="keeps no average"), optimizer.using_ema():
        raise AssertionError
    optimizer.step(gradients(mixed(), 1))


def test_of_no_parameters(kind: Case) -> None:
    assert kind.make({}, ema=0.5).ema_params == {}


def test_a_weight_that_was_resized_meanwhile() -> None:
    """Its memory is another: the averages are not put there, nor the weight anywhere."""
    for optimizer in (fo.SGD(np.ones(1000), ema=0.5), fo.ScheduleFreeSGD(np.ones(1000))):
        block = optimizer.using_ema if "ema" in optimizer.state else optimizer.averaged
        optimizer.step(np.ones(1000))
        with pytest.raises(ValueError, match="the memory of params was resized"), block():
            optimizer.params.resize(4, refcheck=False)


def test_a_weight_that_became_read_only_meanwhile_is_put_back() -> None:
    optimizer = fo.SGD(np.ones(3), lr=1.0, ema=0.5)
    optimizer.step(np.ones(3))
    with optimizer.using_ema():
        optimizer.params.flags.writeable = False
    assert (optimizer.params == 0).all()


def test_a_weight_that_was_resized_before_the_average_begins() -> None:
    optimizer = fo.SGD(np.ones(1 << 20), ema=0.5)
    optimizer.params.resize(0, refcheck=False)
    with pytest.raises(ValueError, match="the memory of params was resized"):
        optimizer.ema_params  # noqa: B018


def test_a_weight_that_was_resized_in_a_block_that_leaves_it_out() -> None:
    """There is no average of it; the step counts all the same."""
    params = {"a": np.ones(3), "b": np.ones(1 << 20)}
    optimizer = fo.SGD(params, lr=1.0, ema=0.5)
    block = optimizer.stepping()
    with pytest.raises(ValueError, match=r'^the memory of params\["b"\] was resized'), block:  # noqa: PT012 at its end
        optimizer.update("a", np.ones(3))
        params["b"].resize(0, refcheck=False)
    assert (optimizer.t, optimizer.steps) == (1, {"a": 1, "b": 0})
    assert (params["a"] == 0).all()


def spacy(t: int) -> float:
    return (1 + t) / (10 + t)


@pytest.mark.parametrize("start", ["weights", "zero"])
def test_a_function_gives_the_decay_of_each_update(dtype: type, start: str) -> None:
    w = normal(0, 50, dtype=dtype)
    optimizer = fo.Adam(w, lr=0.1, ema=spacy, ema_start=start)
    wanted = w.copy() if start == "weights" else np.zeros_like(w)
    for t in range(1, 21):
        optimizer.step(normal(t, 50, dtype=dtype))
        fo.reference.average(wanted, w, decay=spacy(t))
        assert bits(optimizer.ema_params) == bits(wanted)


@pytest.mark.parametrize("corrected", [True, False])
def test_where_it_begins_counts_without_correction_alone(kind: Case, corrected: bool) -> None:
    one, other = (
        kind.make(mixed(), ema=0.5, ema_bias_correction=corrected, ema_start=start) for start in ("weights", "zero")
    )
    assert set(b"".join(bits(other.ema_params))) == {0}
    for optimizer in (one, other):
        optimizer.step(gradients(mixed(), 1))
    assert (bits(one.ema_params) == bits(other.ema_params)) is corrected


def test_a_function_is_asked_once_an_update() -> None:
    asked = []

    def decay(t: int) -> float:
        asked.append(t)
        return 0.5

    optimizer = fo.SGD([normal(0, 3), normal(1, 3)], lr=0.5, ema=decay, accumulate=2)
    for _ in range(5):
        optimizer.step([normal(2, 3), normal(3, 3)])
    optimizer.flush()
    optimizer.accumulate = 1
    with optimizer.stepping():
        optimizer.update(0, normal(2, 3))
        optimizer.update(1, normal(2, 3))
    assert asked[1:] == [1, 2, 3, 4]  # and once where the optimizer was made


@pytest.mark.parametrize("decay", [lambda t: 1.0, lambda t: "x", lambda t: None])
def test_a_function_that_gives_no_decay(decay: Any) -> None:
    with pytest.raises(ValueError, match=r"^ema must be a number in \[0, 1\)"):
        fo.SGD(normal(0, 3), ema=decay)
    optimizer = fo.SGD(normal(0, 3), ema=lambda t: 0.5 if t == 1 else decay(t))
    optimizer.step(normal(1, 3))
    with unchanged(optimizer), pytest.raises(ValueError, match=r"^ema must be a number in \[0, 1\)"):
        optimizer.step(normal(2, 3))


def test_set_between_two_steps() -> None:
    optimizer, twin = (fo.SGD(normal(0, 9), lr=0.5, ema=0.5, ema_bias_correction=False) for _ in range(2))
    assert optimizer.ema_bias_correction is False
    for decay in (spacy, 0.25, lambda t: 0.75):
        optimizer.ema = decay
        assert optimizer.ema == decay and not optimizer.ema_bias_correction
        twin.ema = decay(optimizer.t + 1) if callable(decay) else decay
        for each in (optimizer, twin):
            each.step(normal(each.t, 9))
    assert snapshot(optimizer) == snapshot(twin)
    with pytest.raises(ValueError, match=r"^ema_bias_correction must be False where ema is a function"):
        optimizer.ema_bias_correction = True


def test_copies_of_a_function() -> None:
    optimizer = fo.SGD(normal(0, 9), lr=0.5, ema=spacy, ema_start="zero")
    optimizer.step(normal(1, 9))
    other = pickle.loads(pickle.dumps(optimizer))
    assert (other.ema, other.ema_start) == (spacy, "zero")
    for each in (optimizer, other):
        each.step(normal(2, 9))
    assert snapshot(optimizer) == snapshot(other)
