"""One step, parameter by parameter, as the gradients come."""

import copy
import pickle
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import arrays, bits, gradients, normal, snapshot, unchanged

KEYS = ["w", ("layers", 0), ("layers", 1, "b"), "none"]


def nest() -> dict[str, Any]:
    return {"w": normal(0, 3, 4), "layers": [normal(1, 5000), {"b": normal(2, dtype=np.float64)}], "none": normal(3, 0)}


def at(grads: Any, key: Any) -> np.ndarray:
    for part in key if isinstance(key, tuple) else (key,):
        grads = grads[part]
    return grads


OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "ema": ({"ema": 0.75}, {}),
    "maximize": ({"maximize": True}, {}),
    "clip_value": ({"clip_value": 0.1}, {}),
    "grad_scale": ({}, {"grad_scale": 8.0}),
    "zero_grads": ({}, {"zero_grads": True}),
    "all": ({"ema": 0.75, "maximize": True, "clip_value": 0.1}, {"grad_scale": 3.0, "zero_grads": True}),
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("order", [KEYS, KEYS[::-1]], ids=["forward", "backward"])
def test_all_updates_are_one_step(kind: Case, options: str, order: list[Any]) -> None:
    common, keywords = OPTIONS[options]
    optimizer, whole = kind.make(nest(), **common), kind.make(nest(), **common)
    for t in (1, 2, 3):
        grads, same = gradients(nest(), t), gradients(nest(), t)
        with optimizer.stepping():
            for key in order:
                assert optimizer.t == t - 1
                optimizer.update(key, at(grads, key), **keywords)
        whole.step(same, **keywords)
        assert snapshot(optimizer) == snapshot(whole)
        assert bits(grads) == bits(same)
        assert keywords.get("zero_grads", False) != any(g.any() for g in arrays(grads))


def test_groups(kind: Case) -> None:
    def make() -> fo.Optimizer:
        rate = fo.schedules.exponential(0.5, 0.5)
        return kind.make([{"params": nest()}, {"params": normal(5, 9), "lr": rate}])

    optimizer, whole = make(), make()
    for t in (1, 2):
        grads = gradients(whole.params, t)
        with optimizer.stepping():
            optimizer.update(1, grads[1])
            for key in KEYS:
                path = (0, *(key if isinstance(key, tuple) else (key,)))
                optimizer.update(path, at(grads, path))
        whole.step(grads)
        assert snapshot(optimizer) == snapshot(whole)


def test_a_single_array_has_the_empty_key(kind: Case) -> None:
    optimizer, whole = kind.make(normal(0, 9)), kind.make(normal(0, 9))
    with optimizer.stepping():
        optimizer.update((), normal(1, 9))
    whole.step(normal(1, 9))
    assert snapshot(optimizer) == snapshot(whole)


def test_steps_and_updates_in_turns(kind: Case) -> None:
    optimizer, whole = kind.make(nest()), kind.make(nest())
    for t in range(1, 6):
        grads = gradients(nest(), t)
        whole.step(grads)
        if t % 2:
            optimizer.step(grads)
        else:
            with optimizer.stepping():
                for key in KEYS:
                    optimizer.update(key, at(grads, key))
        assert snapshot(optimizer) == snapshot(whole)


def test_a_parameter_left_out_keeps_its_weight_and_state(kind: Case) -> None:
    optimizer = kind.make(nest(), ema=0.5)
    optimizer.step(gradients(nest(), 1))
    rest = [optimizer.params["layers"], *(own["layers"] for name, own in optimizer.state.items() if name != "ema")]
    before, old = bits(*rest), bits(optimizer.params["w"])
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3, 4))
    assert optimizer.t == 2
    assert bits(*rest) == before and bits(optimizer.params["w"]) != old


def test_a_block_without_updates_is_no_step(kind: Case) -> None:
    optimizer = kind.make(nest())
    with unchanged(optimizer), optimizer.stepping():
        pass


def test_an_exception_inside_the_block(kind: Case) -> None:
    """Counts the step if a parameter has had it; the next one begins afresh."""
    optimizer = kind.make(nest())
    with pytest.raises(ZeroDivisionError), optimizer.stepping():
        raise ZeroDivisionError
    assert optimizer.t == 0

    def update_and_fail() -> None:
        with optimizer.stepping():
            optimizer.update("w", normal(9, 3, 4))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        update_and_fail()
    assert optimizer.t == 1
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3, 4))
    optimizer.step(gradients(nest(), 1))
    assert optimizer.t == 3


def test_a_parameter_is_found_after_changes(kind: Case) -> None:
    """Whatever was frozen, thawed, added or copied before."""

    def changed() -> fo.Optimizer:
        optimizer = kind.make(nest())
        optimizer.freeze("none", ("layers", 0))
        optimizer.add_group({"params": {"late": normal(7, 5)}})
        optimizer = copy.deepcopy(optimizer)
        optimizer.freeze((0, "w"))
        optimizer.thaw((0, "layers", 0))
        return pickle.loads(pickle.dumps(optimizer))

    optimizer, whole = changed(), changed()
    grads = gradients(whole.params, 1)
    with optimizer.stepping():
        for key in ((1, "late"), (0, "layers", 1, "b"), (0, "layers", 0)):
            optimizer.update(key, at(grads, key))
        with pytest.raises(KeyError, match="no parameter has the key"):
            optimizer.update(("layers", 0), grads[0]["layers"][0])
    whole.step(grads)
    assert snapshot(optimizer) == snapshot(whole)


def test_a_schedule_is_asked_once_a_block(kind: Case) -> None:
    asked: list[int] = []

    def schedule(t: int) -> float:
        asked.append(t)
        return 0.5 / t

    optimizer, whole = kind.make(nest(), lr=schedule), kind.make(nest(), lr=lambda t: 0.5 / t)
    for t in (1, 2):
        grads = gradients(nest(), t)
        whole.step(grads)
        asked.clear()
        with optimizer.stepping():
            assert asked == []
            for key in KEYS:
                optimizer.update(key, at(grads, key))
        assert asked == [t]
        assert snapshot(optimizer) == snapshot(whole)


@pytest.mark.parametrize("rate", [0.25, fo.schedules.constant(0.25)], ids=["number", "schedule"])
@pytest.mark.parametrize("optimizer", [fo.SGD, fo.Adam, fo.AdaBound, fo.ScheduleFreeSGD, fo.NAdam, fo.ASGD])
def test_what_is_set_inside_holds_from_the_next_update(optimizer: type[fo.Optimizer], rate: Any) -> None:
    """A rate of the block's own stays, but not what else is set."""
    keywords = {"lr": fo.schedules.constant(0.5), "weight_decay": 0.0}
    wanted = [
        optimizer(normal(0, 5), **(keywords | own)) for own in ({}, {"lr": rate}, {"lr": rate, "weight_decay": 0.5})
    ]
    inside = optimizer([normal(0, 5) for _ in range(3)], **keywords)
    for t in (1, 2):
        inside.lr, inside.groups[0].weight_decay = keywords["lr"], 0.0
        with inside.stepping():
            inside.update(0, normal(t, 5))
            inside.lr = rate
            inside.update(1, normal(t, 5))
            inside.groups[0].weight_decay = 0.5
            inside.update(2, normal(t, 5))
        for each in wanted:
            each.step(normal(t, 5))
        if t == 1 or optimizer in (fo.SGD, fo.Adam, fo.NAdam):  # others carry rates from step to step
            assert bits(inside.params) == bits(*(each.params for each in wanted))

    own, twin = (optimizer([normal(0, 5) for _ in range(2)], **keywords) for _ in range(2))
    with own.stepping(lr=0.125):
        own.update(0, normal(1, 5))
        own.lr = rate
        own.update(1, normal(1, 5))
    twin.step([normal(1, 5)] * 2, lr=0.125)
    assert bits(own.params) == bits(twin.params)


# What is refused


def test_twice_in_one_step(kind: Case) -> None:
    optimizer = kind.make(nest())
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3, 4))
        before = bits(optimizer.params)
        with pytest.raises(ValueError, match=r'^params\["w"\] was updated in this step already'):
            optimizer.update("w", normal(9, 3, 4))
        assert bits(optimizer.params) == before
    assert optimizer.t == 1


def test_outside_of_a_step(kind: Case) -> None:
    optimizer = kind.make(nest(), ema=0.5)
    for block in (nullcontext(), optimizer.using_ema()):
        with (
            unchanged(optimizer),
            block,
            pytest.raises(RuntimeError, match=r"^update\(\) works inside `with opt.stepping\(\):`"),
        ):
            optimizer.update("w", normal(9, 3, 4))


def test_frozen_and_unknown_parameters(kind: Case) -> None:
    """And one behind a frozen one is still the one it is."""
    optimizer, whole = kind.make(nest()), kind.make(nest())
    for one in (optimizer, whole):
        one.freeze("w")
    grads = gradients(nest(), 1)
    whole.step(grads)
    with optimizer.stepping():
        with pytest.raises(ValueError, match=r'^params\["w"\] is frozen; thaw\(\)'):
            optimizer.update("w", grads["w"])
        for unknown in ("z", ("layers", 5), ["layers", 0], ("layers", [0])):
            with pytest.raises(KeyError, match="no parameter has the key"):
                optimizer.update(unknown, grads["w"])
        for key in KEYS[1:]:
            optimizer.update(key, at(grads, key))
    assert snapshot(optimizer) == snapshot(whole)


REFUSED_INSIDE: dict[str, Callable[[fo.Optimizer, dict[str, Any]], Any]] = {
    "step": lambda optimizer, saved: optimizer.step(gradients(nest(), 1)),
    "load a state": lambda optimizer, saved: optimizer.load_state_dict(saved),
    "save a state": lambda optimizer, saved: optimizer.state_dict(),
    "freeze or thaw": lambda optimizer, saved: optimizer.freeze("w"),
    "add a group": lambda optimizer, saved: optimizer.add_group({"params": normal(9, 2)}),
    "begin a step": lambda optimizer, saved: optimizer.stepping().__enter__(),
    "set t": lambda optimizer, saved: setattr(optimizer, "t", 9),
    "use the averaged weights": lambda optimizer, saved: optimizer.using_ema().__enter__(),
}


@pytest.mark.parametrize("block", ["stepping", "using_ema"])
@pytest.mark.parametrize("what", REFUSED_INSIDE)
def test_what_is_refused_inside(kind: Case, what: str, block: str) -> None:
    optimizer = kind.make(nest(), ema=0.5)
    saved, refused = optimizer.state_dict(), rf"^cannot {what} inside `with opt.{block}\(\):`"
    with unchanged(optimizer), getattr(optimizer, block)(), pytest.raises(RuntimeError, match=refused):
        REFUSED_INSIDE[what](optimizer, saved)
    optimizer.step(gradients(nest(), 1))


@pytest.mark.parametrize(
    "options", [{"clip_norm": 1.0}, {"nonfinite": "skip"}, {"nonfinite": "raise"}, {"accumulate": 2}], ids=str
)
def test_what_needs_all_gradients_at_once(kind: Case, options: dict[str, Any]) -> None:
    optimizer = kind.make(nest(), **options)
    with pytest.raises(ValueError, match=r"^clip_norm, nonfinite and accumulate need all"), optimizer.stepping():
        raise AssertionError
    optimizer.step(gradients(nest(), 1))


def test_a_bad_rate_of_any_group_is_refused_at_the_first_update(kind: Case) -> None:
    rates = {1: 0.5, 2: -1.0}
    optimizer = kind.make([{"params": normal(0, 3)}, {"params": normal(1, 3), "lr": lambda t: rates[t]}])
    optimizer.step([normal(2, 3), normal(3, 3)])
    before = snapshot(optimizer)
    with optimizer.stepping(), pytest.raises(ValueError, match=r"^lr must be a finite number >= 0, got -1"):
        optimizer.update(0, normal(4, 3))
    assert snapshot(optimizer) == before
    with optimizer.stepping(lr=0.5):
        optimizer.update(0, normal(4, 3))
    assert optimizer.t == 2


def test_a_bad_gradient_changes_nothing_and_can_be_given_again(kind: Case) -> None:
    optimizer, whole = kind.make(nest()), kind.make(nest())
    grads = gradients(nest(), 1)
    read_only = grads["w"].copy()
    read_only.flags.writeable = False
    bad: list[tuple[Any, dict[str, Any], str]] = [
        (grads["w"].T, {}, r'grads\["w"\] must be C-contiguous'),
        (normal(9, 4, 3), {}, r'grads\["w"\] must have the shape'),
        (None, {}, r'grads\["w"\] must be a numpy.ndarray'),
        (grads["w"].astype(np.float64), {}, r'grads\["w"\] must be float32'),
        (optimizer.params["w"], {}, r'grads\["w"\] and params\["w"\] share memory'),
        (read_only, {"zero_grads": True}, r'grads\["w"\] is read-only'),
        (grads["w"], {"grad_scale": 0}, "grad_scale must be"),
    ]
    bad.append((None, {"grad_scale": 8.0}, r'grads\["w"\] must be a numpy.ndarray'))
    with optimizer.stepping():
        for g, keywords, said in bad:
            with pytest.raises((TypeError, ValueError), match=f"^{said}"):
                optimizer.update("w", g, **keywords)
        assert bits(optimizer.params) == bits(whole.params)
        for key in KEYS:
            optimizer.update(key, at(grads, key))
    whole.step(grads)
    assert snapshot(optimizer) == snapshot(whole)
