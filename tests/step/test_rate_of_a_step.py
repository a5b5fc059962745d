"""A learning rate for one step alone: that step is the one with `opt.lr` set before and set back after."""

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.saved import counts

from .. import runs
from ..cases import Case
from ..nests import bits, gradients, normal, snapshot

every_optimizer = pytest.mark.parametrize("row", runs.ROWS, ids=str)


def everything(optimizer: fo.Optimizer) -> tuple[Any, ...]:
    """Also what groups carry; of hyper-parameters, those that the next step would have."""
    return (
        snapshot(optimizer),
        [group._numbers() for group in optimizer.groups],
        counts.view(optimizer),
        pickle.dumps(optimizer),
    )


def with_lr_set(optimizer: fo.Optimizer, lr: float, step: Callable[[], None]) -> None:
    own = [group.lr for group in optimizer.groups]
    optimizer.lr = lr
    step()
    for group, before in zip(optimizer.groups, own, strict=True):
        group.lr = before


def in_groups(row: Case) -> fo.Optimizer:
    """One with a rate, one with a schedule."""
    schedule = fo.schedules.exponential(0.25, 0.5)
    return runs.make(row, [{"params": runs.nest(row)}, {"params": runs.nest(row, 7), "lr": schedule}])


@every_optimizer
def test_the_rate_of_a_step_is_that_of_all_groups(row: Case) -> None:
    optimizer, twin = in_groups(row), in_groups(row)
    rates = [group.lr for group in optimizer.groups]
    for call, lr in enumerate((None, 0.375, np.float32(0.01), None, 0, 0.5), start=1):
        runs.step(optimizer, call, lr=lr)
        if lr is None:
            runs.step(twin, call)
        else:
            with_lr_set(twin, lr, lambda call=call: runs.step(twin, call))
        assert snapshot(optimizer) == snapshot(twin), f"call {call}"
        assert [group.lr for group in optimizer.groups] == rates
        assert counts.view(optimizer) == counts.view(twin)


@every_optimizer
def test_the_rate_of_a_block(row: Case) -> None:
    if row.optimizer is fo.PolyakSGD:
        with pytest.raises(ValueError, match=r"^PolyakSGD needs all gradients at once"):
            runs.make(row, runs.nest(row)).stepping(lr=0.5)
        return
    optimizer, whole = in_groups(row), in_groups(row)
    keys = [(k, *key) for k in (1, 0) for key in (("layers", 1), ("w",), ("layers", 0))]
    for call, lr in enumerate((0.375, None, 0.5), start=1):
        grads = gradients(whole.params, call)
        with optimizer.stepping(lr=lr):
            for k, name, *rest in keys:
                g = grads[k][name][rest[0]] if rest else grads[k][name]
                optimizer.update((k, name, *rest), runs.as_rows(g) if row.optimizer is fo.SparseAdam else g)
        runs.step(whole, call, grads, lr=lr)
        assert snapshot(optimizer) == snapshot(whole), f"call {call}"


def test_a_schedule_is_not_asked(kind: Case) -> None:
    asked: list[int] = []

    def schedule(t: int) -> float:
        asked.append(t)
        return 0.5

    optimizer = kind.make(normal(0, 3), lr=schedule)
    asked.clear()
    optimizer.step(normal(1, 3), lr=0.25)
    assert asked == []
    optimizer.step(normal(1, 3))
    assert asked == [2]


def test_of_several_minibatches_that_of_the_last_counts(kind: Case) -> None:
    optimizer, twin = (kind.make({"w": normal(0, 5)}, accumulate=3, ema=0.5) for _ in range(2))
    for call in range(6):
        grads = {"w": normal(call, 5)}
        optimizer.step(grads, lr=(9.0, None, 0.25, None, 7.0, None)[call])
        if call == 2:
            with_lr_set(twin, 0.25, lambda grads=grads: twin.step(grads))
        else:
            twin.step(grads)
        assert snapshot(optimizer) == snapshot(twin), f"call {call}"


@pytest.mark.parametrize("make", [fo.SGD, fo.AdaBound, fo.ScheduleFreeSGD, fo.PolyakSGD])
def test_of_a_step_that_is_not_taken_nothing_stays(make: type[fo.Optimizer]) -> None:
    """Not in what is carried from step to step, either."""
    keywords: Any = {"value": 3.0} if make is fo.PolyakSGD else {}
    optimizer, twin = (make(np.ones(2), nonfinite="skip") for _ in range(2))
    optimizer.step(np.array([1.0, math.nan]), lr=64.0, **keywords)
    for _ in range(2):
        for each in (optimizer, twin):
            each.step(np.ones(2), **keywords)
        assert bits(optimizer.params, *optimizer.state.values()) == bits(twin.params, *twin.state.values())
    assert optimizer.skipped == 1


def test_by_hand() -> None:
    w = np.array([3.0, 4.0])
    opt = fo.SGD(w, lr=1.0)
    opt.bind(np.ones(2))
    opt.step(lr=0.5)
    opt.step()
    assert w.tolist() == [1.5, 2.5] and opt.lr == 1.0
    w = np.array([3.0, 4.0])
    fo.PolyakSGD(w).step(w.copy(), value=12.5, lr=0.5)  # half of 12.5 / 25
    assert w.tolist() == [2.25, 3.0]


# What is refused

BAD = [-1, math.nan, math.inf, 10**400, "1", 1j, [0.1], np.ones(2)]


@pytest.mark.parametrize("lr", BAD, ids=lambda x: str(x)[:9])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_bad_rate_changes_nothing(kind: Case, lr: Any, accumulate: int) -> None:
    optimizer = kind.make(normal(0, 3), accumulate=accumulate)
    for call in range(2):
        before = everything(optimizer)
        with pytest.raises((TypeError, ValueError), match=r"^lr must be a finite number >= 0, got"):
            optimizer.step(normal(1, 3), lr=lr)
        if accumulate == 1:
            with pytest.raises((TypeError, ValueError), match=r"^lr must be a finite number >= 0, got"):
                optimizer.stepping(lr=lr).__enter__()
        assert everything(optimizer) == before
        optimizer.step(normal(call, 3))


def test_a_schedule_is_no_rate_of_one_step(kind: Case) -> None:
    optimizer = kind.make(normal(0, 3))
    before = everything(optimizer)
    for lr in (fo.schedules.constant(0.5), lambda t: 0.5):
        for call in (lambda lr=lr: optimizer.step(normal(1, 3), lr=lr), optimizer.stepping(lr=lr).__enter__):
            with pytest.raises(
                TypeError, match=r"^lr of one step must be a number, got .*; a schedule is set: opt\.lr"
            ):
                call()
    assert everything(optimizer) == before


def test_a_refused_gradient_leaves_the_rate(kind: Case) -> None:
    """And what is carried is that of the steps that were taken."""
    optimizer, twin = kind.make(normal(0, 3)), kind.make(normal(0, 3))
    with pytest.raises(ValueError, match=r"^grads must have the shape"):
        optimizer.step(normal(1, 4), lr=64.0)
    for each in (optimizer, twin):
        each.step(normal(1, 3))
    assert snapshot(optimizer) == snapshot(twin)
    assert optimizer.groups[0]._numbers() == twin.groups[0]._numbers()
    assert counts.view(optimizer) == counts.view(twin)


def test_one_parameter_has_no_rate_of_its_own(kind: Case) -> None:
    optimizer: Any = kind.make(normal(0, 3))
    with optimizer.stepping(), pytest.raises(TypeError, match="unexpected keyword argument 'lr'"):
        optimizer.update((), normal(1, 3), lr=0.5)
    assert optimizer.t == 0
