"""What is made of the weights begins at the first step, and an average of them goes on without one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import bits, gradients, mixed, normal, snapshot

MIXED_KEYS = ["w", ("layers", 0), ("layers", 1), "none"]


@pytest.mark.parametrize("corrected", [True, False])
def test_it_begins_at_the_weights_of_the_first_step(case: Case, corrected: bool) -> None:
    """To make a model, then its optimizer, then to read the weights, is the usual order."""
    options: dict[str, Any] = {"ema": 0.75, "ema_bias_correction": corrected}
    w, wanted = np.zeros((4, 3), np.float32), normal(0, 4, 3)
    optimizer, early = case.make(w, **options), case.make(wanted.copy(), **options)
    w[...] = wanted
    for t in range(4):
        for each in (optimizer, early):
            each.step(normal(t, 4, 3))
        assert snapshot(optimizer) == snapshot(early), f"t={t}"


def test_weights_that_are_read_before_the_first_update_of_a_block() -> None:
    w = np.zeros(9)
    optimizer, early = fo.ScheduleFreeAdamW(w, ema=0.5), fo.ScheduleFreeAdamW(normal(0, 9, dtype=np.float64), ema=0.5)
    w[...] = early.params
    with optimizer.stepping():
        optimizer.update((), normal(1, 9, dtype=np.float64))
    early.step(normal(1, 9, dtype=np.float64))
    assert snapshot(optimizer) == snapshot(early)


def test_before_any_step_it_is_the_weights(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.9)
    for w in (optimizer.params["w"], *optimizer.params["layers"]):
        w[...] = 7
    assert bits(optimizer.ema_params) == bits(optimizer.params)
    optimizer.params["w"][...] = 8
    before = bits(optimizer.params)
    with optimizer.using_ema():
        assert bits(optimizer.params) == before
    assert bits(optimizer.params) == before


def test_of_a_late_parameter_it_begins_at_its_own_first_step(kind: Case) -> None:
    early, late = normal(0, 5), np.zeros(6, np.float32)
    optimizer = kind.make([{"params": early}], lr=0.03, ema=0.9)
    for t in range(3):
        optimizer.step([normal(t, 5)])
    optimizer.add_group({"params": late})
    late[...] = normal(1, 6)
    alone = kind.make(late.copy(), lr=0.03, ema=0.9)
    for t in range(3):
        optimizer.step([normal(t, 5), normal(t, 6)])
        alone.step(normal(t, 6))
        assert bits(optimizer.ema_params[1]) == bits(alone.ema_params)


# Parameters that take no step


def frozen(optimizer: fo.Optimizer, grads: Any, at_first: bool) -> None:
    if at_first:
        optimizer.freeze("w", ("layers", 1))
    optimizer.step(grads | {"w": None})


def left_out(optimizer: fo.Optimizer, grads: Any, at_first: bool) -> None:
    with optimizer.stepping():
        optimizer.update(("layers", 0), grads["layers"][0])
        optimizer.update("none", grads["none"])


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("rest", [frozen, left_out])
@pytest.mark.parametrize("before", [0, 2])
def test_it_follows_the_weight_as_if_stepped_with_nothing(
    rest: Callable[..., None], isa: str, corrected: bool, before: int
) -> None:
    """Also where the program writes into the weight between the steps."""
    options: dict[str, Any] = {"ema": 0.75, "ema_bias_correction": corrected}
    optimizer, stepped = fo.SGD(mixed(), **options), fo.SGD(mixed(), **options)
    with fo.use_isa(isa):
        for t in range(before):
            for each in (optimizer, stepped):
                each.step(gradients(mixed(), t))
        for t in range(4):
            grads = gradients(mixed(), 10 + t)
            for each in (optimizer, stepped):
                each.params["w"][...] += normal(t, 3, 4)
                each.params["layers"][1][...] *= 0.5
            rest(optimizer, grads, t == 0)
            nothing = {"w": np.zeros_like(grads["w"]), "layers": [grads["layers"][0], np.zeros(5000)]}
            stepped.step(grads | nothing)
            assert bits(optimizer.params, optimizer.ema_params) == bits(stepped.params, stepped.ema_params), t


def test_a_thawed_parameter_goes_on_with_its_average(kind: Case) -> None:
    """Of the weights after each of the optimizer's steps, its own or not."""
    optimizer, history = kind.make({"a": normal(0, 9, dtype=np.float64)}, lr=0.03, ema=0.75), []
    for t in range(8):
        if t in (2, 5):
            (optimizer.freeze if t == 2 else optimizer.thaw)("a")
        optimizer.step({"a": normal(t, 9, dtype=np.float64)})
        history.append(optimizer.params["a"].copy())
    weights = 0.25 * 0.75 ** np.arange(8)[::-1]
    wanted = np.einsum("t,ti->i", weights, history) / (1 - 0.75**8)
    np.testing.assert_allclose(optimizer.ema_params["a"], wanted, rtol=1e-12)
    assert optimizer.steps == {"a": 5}


def test_a_step_that_is_skipped_is_in_no_average(kind: Case) -> None:
    optimizer = kind.make({"a": normal(0, 9), "b": normal(1, 5)}, ema=0.75, nonfinite="skip")
    optimizer.freeze("b")
    optimizer.step({"a": normal(0, 9), "b": None})
    before = snapshot(optimizer)
    optimizer.params["b"][...] = 3
    optimizer.step({"a": np.full(9, np.nan, np.float32), "b": None})
    assert optimizer.skipped == 1 and bits(optimizer.state["ema"]) == before[1][list(optimizer.state).index("ema")]


@pytest.mark.parametrize("make", [fo.SGD, fo.ScheduleFreeSGD, fo.ScheduleFreeAdamW])
def test_reading_it_amid_a_block_changes_nothing(make: type[fo.Optimizer]) -> None:
    """What was updated in its first step has begun, though the step is not counted yet."""
    optimizer, twin = (make(mixed(), lr=0.5, ema=0.75, ema_bias_correction=False) for _ in range(2))
    for each in (optimizer, twin):
        with each.stepping():
            for t, key in enumerate(MIXED_KEYS):
                w = each.params["layers"][key[1]] if isinstance(key, tuple) else each.params[key]
                each.update(key, normal(t, *w.shape, dtype=w.dtype))
                if each is optimizer:
                    _ = each.ema_params
    assert snapshot(optimizer) == snapshot(twin)
