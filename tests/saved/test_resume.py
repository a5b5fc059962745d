"""Going on with another program than the one that saved: whose hyper-parameters count, and what may be different."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..changes import without
from ..nests import arrays, bits, copied, gradients, normal, snapshot, unchanged

S = fo.schedules

# How a state gets from one optimizer to another.
Way = Callable[..., Any]


@pytest.fixture(params=["dict", "file", "file without weights"])
def resume(request: pytest.FixtureRequest, tmp_path: Path) -> Way:
    def through(saved: fo.Optimizer, other: fo.Optimizer, **keywords: Any) -> None:
        if request.param == "dict":
            other.load_state_dict(saved.state_dict(), **keywords)
        else:
            saved.save(tmp_path / "run", weights=request.param == "file")
            other.load(tmp_path / "run", **keywords)

    return through


def told(resume: Way, saved: fo.Optimizer, other: fo.Optimizer, **keywords: Any) -> list[str]:
    """What is said; at the line that calls."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resume(saved, other, **keywords)
    assert all(each.category is UserWarning and each.filename == __file__ for each in caught)
    return [str(each.message) for each in caught]


# Hyper-parameters


def test_nothing_is_said_where_all_is_alike(resume: Way) -> None:
    """A number of NumPy, a list and a Plateau that has gone on are no difference."""
    plateau = S.Plateau(0.5, factor=0.5, patience=0)
    groups = [
        ({"betas": np.array([0.5, 0.75])}, {"betas": (0.5, 0.75)}),
        ({"lr": plateau}, {"lr": S.Plateau(0.5, factor=0.5, patience=0)}),
    ]
    saved, other = (
        fo.Adam([{"params": normal(k, 3)} | group[k] for group in groups], lr=S.cosine(0.1, n=10), eps=eps)
        for k, eps in enumerate([np.float64(1e-6), 1e-6])
    )
    for _ in range(2):
        plateau.observe(1.0)
    assert told(resume, saved, other) == []
    assert other.groups[1].lr == plateau and other.groups[1].lr.lr == 0.25


def test_a_difference_is_said_once_and_the_saved_counts(resume: Way) -> None:
    saved = fo.Adam([{"params": normal(0, 3), "lr": 0.5}, {"params": normal(1, 3)}], betas=(0.5, 0.75))
    saved.step([normal(2, 3), normal(3, 3)])
    other = fo.Adam([{"params": normal(0, 3)}, {"params": normal(1, 3)}], lr=S.cosine(0.1, n=10), eps=1e-6)
    (said,) = told(resume, saved, other)
    assert 'the saved hyper-parameters replace those of the program, which hyper="program" keeps: ' in said
    for words in (
        "groups[0].lr is 0.5 in the saved, ",
        "groups[1].betas is (0.5, 0.75) in the saved, (0.9, 0.999)",
        "eps",
    ):
        assert words in said
    assert "weight_decay" not in said
    assert repr(other.groups) == repr(saved.groups) and other.t == 1
    assert told(resume, saved, other) == []


def test_those_of_the_program_count_where_it_says_so(resume: Way) -> None:
    schedule = S.cosine(0.1, n=100)
    saved = fo.NAdam([{"params": normal(0, 3), "lr": 0.5}], betas=(0.5, 0.75))
    saved.step([normal(1, 3)])
    other = fo.NAdam([{"params": normal(0, 3)}], lr=schedule)
    kept = repr(other.groups)
    (said,) = told(resume, saved, other, hyper="program")
    assert 'the hyper-parameters of the program replace the saved ones, which hyper="saved" takes: groups[0].lr' in said
    assert repr(other.groups) == kept and other.lr is schedule
    assert other.t == 1 and other.state_dict()["cohorts"] == saved.state_dict()["cohorts"], "that is state"
    assert bits(*other.state.values()) == bits(*saved.state.values())


@pytest.mark.parametrize("hyper", ["saved", "program"])
def test_a_run_with_another_schedule(resume: Way, hyper: str) -> None:
    """The rates of the steps after it are those of the one that counts."""
    saved = fo.SGD(np.zeros(1), lr=S.cosine(0.5, n=10))
    saved.step(np.ones(1))
    other, rates = fo.SGD(np.zeros(1), lr=S.linear(1.0, n=100)), []
    assert len(told(resume, saved, other, hyper=hyper)) == 1
    for _ in range(5):
        before = other.params.copy()
        other.step(np.ones(1))
        rates.append(float((before - other.params)[0]))
    lr = S.cosine(0.5, n=10) if hyper == "saved" else S.linear(1.0, n=100)
    np.testing.assert_allclose(rates, [lr(t) for t in range(2, 7)])


def test_a_function_without_a_name_is_the_programs(resume: Way) -> None:
    saved = fo.SGD(np.zeros(1), lr=lambda t: 0.5 / t)
    saved.step(np.ones(1))
    own = fo.SGD(np.zeros(1), lr=0.25)
    with (
        unchanged(own),
        pytest.raises(ValueError, match=r"function that has no name; set opt\.lr to it, or load with hyper"),
    ):
        resume(saved, own)
    resume(saved, own, hyper="program")
    assert own.lr == 0.25 and own.t == 1
    own.lr = S.constant(0.125)
    resume(saved, own)
    assert own.lr(7) == 0.125
    (said,) = told(resume, fo.SGD(np.zeros(1), lr=0.5), saved)
    assert "groups[0].lr is 0.5 in the saved" in said and saved.lr == 0.5


def test_a_dict_of_before_without_its_schedule(kind: Any) -> None:
    saved = kind.make(normal(0, 3), lr=S.cosine(0.1, n=10)).state_dict()
    other = kind.make(normal(0, 3), lr=S.linear(0.2, n=10))
    kept = other.lr
    other.load_state_dict(without("groups", 0, "lr")(saved))
    assert other.lr is kept


def test_a_warning_that_is_an_error_changes_nothing(resume: Way) -> None:
    saved, other = fo.Adam(normal(0, 3), lr=0.5), fo.Adam(normal(1, 3))
    saved.step(normal(2, 3))
    with unchanged(other), pytest.raises(UserWarning, match=r"lr is 0\.5"):
        resume(saved, other)


def test_the_keyword(resume: Way) -> None:
    opt = fo.SGD(np.ones(2))
    for hyper in ("theirs", None, True):
        with unchanged(opt), pytest.raises(ValueError, match=r'^hyper must be "saved" or "program", got'):
            resume(opt, opt, hyper=hyper)


def test_a_plateau_that_differs_is_overruled_in_place(resume: Way) -> None:
    own, saved = S.Plateau(1.0, factor=0.5), fo.SGD(np.zeros(1), lr=S.Plateau(0.5, factor=0.25, best=3.0))
    other = fo.SGD(np.zeros(1), lr=own)
    assert told(resume, saved, other, hyper="program") and own == S.Plateau(1.0, factor=0.5)
    assert told(resume, saved, other) and other.lr is own and own == saved.lr


# What may be on one side alone


@pytest.mark.parametrize("accumulate", [1, 2, 4])
@pytest.mark.parametrize("before", [1, 2])
def test_between_two_updates_any_number_may_be_accumulated(resume: Way, before: int, accumulate: int) -> None:
    """The mean of two or four of the same gradient is that gradient, to the bit."""
    params = {"w": normal(0, 4), "b": normal(1, 3)}
    saved = fo.Adam(params, accumulate=before)
    other = fo.Adam(copied(params), accumulate=accumulate)
    if accumulate > 1:  # in the middle of an update of its own, which is given up
        other.step(gradients(params, 7))
    for _ in range(before):
        saved.step(gradients(params, 1))
    for tensor, w in zip(other._tensors, arrays(params), strict=True):
        tensor.weight[...] = w
    resume(saved, other)
    assert other.accumulated == 0
    for each, calls in ((saved, before), (other, accumulate)):
        for _ in range(calls):
            each.step(gradients(params, 2))
    assert bits(other.params) == bits(saved.params) and other.t == saved.t == 2


def test_amid_an_update_the_sum_must_fit(resume: Way) -> None:
    saved, sums = fo.SGD(np.zeros(2), lr=1.0, accumulate=4), np.full(2, 3.0)
    for _ in range(3):
        saved.step(np.ones(2))
    for accumulate in (1, 2, 3):
        other = fo.SGD(np.zeros(2), lr=1.0, accumulate=accumulate)
        with unchanged(other), pytest.raises(ValueError, match=f"3 gradients summed, of {accumulate} an update"):
            resume(saved, other)
    other = fo.SGD(np.zeros(2), lr=1.0, accumulate=6)
    resume(saved, other)
    assert_same_bits(other.state["grad_sum"], sums)
    for _ in range(3):
        other.step(np.ones(2))
    assert other.params.tolist() == [-1, -1] and other.t == 1


def test_a_sum_that_is_missing_amid_an_update() -> None:
    opt = fo.SGD(np.zeros(2), accumulate=4)
    opt.step(np.ones(2))
    with unchanged(opt), pytest.raises(ValueError, match=r'1 gradients summed, but no "grad_sum"'):
        opt.load_state_dict(without("state", "grad_sum")(opt.state_dict()))


def test_an_average_that_this_program_does_not_keep(resume: Way) -> None:
    saved, other = fo.Adam({"w": normal(0, 3)}, ema=0.5), fo.Adam({"w": normal(0, 3)})
    saved.step({"w": normal(1, 3)})
    other.params["w"][...] = saved.params["w"]
    (said,) = told(resume, saved, other)
    assert said == "the saved average of the weights is left out, for this optimizer keeps none"
    for each in (saved, other):
        each.step({"w": normal(2, 3)})
    assert bits(other.params) == bits(saved.params) and sorted(other.state) == ["m", "v"]


def test_an_average_that_was_not_saved_begins_at_the_weights(resume: Way) -> None:
    saved, other = fo.Adam({"w": normal(0, 3)}), fo.Adam({"w": normal(5, 3)}, ema=0.5, lr=0.5)
    saved.step({"w": normal(1, 3)})
    (said,) = told(resume, saved, other)
    assert said.endswith("; the average of the weights begins anew, for none was saved")
    assert bits(other.ema_params) == bits(other.params)


def test_other_states_must_be_there_in_whole(resume: Way, tmp_path: Path) -> None:
    opt, other = fo.Adam([np.ones(2), np.ones(3)], ema=0.5), fo.AMSGrad([np.ones(2), np.ones(3)])
    with unchanged(other), pytest.raises(ValueError, match=r"rule"):
        resume(opt, other)
    for name in ("m", "v"):
        with unchanged(opt), pytest.raises(ValueError, match="must have the keys"):
            opt.load_state_dict(without("state", name)(opt.state_dict()))
    with unchanged(opt), pytest.raises(ValueError, match=r"ema must have 2 elements"):
        opt.load_state_dict(without("state", "ema", 0)(opt.state_dict()))


def test_a_state_dict_is_plain() -> None:
    plateau = S.Plateau(0.1)
    opt = fo.SGD(np.zeros(1), lr=S.warmup(S.join([0.5, plateau], [5]), n=3))
    saved = opt.state_dict()["groups"][0]["lr"]
    assert saved["schedule"]["name"] == "warmup" and saved["schedule"]["schedule"]["schedules"][1]["name"] == "Plateau"
    plateau.observe(1.0)
    assert saved["schedule"]["schedule"]["schedules"][1]["best"] == np.inf, "by value"
    before = snapshot(opt)
    opt.load_state_dict(opt.state_dict())
    assert snapshot(opt) == before
