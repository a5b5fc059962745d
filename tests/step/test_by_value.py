"""Numbers of any kind are taken by value where they come in, as Python's: what becomes of them later changes nothing."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..elsewhere import package
from ..nests import bits, copied, gradients, mixed, snapshot, unchanged

HALF: dict[str, Callable[[], Any]] = {
    "float64": lambda: np.float64(0.5),
    "float32": lambda: np.float32(0.5),
    "0-d array": lambda: np.array(0.5),
    "Fraction": lambda: Fraction(1, 2),
    "torch": lambda: package("torch").tensor(0.5),
    "jax": lambda: package("jax").numpy.asarray(0.5),
}


def set_options(optimizer: fo.Optimizer, half: Any) -> None:
    optimizer.clip_norm = optimizer.clip_value = optimizer.ema = half


PLACES: dict[str, Callable[[fo.Optimizer, Any], None]] = {
    "lr": lambda optimizer, half: setattr(optimizer, "lr", half),
    "lr of a group": lambda optimizer, half: setattr(optimizer.groups[0], "lr", half),
    "betas": lambda optimizer, half: setattr(optimizer.groups[0], "betas", (half, half)),
    "eps": lambda optimizer, half: setattr(optimizer.groups[0], "eps", half),
    "options": set_options,
    "a schedule": lambda optimizer, half: setattr(optimizer, "lr", lambda t: half),
}


def make(**keywords: Any) -> fo.Optimizer:
    return fo.Adam(mixed(), ema=0.75, **keywords)


def told(optimizer: fo.Optimizer) -> str:
    """What is shown and saved of its numbers."""
    saved = {name: value for name, value in optimizer.state_dict().items() if name != "state"}
    shown = [optimizer.clip_norm, optimizer.clip_value, optimizer.ema, *map(repr, optimizer.groups)]
    return json.dumps([saved, shown])


@pytest.mark.parametrize("number", HALF)
@pytest.mark.parametrize("place", [place for place in PLACES if place != "a schedule"])
def test_what_is_set(place: str, number: str, tmp_path: Path) -> None:
    optimizer, wanted, half = make(), make(), HALF[number]()
    PLACES[place](optimizer, half)
    PLACES[place](wanted, 0.5)
    assert told(optimizer) == told(wanted)
    if isinstance(half, np.ndarray):
        half[...] = 0.125
    for t in range(2):
        for each in (optimizer, wanted):
            each.step(gradients(mixed(), t))
        assert snapshot(optimizer) == snapshot(wanted)
    assert told(optimizer) == told(wanted)
    optimizer.save(tmp_path / "run.safetensors")


@pytest.mark.parametrize("number", HALF)
def test_what_a_call_is_given(number: str) -> None:
    """Also what stays from one to the next, as the scale of what is accumulated."""
    half = HALF[number]()
    optimizer, wanted = make(lr=half, betas=(half, half), accumulate=2), make(lr=0.5, betas=(0.5, 0.5), accumulate=2)
    for t in range(4):
        optimizer.step(gradients(mixed(), t), lr=half, grad_scale=half)
        wanted.step(gradients(mixed(), t), lr=0.5, grad_scale=0.5)
        assert told(optimizer) == told(wanted)
    optimizer.lr = wanted.lr = fo.schedules.constant(0.25)
    PLACES["a schedule"](optimizer, half)
    wanted.lr = lambda t: 0.5
    for t in range(2):
        for each in (optimizer, wanted):
            each.step(gradients(mixed(), t), grad_scale=half)
    assert snapshot(optimizer) == snapshot(wanted)


def test_a_loss() -> None:
    wanted = fo.PolyakSGD(mixed())
    wanted.step(gradients(mixed(), 1), value=0.5)
    for number in HALF.values():
        optimizer = fo.PolyakSGD(mixed())
        optimizer.step(gradients(mixed(), 1), value=number())
        assert bits(optimizer.params) == bits(wanted.params)


def test_what_can_be_changed_is_not_kept() -> None:
    """A list, an array of two, an array without axes."""
    betas, both, lr, scale = [0.5, 0.75], np.array([0.5, 0.75]), np.array(0.5), np.array(2.0)
    given = [make(betas=betas, lr=lr), make(betas=both, lr=lr), make(betas=(0.5, 0.75), lr=0.5)]
    given[0].groups[0].betas = betas
    betas[0] = both[0] = 0.125
    lr[...] = 9
    for t in range(2):
        for each in given:
            each.step(gradients(mixed(), t), grad_scale=scale if t == 0 else 2.0)
    assert snapshot(given[0]) == snapshot(given[1]) == snapshot(given[2])
    assert [each.groups[0].betas for each in given] == [(0.5, 0.75)] * 3
    with pytest.raises(TypeError):
        given[0].groups[0].betas[0] = 0.5
    scale[...] = 4
    given[0].step(gradients(mixed(), 3), grad_scale=scale)
    given[1].step(gradients(mixed(), 3), grad_scale=4.0)
    assert snapshot(given[0]) == snapshot(given[1])


def test_numpys_bools_are_pythons() -> None:
    optimizer = make(bias_correction=np.bool_(False), maximize=np.bool_(True))
    assert optimizer.groups[0].bias_correction is False and optimizer.maximize is True
    assert told(optimizer) == told(make(bias_correction=False, maximize=True))


LONG: Any = np.longdouble("0.1")


@pytest.mark.parametrize("value", [LONG, np.array(LONG), [LONG, LONG], np.array([LONG, LONG])], ids=repr)
def test_a_longdouble_is_refused_wherever_it_comes(value: Any) -> None:
    """No file could have it."""
    optimizer, pair = make(), isinstance(value, list) or value.ndim == 1
    calls: list[Callable[[], Any]] = [lambda: setattr(optimizer.groups[0], "betas", value)]
    if not pair:
        calls += [lambda name=name: setattr(optimizer.groups[0], name, value) for name in ("lr", "eps", "weight_decay")]
        calls += [
            lambda name=name: setattr(optimizer, name, value) for name in ("lr", "clip_norm", "clip_value", "ema")
        ]
        calls += [lambda name=name: fo.Adam(mixed(), **{name: value}) for name in ("lr", "eps", "clip_norm", "ema")]
        calls += [
            lambda: optimizer.step(gradients(mixed(), 1), lr=value),
            lambda: optimizer.step(gradients(mixed(), 1), grad_scale=value),
            lambda: optimizer.stepping(lr=value).__enter__(),
            lambda: optimizer.add_group({"params": copied(mixed()), "lr": value}),
        ]
    for call in calls:
        with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=r"longdouble|float128|float96"):
            call()


@pytest.mark.parametrize(
    "value", [np.ones((1, 1)), np.array(True), np.ma.masked, np.ma.array(1.0, mask=True)], ids=repr
)
def test_what_only_looks_like_a_number(value: Any) -> None:
    optimizer = make()
    for name in ("lr", "eps", "betas"):
        with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
            setattr(optimizer.groups[0], name, value)


def test_arrays_of_frameworks_are_no_numbers() -> None:
    optimizer = make()
    for value in (package("torch").ones(1), package("jax").numpy.ones(1)):
        for name in ("lr", "eps"):
            with unchanged(optimizer), pytest.raises(TypeError, match=f"^{name} must be a real number"):
                setattr(optimizer.groups[0], name, value)
