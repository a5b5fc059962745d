"""The step with what is accumulated, at the end of an epoch."""

import math
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from .. import runs
from ..cases import Case
from ..expected import Expected, Options
from ..nests import arrays, bits, copied, gradients, mixed, normal, snapshot, unchanged


@pytest.mark.parametrize("options", [{}, {"clip_norm": 0.5}, {"ema": 0.75, "maximize": True, "clip_value": 0.3}])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_it_is_the_step_with_the_mean(kind: Case, n: int, options: dict[str, Any]) -> None:
    """Of as many gradients as there are; the next update has its full number again."""
    optimizer = kind.make({"w": normal(0, 300), "b": normal(1, 5, dtype=np.float64)}, accumulate=4, **options)
    expected = Expected([(kind, 0.0, arrays(optimizer.params))], Options(accumulate=4, **options))
    given = [gradients(optimizer.params, call) for call in range(n + 4)]
    for grads in given[: n - 1]:
        optimizer.step(grads)
    optimizer.step(given[n - 1])
    assert (optimizer.accumulated, optimizer.t) == (n, 0)
    assert optimizer.flush() is True
    assert (optimizer.accumulated, optimizer.t) == (0, 1)
    expected.step(given[:n])
    for w, (_, _, wanted, _) in zip(arrays(optimizer.params), expected.tensors, strict=True):
        assert bits(w) == bits(wanted)
    expected.step(given[n:])
    expected.check(optimizer, given[n:], "after a flush")


def test_where_nothing_is_accumulated_it_is_no_step(kind: Case) -> None:
    for accumulate in (1, 2):
        optimizer = kind.make(mixed(), accumulate=accumulate)
        for calls in (0, accumulate):
            for call in range(calls):
                optimizer.step(gradients(mixed(), call))
            with unchanged(optimizer):
                assert optimizer.flush() is False


@pytest.mark.parametrize("row", [row for row in runs.RULES if row.optimizer is not fo.SparseAdam], ids=runs.name_of)
def test_every_rule_takes_it_as_a_step_with_the_mean(row: Case) -> None:
    """One whose noise, or size, or direction is found at the step, too. Two gradients alike have one for their mean."""
    flushed, stepped = runs.make(row, runs.nest(row), accumulate=4), runs.make(row, runs.nest(row))
    values = isinstance(flushed, fo.PolyakSGD)
    for t in range(3):
        for _ in range(2):
            runs.step(flushed, t, gradients(flushed.params, t))
        assert flushed.flush(value=1.0 + t) if values else flushed.flush()
        runs.step(stepped, t, gradients(stepped.params, t))
        assert bits(flushed.params) == bits(stepped.params), f"t={t}"
        assert all(bits(flushed.state[name]) == bits(state) for name, state in stepped.state.items())


def test_polyak_needs_the_loss() -> None:
    optimizer = fo.PolyakSGD(normal(0, 9), accumulate=3)
    optimizer.step(normal(1, 9))
    for value in (None, math.nan, "1"):
        with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=r"^value must be a finite number"):
            optimizer.flush(value=value)
    assert optimizer.accumulated == 1 and optimizer.flush(value=2.0)


def test_bound_gradients_stay_bound_and_are_not_read(kind: Case) -> None:
    optimizer, twin = (kind.make(mixed(), accumulate=3) for _ in range(2))
    bound = gradients(mixed(), 0)
    optimizer.bind(bound)
    optimizer.step()
    twin.step(copied(bound))
    for g in arrays(bound):
        g.fill(np.nan)
    for each in (optimizer, twin):
        each.flush()
    assert snapshot(optimizer) == snapshot(twin)
    for call in range(1, 4):
        for g, new in zip(arrays(bound), arrays(gradients(mixed(), call)), strict=True):
            g[...] = new
        optimizer.step()
        twin.step(copied(bound))
    assert snapshot(optimizer) == snapshot(twin) and optimizer.t == 2


@pytest.mark.parametrize("nonfinite", ["skip", "raise"])
def test_a_sum_that_is_not_finite(kind: Case, nonfinite: str) -> None:
    optimizer, twin = (
        kind.make({"a": normal(0, 9), "b": normal(1, 3)}, accumulate=3, nonfinite=nonfinite) for _ in range(2)
    )
    optimizer.step({"a": normal(2, 9), "b": np.full(3, np.inf, np.float32)}, zero_grads=True)
    before = snapshot(optimizer)
    if nonfinite == "skip":
        assert optimizer.flush() is True
    else:
        with pytest.raises(FloatingPointError, match=r'^grads\["b"\] is not finite; the step was not taken'):
            optimizer.flush()
    assert bits(optimizer.params) == before[0] and (optimizer.t, optimizer.skipped, optimizer.accumulated) == (0, 1, 0)
    for call in range(3):
        for each in (optimizer, twin):
            each.step(gradients(twin.params, call))
    assert snapshot(optimizer)[:3] == snapshot(twin)[:3]


def test_with_frozen_parameters_groups_and_a_scaled_loss(kind: Case) -> None:
    optimizer, twin = (
        kind.make([{"params": mixed()}, {"params": normal(5, 9), "lr": 0.5}], accumulate=4) for _ in range(2)
    )
    twin.accumulate = 2
    for each in (optimizer, twin):
        each.freeze((0, "layers"))
        for call in range(2):
            each.step(gradients(each.params, call), grad_scale=8.0)
    assert optimizer.flush() and not twin.flush()
    assert snapshot(optimizer) == snapshot(twin)


def test_it_is_refused_amid_a_block(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    for block in (optimizer.stepping, optimizer.using_ema):
        with block(), pytest.raises(RuntimeError, match=r"^cannot step inside"):
            optimizer.flush()


def test_a_schedule_that_goes_wrong_keeps_what_is_accumulated(kind: Case) -> None:
    optimizer = kind.make(mixed(), lr=lambda t: 0.5 if t < 2 else math.nan, accumulate=2)
    for call in range(3):
        optimizer.step(gradients(mixed(), call))
    with unchanged(optimizer), pytest.raises(ValueError, match=r"^lr must be"):
        optimizer.flush()
    optimizer.lr = 0.5
    assert optimizer.flush() and optimizer.t == 2
