"""Gradients that are not finite: the step is taken all the same, or not at all, silently or with an error."""

import math
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import Case
from ..nests import arrays, bits, copied, gradients, normal, snapshot

BAD = [np.inf, -np.inf, np.nan]
NAMES = {"a": 'grads["a"]', "layer": 'grads["layer"][0]', "z": 'grads["z"]'}
PLACES = list(NAMES)
REFUSING = ["skip", "raise"]


def make(case: Case, nonfinite: str, **options: Any) -> fo.Optimizer:
    params = {"a": normal(0, 5000), "layer": [normal(1, 33, dtype=np.float64), normal(2, 0)], "z": normal(3)}
    return case.make(params, nonfinite=nonfinite, **options)


def spoiled(grads: Any, place: str, value: float) -> Any:
    """The gradients with one element at the end of one array that is not finite."""
    arrays(grads[place])[0].reshape(-1)[-1:] = value
    return grads


def refused_step(optimizer: fo.Optimizer, grads: Any, name: str, **keywords: Any) -> None:
    """A step that is not taken."""
    if not optimizer._options.raise_nonfinite:
        optimizer.step(grads, **keywords)
        return
    with pytest.raises(FloatingPointError) as caught:
        optimizer.step(grads, **keywords)
    assert str(caught.value) == f"{name} is not finite; the step was not taken"


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("nonfinite", REFUSING)
def test_the_step_is_not_taken(kind: Case, nonfinite: str, place: str, value: float, isa: str) -> None:
    """No weight, state or count has changed, and the next step is as if nothing had been."""
    optimizer, twin = (make(kind, nonfinite, ema=0.5) for _ in range(2))
    with fo.use_isa(isa):
        for each_of in (optimizer, twin):
            each_of.step(gradients(optimizer.params, 1))
        for skipped in (1, 2):
            weights, state, t, _, accumulated = snapshot(optimizer)
            grads = spoiled(gradients(optimizer.params, 2), place, value)
            kept = bits(grads)
            refused_step(optimizer, grads, NAMES[place])
            assert snapshot(optimizer) == (weights, state, t, skipped, accumulated)
            assert bits(grads) == kept
            assert not math.isfinite(optimizer.last_grad_norm or 0)
        for each_of in (optimizer, twin):
            each_of.step(gradients(optimizer.params, 3))
    assert snapshot(optimizer)[:3] == snapshot(twin)[:3]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_thread_takes_no_step(kind: Case, threads: int) -> None:
    n = fo._core.parallel_threshold + 1
    w = normal(0, n)
    before = w.tobytes()
    optimizer = kind.make({"w": w}, nonfinite="skip", num_threads=threads)
    for place in (0, n // 2, n - 1):
        g = normal(1, n)
        g[place] = np.nan
        optimizer.step({"w": g})
    assert optimizer.skipped == 3 and optimizer.t == 0 and w.tobytes() == before


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("place", PLACES)
def test_it_propagates_by_default(kind: Case, place: str, value: float) -> None:
    optimizer = make(kind, "propagate")
    assert not kind.make(np.zeros(1))._options.require_finite
    wanted = copied(optimizer.params)
    grads = spoiled(gradients(optimizer.params, 1), place, value)
    optimizer.step(grads)
    with np.errstate(invalid="ignore"):
        for w, want, g in zip(arrays(optimizer.params), arrays(wanted), arrays(grads), strict=True):
            kind.reference(want, g, *kind.new_state(want), **kind.hyper_at(1))
            assert_same_bits(w, want)
    assert (optimizer.t, optimizer.skipped, optimizer.last_grad_norm) == (1, 0, None)


@pytest.mark.parametrize("nonfinite", REFUSING)
@pytest.mark.parametrize("bad_call", [0, 1, 2])
@pytest.mark.parametrize("zero_grads", [False, True])
def test_accumulation(kind: Case, nonfinite: str, bad_call: int, zero_grads: bool) -> None:
    """The sum is dropped, whichever gradient was bad, and the next cycle starts afresh. The sum tells the name."""
    optimizer, twin = (make(kind, nonfinite, accumulate=3) for _ in range(2))
    before = snapshot(optimizer)
    for call in range(3):
        grads = gradients(optimizer.params, call)
        if call == bad_call:
            spoiled(grads, "layer", np.inf)
        if call < 2:
            optimizer.step(grads, zero_grads=zero_grads)
        else:
            refused_step(optimizer, grads, 'grads["layer"][0]', zero_grads=zero_grads)
    assert snapshot(optimizer) == (*before[:3], 1, 0)
    for call in (3, 4, 5):
        for each_of in (optimizer, twin):
            each_of.step(gradients(optimizer.params, call))
    assert snapshot(optimizer)[:3] == snapshot(twin)[:3]
    assert optimizer.t == 1


def test_infinities_that_cancel_in_the_sum_are_seen(kind: Case) -> None:
    optimizer = kind.make(normal(0, 2), accumulate=2, nonfinite="raise")
    optimizer.step(np.array([np.inf, 1], np.float32))
    with pytest.raises(FloatingPointError, match=r"^grads is not finite"):
        optimizer.step(np.array([-np.inf, 1], np.float32))


# Which parameter it was


def test_the_first_is_named(kind: Case) -> None:
    optimizer = make(kind, "raise")
    grads = gradients(optimizer.params, 1)
    for place in reversed(PLACES):
        spoiled(grads, place, np.nan)
        refused_step(optimizer, grads, NAMES[place])


def test_of_bound_gradients(kind: Case) -> None:
    optimizer = make(kind, "raise")
    grads = gradients(optimizer.params, 1)
    optimizer.bind(grads)
    optimizer.step()
    refused_step(optimizer, spoiled(grads, "layer", np.nan) and None, 'grads["layer"][0]')
    arrays(grads["layer"])[0][:] = 1
    optimizer.step()
    assert (optimizer.t, optimizer.skipped) == (2, 1)


def test_of_groups_and_beside_frozen_parameters(kind: Case) -> None:
    groups = [{"params": {"a": normal(0, 3), "b": normal(1, 4)}}, {"params": [normal(2, 5)], "lr": 0.5}]
    optimizer = kind.make(groups, nonfinite="raise")
    nan = np.full(3, np.nan, np.float32)
    optimizer.freeze((0, "a"))
    good = [{"a": nan, "b": normal(3, 4)}, [normal(4, 5)]]
    optimizer.step(good)
    bad = [{"a": nan, "b": normal(3, 4)}, [np.full(5, np.inf, np.float32)]]
    refused_step(optimizer, bad, "grads[1][0]")
    optimizer.bind(bad)
    refused_step(optimizer, None, "grads[1][0]")
    optimizer.thaw((0, "a"))
    refused_step(optimizer, bad, 'grads[0]["a"]')


def test_of_a_sum_that_overflows(kind: Case) -> None:
    """Each gradient is finite, their sum is not."""
    optimizer = kind.make({"a": normal(0, 2), "b": normal(1, 2)}, accumulate=2, nonfinite="raise")
    large = np.full(2, 3e38, np.float32)
    optimizer.step({"a": normal(2, 2), "b": large})
    refused_step(optimizer, {"a": normal(3, 2), "b": large}, 'grads["b"]')


def test_a_norm_that_overflows(kind: Case) -> None:
    """Squares of float64 overflow from 1e154 on; those of float32 do not."""
    w = normal(0, 2, dtype=np.float64)
    before = w.tobytes()
    optimizer = kind.make({"w": w}, nonfinite="raise")
    with pytest.raises(FloatingPointError, match=r"^the norm of the gradients is inf; the step was not taken"):
        optimizer.step({"w": np.full(2, 1e200)})
    assert w.tobytes() == before and optimizer.skipped == 1
    single = kind.make({"w": normal(0, 2)}, nonfinite="raise")
    single.step({"w": np.full(2, 3e38, np.float32)})
    assert single.t == 1


# What else happens in the step


def test_a_skipped_step_zeroes_the_gradients_it_was_told_to(kind: Case) -> None:
    """Or they would be added to, and skipped, for ever. An error leaves them to be looked at."""
    for nonfinite, left in (("skip", False), ("raise", True)):
        for bound in (False, True):
            optimizer = make(kind, nonfinite)
            grads = spoiled(gradients(optimizer.params, 1), "a", np.inf)
            kept = bits(grads)
            if bound:
                optimizer.bind(grads)
            refused_step(optimizer, None if bound else grads, 'grads["a"]', zero_grads=True)
            assert bits(grads) == kept if left else not any(g.any() for g in arrays(grads))


def test_the_loss_scale_loop(kind: Case) -> None:
    """As it is meant to be used: halve the scale where a step was skipped."""
    w, scale = np.full(4, 3e15, np.float32), 2.0**90  # whose squares float32 still holds, once they are unscaled
    optimizer = kind.make(w, nonfinite="skip", lr=0.1)
    while optimizer.t < 3:
        with np.errstate(over="ignore"):
            g = w * np.float32(scale)
        skipped = optimizer.skipped
        optimizer.step(g, grad_scale=scale)
        if optimizer.skipped > skipped:
            scale /= 2
    assert optimizer.skipped > 10 and scale < 2.0**78
    assert np.isfinite(w).all()


def test_clip_norm_with_skip(kind: Case) -> None:
    optimizer, twin = (make(kind, nonfinite, clip_norm=0.1) for nonfinite in ("skip", "propagate"))
    for step in (1, 2):
        optimizer.step(gradients(optimizer.params, step))
        twin.step(gradients(optimizer.params, step))
        optimizer.step(spoiled(gradients(optimizer.params, step), "z", np.nan))
    assert snapshot(optimizer)[:3] == snapshot(twin)[:3]
    assert optimizer.skipped == 2
