"""One step, parameter by parameter, as the gradients come."""

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
    rest = [nest["layers"] for nest in (optimizer.params, *optimizer.state.values())]
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
        with pytest.raises(ValueError, match=r'^params\["w"\] is frozen; thaw\(\'w\'\)'):
            optimizer.update("w", grads["w"])
        with pytest.raises(KeyError, match="no parameter has the key 'z'"):
            optimizer.update("z", grads["w"])
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
    with optimizer.stepping():
        for g, keywords, said in bad:
            with pytest.raises((TypeError, ValueError), match=f"^{said}"):
                optimizer.update("w", g, **keywords)
        assert bits(optimizer.params) == bits(whole.params)
        for key in KEYS:
            optimizer.update(key, at(grads, key))
    whole.step(grads)
    assert snapshot(optimizer) == snapshot(whole)
