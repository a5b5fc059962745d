"""Schedules: their formulas at points worked out by hand, their limits, and what they are besides functions."""

import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusedoptim as fo
from fusedoptim import schedules

POINTS: list[tuple[str, tuple, dict[int, float]]] = [
    ("constant", (0.5,), {1: 0.5, 1000: 0.5}),
    ("inverse_sqrt", (0.5, 4), {1: 1.0, 4: 0.5, 16: 0.25, 64: 0.125}),
    ("exponential", (0.5, 0.5), {1: 0.5, 2: 0.25, 4: 0.0625}),
    ("step", (1.0, 3, 0.5), {1: 1.0, 3: 1.0, 4: 0.5, 6: 0.5, 7: 0.25}),
    ("step", (1.0, 2), {2: 1.0, 3: 0.1}),
    ("linear", (1.0, 4), {1: 1.0, 2: 0.75, 3: 0.5, 4: 0.25, 5: 0.0, 6: 0.0, 100: 0.0}),
    ("linear", (1.0, 2, 3.0), {1: 1.0, 2: 2.0, 3: 3.0, 4: 3.0}),
    ("cosine", (1.0, 6), {1: 1.0, 3: 0.75, 4: 0.5, 5: 0.25, 7: 0.0, 8: 0.0, 100: 0.0}),
    ("cosine", (1.0, 2, 0.5), {1: 1.0, 2: 0.75, 3: 0.5, 9: 0.5}),
    ("warmup", (1.0, 4), {1: 0.25, 2: 0.5, 4: 1.0, 5: 1.0, 100: 1.0}),
    ("warmup", (schedules.exponential(1.0, 0.5), 4), {1: 0.25, 2: 0.25, 3: 0.1875, 4: 0.125, 5: 0.0625}),
    ("polynomial", (1.0, 4), {1: 1.0, 2: 0.5625, 3: 0.25, 5: 0.0, 100: 0.0}),
    ("polynomial", (1.0, 4, 3.0, 0.5), {1: 1.0, 3: 0.5625, 5: 0.5}),
    ("restarts", (1.0, 2), {1: 1.0, 2: 0.5, 3: 1.0, 4: 0.5, 101: 1.0}),
    ("restarts", (1.0, 2, 2.0, 0.5), {1: 1.0, 2: 0.75, 3: 1.0, 5: 0.75, 7: 1.0, 11: 0.75, 15: 1.0}),
    ("one_cycle", (1.0, 10, 0.4, 0.5, 0.0), {1: 0.5, 3: 0.75, 5: 1.0, 8: 0.5, 11: 0.0, 100: 0.0}),
    ("join", ((0.5, 0.25), (3,)), {1: 0.5, 3: 0.5, 4: 0.25, 100: 0.25}),
    ("join", ((0.5, schedules.linear(1.0, 4), 0.25), (2, 4)), {2: 0.5, 3: 1.0, 4: 0.75, 5: 0.25}),
]
MAKERS = [(name, arguments) for name, arguments, _ in POINTS]


def make(name: str, arguments: tuple) -> Callable[[int], float]:
    return getattr(schedules, name)(*arguments)


@pytest.mark.parametrize(("name", "arguments", "points"), POINTS)
def test_points(name: str, arguments: tuple, points: dict[int, float]) -> None:
    schedule = make(name, arguments)
    for t, lr in points.items():
        assert schedule(t) == pytest.approx(lr, rel=1e-15, abs=1e-16), f"t={t}"


def test_every_schedule_has_points() -> None:
    assert set(schedules.__all__) - {"Schedule", "Plateau"} == {name for name, _ in MAKERS}


@pytest.mark.parametrize(("name", "arguments"), MAKERS)
def test_pickle_and_repr(name: str, arguments: tuple) -> None:
    schedule = make(name, arguments)
    again = pickle.loads(pickle.dumps(schedule))
    assert [again(t) for t in range(1, 20)] == [schedule(t) for t in range(1, 20)]
    assert name in repr(schedule)
    assert all(repr(x) in repr(schedule) for x in arguments if isinstance(x, float))


@pytest.mark.parametrize("n", [0, -1, -0.5, math.nan])
@pytest.mark.parametrize("name", ["inverse_sqrt", "step", "linear", "cosine", "warmup"])
def test_a_bad_n(name: str, n: float) -> None:
    with pytest.raises(ValueError, match=r"n must be a number of steps > 0, got"):
        getattr(schedules, name)(1.0, n)


rates = st.floats(1e-6, 1e3)
steps = st.integers(1, 10**6)
lengths = st.integers(1, 10**6)


@given(lr=rates, n=lengths, t=steps)
def test_decays_go_down_within_their_limits(lr: float, n: int, t: int) -> None:
    decays = (
        (schedules.inverse_sqrt(lr, n), 0, math.inf),
        (schedules.exponential(lr, 0.9), 0, lr),
        (schedules.step(lr, n), 0, lr),
        (schedules.linear(lr, n, lr / 3), lr / 3, lr),
        (schedules.cosine(lr, n, lr / 3), lr / 3, lr),
    )
    for decay, low, high in decays:
        a, b = decay(t), decay(t + 1)
        assert low * (1 - 1e-12) <= b <= a * (1 + 1e-12) <= high * (1 + 2e-12), decay


@given(lr=rates, n=lengths, t=steps)
def test_warmup_goes_up_to_its_schedule(lr: float, n: int, t: int) -> None:
    warm = schedules.warmup(lr, n)
    assert 0 < warm(t) <= warm(t + 1) <= lr
    assert (warm(t) == lr) == (t >= n)


@given(lr=rates, n=lengths, end=rates)
def test_ends_are_exact(lr: float, n: int, end: float) -> None:
    for name in ("linear", "cosine"):
        schedule = getattr(schedules, name)(lr, n, end)
        assert schedule(1) == pytest.approx(lr, rel=1e-12)
        assert schedule(n + 1) == schedule(n + 1000) == pytest.approx(end, rel=1e-9)


@pytest.mark.parametrize(("name", "arguments"), MAKERS)
def test_an_optimizer_takes_it(name: str, arguments: tuple) -> None:
    w = np.zeros(1)
    schedule = make(name, arguments)
    optimizer = fo.SGD(w, lr=schedule)
    for t in range(1, 10):
        before = w[0]
        optimizer.step(np.ones(1))
        assert w[0] == before - schedule(t), f"t={t}"


def test_plateau_reduces_where_the_metric_stops_falling() -> None:
    lr = schedules.Plateau(1.0, factor=0.5, patience=1, threshold=0.1, end=0.2)
    metrics = [10.0, 8.0, 7.5, 7.3, 7.0, 7.1, 7.2, 6.9, 6.8, 6.9, 6.9]
    reduced = [k for k, metric in enumerate(metrics) if lr.observe(metric)]
    assert reduced == [3, 6, 8, 10]
    assert lr(1) == 0.2
    assert lr == pickle.loads(pickle.dumps(lr))


def test_plateau_drives_an_optimizer() -> None:
    w, lr = np.zeros(1), schedules.Plateau(1.0, factor=0.5, patience=0)
    opt = fo.SGD(w, lr=lr)
    for metric in (1.0, 1.0, 1.0):
        lr.observe(metric)
        opt.step(np.ones(1))
    assert w.tolist() == [-1.75]


def test_join_needs_a_boundary_between_two() -> None:
    for boundaries in ((), (1, 2), (3, 3), (5, 2)):
        with pytest.raises(ValueError, match="rising boundaries"):
            schedules.join([0.1] * (3 if len(boundaries) == 2 and boundaries != (1, 2) else 2), boundaries)
