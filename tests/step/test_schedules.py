"""Schedules: their formulas at points worked out by hand, their limits, and what they are besides functions."""

import copy
import dataclasses
import math
import pickle
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusedoptim as fo
from fusedoptim import schedules

from ..any_schedule import ANY
from ..elsewhere import package

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
    ("warmup_cosine", (1.0, 8, 2), {1: 0.5, 2: 1.0, 4: 0.75, 5: 0.5, 6: 0.25, 8: 0.0, 9: 0.0, 100: 0.0}),
    ("warmup_cosine", (1.0, 4, 2, 0.5, 0.25), {1: 0.625, 2: 1.0, 3: 0.75, 4: 0.5, 5: 0.5}),
    ("warmup_cosine", (1.0, 3, 0), {1: 1.0, 2: 0.5, 3: 0.0, 4: 0.0}),
    ("warmup_cosine", (1.0, 1, 0), {1: 1.0, 2: 0.0}),
    ("warmup_linear", (1.0, 6, 2), {1: 0.5, 2: 1.0, 3: 0.75, 4: 0.5, 6: 0.0, 7: 0.0}),
    ("warmup_linear", (1.0, 6, 2, 0.5, 0.5), {1: 0.75, 2: 1.0, 4: 0.75, 6: 0.5, 100: 0.5}),
    ("warmup_inverse_sqrt", (1.0, 4), {1: 0.25, 4: 1.0, 16: 0.5, 64: 0.25}),
    ("warmup_inverse_sqrt", (1.0, 4, 0.5), {1: 0.625, 3: 0.875, 4: 1.0, 16: 0.5}),
    ("warmup_inverse_sqrt", (1.0, 0), {1: 1.0, 4: 0.5}),
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


@pytest.mark.parametrize(
    "written",
    [
        "constant(0.5)",
        "cosine(0.1, n=100)",
        "cosine(0.1, n=100, end=0.01)",
        "warmup(constant(0.1), n=5.5)",
        "warmup_cosine(0.1, n=100, warmup=10)",
        "join((warmup(constant(0.1), n=5), linear(0.1, n=10)), boundaries=(5,))",
        "Plateau(0.1, factor=0.5, best=2.0, waited=3)",
    ],
)
def test_they_print_as_they_are_written(written: str) -> None:
    assert repr(eval(written, vars(schedules))) == written


# As objects


@given(schedule=ANY)
def test_equal_where_alike(schedule: Callable) -> None:
    for again in (eval(repr(schedule), vars(schedules)), pickle.loads(pickle.dumps(schedule)), copy.deepcopy(schedule)):
        assert again == schedule and hash(again) == hash(schedule) and repr(again) == repr(schedule)
    assert schedule != schedules.warmup(schedule, n=2)


@pytest.mark.parametrize(("name", "arguments"), MAKERS)
def test_no_other_is_equal_and_none_changes(name: str, arguments: tuple) -> None:
    schedule = make(name, arguments)
    assert [other for other in MAKERS if make(*other) == schedule] == [(name, arguments)]
    for field in dataclasses.fields(schedule):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(schedule, field.name, 0.5)
    assert schedule == make(name, arguments)


def test_plateaus_are_equal_where_alike() -> None:
    lr = schedules.Plateau(0.1, patience=0)
    lr.observe(3)
    assert lr == eval(repr(lr), vars(schedules)) == pickle.loads(pickle.dumps(lr)) != schedules.Plateau(0.1, patience=0)
    assert schedules.warmup(lr, n=3) == schedules.warmup(copy.copy(lr), n=3)


INTEGERS = [np.dtype(kind) for kind in "bBhHiIlLqQ"]


@given(schedule=ANY, t=st.integers(1, 2**53), dtype=st.sampled_from(INTEGERS))
def test_a_step_of_any_type(schedule: Callable, t: int, dtype: np.dtype) -> None:
    t = (t - 1) % min(np.iinfo(dtype).max, 2**53) + 1
    rate = schedule(t)
    assert not isinstance(rate, np.generic)
    for same in (dtype.type(t), np.array(t, dtype), np.float64(t)):
        assert schedule(same) == rate and type(schedule(same)) is type(rate)


@pytest.mark.parametrize("t", [0, -1, 1.5, math.nan, math.inf, 2**53 + 1, 10**400])
@pytest.mark.parametrize(("name", "arguments"), MAKERS[:3])
def test_no_step(name: str, arguments: tuple, t: float) -> None:
    with pytest.raises(ValueError, match=r"^t must be a"):
        make(name, arguments)(t)


# Arguments


@pytest.mark.parametrize("n", [0, -1, -0.5, math.nan, math.inf])
@pytest.mark.parametrize(
    "name", ["inverse_sqrt", "step", "linear", "cosine", "warmup", "restarts", "one_cycle", "polynomial"]
)
def test_a_bad_n(name: str, n: float) -> None:
    with pytest.raises(ValueError, match=r"^n must be a finite number of steps > 0, got"):
        getattr(schedules, name)(1.0, n)


@given(st.integers(0, 100) | st.floats(0, 100, width=32).map(np.float32), st.integers(1, 100).map(np.uint8))
def test_numbers_of_numpy_make_the_same(lr: Any, n: np.uint8) -> None:
    for name in ("linear", "cosine", "restarts", "warmup"):
        given, plain = (getattr(schedules, name)(*arguments) for arguments in ((lr, n), (float(lr), int(n))))
        assert given == plain
        assert {type(getattr(given, field.name)) for field in dataclasses.fields(given)} <= {
            int,
            float,
            schedules.constant,
        }


def test_arguments_are_taken_by_value() -> None:
    lr, boundaries = np.array(0.5), np.array([3, 5])
    made = schedules.cosine(lr, n=10), schedules.join([lr, 0.25, 1], boundaries), schedules.Plateau(lr)
    lr[...] = boundaries[...] = 7
    assert made == (schedules.cosine(0.5, n=10), schedules.join([0.5, 0.25, 1], [3, 5]), schedules.Plateau(0.5))


@pytest.mark.parametrize("value", ["0.1", None, True, 1j, np.ones(1), np.longdouble("0.1"), [0.1], 10**400])
@pytest.mark.parametrize(("name", "arguments"), MAKERS)
def test_what_is_no_number(name: str, arguments: tuple, value: Any) -> None:
    fields = dataclasses.fields(getattr(schedules, name))
    for k in range(len(arguments)):
        wrong = [value] if fields[k].name in ("schedules", "boundaries") else value
        with pytest.raises((TypeError, ValueError), match=rf"(?s)^{fields[k].name}.* must be a .*(, got |too large)"):
            make(name, (*arguments[:k], wrong, *arguments[k + 1 :]))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda s: s.constant(-0.1), "lr must be a finite number >= 0, got -0.1"),
        (lambda s: s.constant(math.nan), "lr must be a finite number >= 0, got nan"),
        (lambda s: s.cosine(0.1, 10, end=math.inf), "end must be a finite number >= 0, got inf"),
        (lambda s: s.exponential(0.1, -0.5), "gamma must be a finite number >= 0, got -0.5"),
        (lambda s: s.polynomial(0.1, 10, power=-1), "power must be a finite number >= 0, got -1"),
        (lambda s: s.restarts(0.1, 10, growth=0.5), r"growth must be 1, or a number from 1.01 to 2\*\*53, got 0.5"),
        (lambda s: s.restarts(0.1, 10, growth=1.001), r"growth must be 1, or a number from 1.01 to 2\*\*53, got 1.001"),
        (
            lambda s: s.restarts(0.1, 10, growth=1e300),
            r"growth must be 1, or a number from 1.01 to 2\*\*53, got 1e\+300",
        ),
        (
            lambda s: s.restarts(0.1, 1e-9, growth=2),
            "n of restarts that grow must be a number of steps >= 1, got 1e-09",
        ),
        (lambda s: s.one_cycle(0.1, 10, rise=1), "rise must be a share of n in .0, 1., got 1 of 10"),
        (lambda s: s.one_cycle(0.1, 10, rise=0), "rise must be a share of n in .0, 1., got 0 of 10"),
        (lambda s: s.one_cycle(0.1, 5e-324, rise=0.75), "rise must be a share of n in .0, 1., got 0.75 of 5e-324"),
        (lambda s: s.warmup_cosine(0.1, 10, 10), "warmup must be a number of steps < n = 10, got 10"),
        (lambda s: s.warmup_linear(0.1, 10, 11), "warmup must be a number of steps < n = 10, got 11"),
        (lambda s: s.warmup_linear(0.1, 10, 2.5), r"warmup must be a whole number from 0 to 2\*\*53, got 2.5"),
        (lambda s: s.join([0.1, 0.2], [2.5]), r"boundaries must be a whole number from 0 to 2\*\*53, got 2.5"),
        (lambda s: s.join([0.1, 0.2], 5), r"boundaries must be a list, got 5; put it into one: \[5\]"),
        (lambda s: s.Plateau(0.1, factor=1.5), r"factor must be a number in \[0, 1\], got 1.5"),
        (lambda s: s.Plateau(0.1, factor=math.nan), r"factor must be a number in \[0, 1\], got nan"),
        (lambda s: s.Plateau(0.1, patience=-1), r"patience must be a whole number from 0 to 2\*\*53, got -1"),
        (lambda s: s.Plateau(0.1, patience=1.5), r"patience must be a whole number from 0 to 2\*\*53, got 1.5"),
        (lambda s: s.Plateau(0.1, threshold=-1), "threshold must be a finite number >= 0, got -1"),
        (lambda s: s.Plateau(0.1, end=-1), "end must be a finite number >= 0, got -1"),
        (lambda s: s.Plateau(0.1, best=math.nan), "best must be a number, got nan"),
        (lambda s: s.Plateau(-0.1), "lr must be a finite number >= 0, got -0.1"),
    ],
)
def test_outside_of_its_domain(make: Callable, said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{said}"):
        make(schedules)


def test_restarts_that_hardly_grow_reach_the_last_step() -> None:
    schedule = schedules.restarts(1.0, n=1, growth=1.01)
    assert 0 <= schedule(2**53) <= 1


# Warm-ups


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


@given(lr=rates, n=st.integers(2, 1000), data=st.data())
def test_a_warmup_reaches_its_rate_and_its_end(lr: float, n: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(1, n - 1))
    end, start = (data.draw(st.floats(0, 1)) * lr for _ in range(2))
    for kind in (schedules.warmup_cosine, schedules.warmup_linear):
        schedule = kind(lr, n, warmup, end, start)
        curve = [schedule(t) for t in range(1, n + 2)]
        assert schedule(warmup) == lr and curve[-2] == curve[-1] == end
        assert max(curve) <= lr * (1 + 1e-15)
        assert np.diff(curve[:warmup]).min(initial=0) >= -1e-15 * lr
        assert np.diff(curve[warmup - 1 :]).max(initial=0) <= 1e-15 * lr
    assert schedules.warmup_inverse_sqrt(lr, warmup)(warmup) == lr


def test_a_warmup_of_a_falling_schedule_does_not() -> None:
    """What the docstring says of the product."""
    assert max(map(schedules.warmup(schedules.cosine(1.0, n=100), n=20), range(1, 101))) == pytest.approx(
        0.91, abs=5e-3
    )


def test_warmup_cosine_is_that_of_optax() -> None:
    optax = package("optax")
    theirs = optax.warmup_cosine_decay_schedule(0.125, 0.5, warmup_steps=10, decay_steps=100, end_value=0.25)
    ours = schedules.warmup_cosine(0.5, n=100, warmup=10, end=0.25, start=0.125)
    for t in range(1, 110):
        assert ours(t) == pytest.approx(float(theirs(t)), rel=1e-6), f"t={t}"  # theirs is in float32


@pytest.mark.parametrize(("total", "rise"), [(100, 0.3), (10, 0.25), (57, 0.4)])
def test_one_cycle_of_torch(total: int, rise: float) -> None:
    torch = package("torch")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=total, pct_start=rise)
    ours = schedules.one_cycle(0.5, n=total - 1, rise=(rise * total - 1) / (total - 1))
    for t in range(1, total + 1):
        assert ours(t) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12), f"t={t}"
        optimizer.step()
        if t < total:
            theirs.step()


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
    assert reduced == [3, 6, 8]
    assert lr(1) == 0.2
    assert lr == pickle.loads(pickle.dumps(lr))


@pytest.mark.parametrize(
    ("plateau", "reduced", "lr"),
    [
        (schedules.Plateau(0.1, patience=0, end=0.1), [], 0.1),
        (schedules.Plateau(0.01, patience=0, end=0.1), [], 0.01),
        (schedules.Plateau(0.0, patience=0), [], 0.0),
        (schedules.Plateau(0.5, factor=1, patience=0), [], 0.5),
        (schedules.Plateau(0.5, factor=0.5, patience=0, end=0.2), [1, 2], 0.2),
        (schedules.Plateau(0.5, factor=0, patience=1, end=0.2), [2], 0.2),
    ],
)
def test_plateau_says_so_where_it_lowered_the_rate(plateau: schedules.Plateau, reduced: list[int], lr: float) -> None:
    assert [k for k in range(6) if plateau.observe(1.0)] == reduced
    assert plateau.lr == lr


def test_plateau_is_told_numbers_of_any_type() -> None:
    told = [schedules.Plateau(0.5, factor=0.5, patience=1) for _ in range(4)]
    metrics = np.array([3, 2, 2, 2, 1.5, 1.5, 1.5], np.float32)
    for kind, plateau in zip((float, np.float32, np.array, Fraction), told, strict=True):
        for metric in metrics.tolist():
            plateau.observe(kind(metric))
        assert plateau == told[0] and type(plateau.best) is float and plateau.lr == 0.125
    told[0].lr = np.float32(0.5)
    assert type(told[0].lr) is float
    with pytest.raises(ValueError, match=r"^lr must be a finite number >= 0, got -1"):
        told[0].lr = -1.0
    assert told[0].lr == 0.5


def test_plateau_and_metrics_that_are_not_finite() -> None:
    """None of these is an improvement, and the lowest number of all is one."""
    plateau = schedules.Plateau(1.0, factor=0.5, patience=2)
    assert [plateau.observe(metric) for metric in (math.nan, math.inf, math.nan)] == [False, False, True]
    assert plateau == schedules.Plateau(0.5, factor=0.5, patience=2)
    assert not plateau.observe(-math.inf) and plateau.best == -math.inf
    assert [plateau.observe(metric) for metric in (0.0, -math.inf, 0.0)] == [False, False, True]


@pytest.mark.parametrize("metric", ["1", None, True, np.ones(2), np.longdouble(1), 10**400])
def test_what_is_no_metric(metric: Any) -> None:
    plateau = schedules.Plateau(0.5, patience=0, best=1.0, waited=3)
    with pytest.raises((TypeError, ValueError), match=r"^metric must be a"):
        plateau.observe(metric)
    assert plateau == schedules.Plateau(0.5, patience=0, best=1.0, waited=3)


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
