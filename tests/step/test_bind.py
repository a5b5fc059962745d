"""Gradients that stay where they are: checked once, read at each step, and kept alive."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import arrays, bits, copied, gradients, mixed, normal, snapshot, unchanged

NOT_BOUND = r"^step\(\) without gradients needs bind\(grads\) first"


def refill(grads: Any, step: int) -> None:
    for g, new in zip(arrays(grads), arrays(gradients(grads, step)), strict=True):
        g[...] = new


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2, "ema": 0.5}, {"clip_norm": 0.1, "nonfinite": "raise"}], ids=lambda o: ",".join(o)
)
def test_bound_gradients_are_read_at_each_step(kind: Case, options: dict[str, Any]) -> None:
    bound, plain = kind.make(mixed(), **options), kind.make(mixed(), **options)
    grads = gradients(mixed(), 0)
    bound.bind(grads)
    for step in range(4):
        refill(grads, step)
        bound.step()
        plain.step(gradients(mixed(), step))
        assert snapshot(bound) == snapshot(plain), f"step {step}"
        assert bits(grads) == bits(gradients(mixed(), step))


def test_keywords_of_a_bound_step(kind: Case) -> None:
    bound, plain = kind.make(mixed()), kind.make(mixed())
    grads = gradients(mixed(), 0)
    bound.bind(grads)
    bound.step(grad_scale=8.0, zero_grads=True)
    assert not any(g.any() for g in arrays(grads))
    plain.step(gradients(mixed(), 0), grad_scale=8.0)
    refill(grads, 1)
    bound.step()
    plain.step(gradients(mixed(), 1))
    assert snapshot(bound) == snapshot(plain)
    assert bits(grads) == bits(gradients(mixed(), 1))


def test_bound_gradients_are_kept_alive_and_then_let_go(kind: Case) -> None:
    optimizer, plain = kind.make(mixed()), kind.make(mixed())
    grads = gradients(mixed(), 0)
    optimizer.bind(grads)
    alive = [weakref.ref(g) for g in arrays(grads)]
    del grads
    gc.collect()
    assert all(ref() is not None for ref in alive)
    clutter = [np.full((3, 4), np.nan, np.float32) for _ in range(100)]
    optimizer.step()
    plain.step(gradients(mixed(), 0))
    assert snapshot(optimizer) == snapshot(plain)
    optimizer.step(gradients(mixed(), 1))
    gc.collect()
    assert all(ref() is None for ref in alive)
    assert len(clutter) == 100


def test_a_step_without_gradients_needs_a_binding(kind: Case) -> None:
    optimizer = kind.make(mixed())
    with unchanged(optimizer), pytest.raises(TypeError, match=NOT_BOUND):
        optimizer.step()


def update(optimizer: fo.Optimizer) -> None:
    """Its gradient may be gone when the next step comes."""
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3, 4))


def test_a_refused_step_does_not_end_a_binding(kind: Case) -> None:
    optimizer, plain = kind.make(mixed()), kind.make(mixed())
    bound = gradients(mixed(), 0)
    optimizer.bind(bound)
    for take in optimizer.step, optimizer.bind:
        with unchanged(optimizer):
            refused(take)
    with optimizer.stepping(), unchanged(optimizer), pytest.raises(ValueError, match="shape"):
        optimizer.update("w", normal(9, 3))
    optimizer.step()
    plain.step(bound)
    assert snapshot(optimizer) == snapshot(plain)


def refused(take: Callable[[Any], None]) -> None:
    with pytest.raises(TypeError, match=r'grads\["none"\]'):
        take(gradients(mixed(), 9) | {"none": None})


ENDS: dict[str, Callable[[fo.Optimizer], Any]] = {
    "other_step": lambda optimizer: optimizer.step(gradients(mixed(), 9)),
    "update": update,
    "freeze": lambda optimizer: optimizer.freeze("w"),
    "freeze_and_thaw": lambda optimizer: [optimizer.freeze("w"), optimizer.thaw("w")],
    "add_group": lambda optimizer: optimizer.add_group({"params": normal(9, 3)}),
}


@pytest.mark.parametrize("change", ENDS)
def test_what_ends_a_binding(kind: Case, change: str) -> None:
    """Then a step is an error; it never reads what may be gone."""
    optimizer = kind.make(mixed())
    optimizer.bind(gradients(mixed(), 0))
    optimizer.step()
    ENDS[change](optimizer)
    with unchanged(optimizer), pytest.raises(TypeError, match=NOT_BOUND):
        optimizer.step()
    t = optimizer.t
    optimizer.bind(gradients(optimizer.params, 1))
    optimizer.step()
    assert optimizer.t == t + 1


def test_binding_beside_frozen_parameters(kind: Case) -> None:
    optimizer, plain = kind.make(mixed()), kind.make(mixed())
    for one in (optimizer, plain):
        one.freeze("w", ("layers", 1))
    grads = gradients(mixed(), 0)
    grads["w"] = None
    optimizer.bind(grads)
    optimizer.step()
    plain.step(gradients(mixed(), 0))
    assert snapshot(optimizer) == snapshot(plain)


def test_binding_gradients_of_groups(kind: Case) -> None:
    optimizer, plain = (kind.make([{"params": mixed()}, {"params": normal(5, 9), "lr": 0.5}]) for _ in range(2))
    grads = gradients(plain.params, 1)
    optimizer.bind(grads)
    optimizer.step()
    plain.step(copied(grads))
    assert snapshot(optimizer) == snapshot(plain)


def test_binding_what_is_read_only(kind: Case) -> None:
    """For a later step may zero it."""
    optimizer = kind.make(mixed())
    grads = gradients(mixed(), 0)
    grads["layers"][0].flags.writeable = False
    with pytest.raises(ValueError, match=r'^grads\["layers"\]\[0\] is read-only'):
        optimizer.bind(grads)


def test_binding_weights(kind: Case) -> None:
    optimizer = kind.make(mixed())
    with pytest.raises(ValueError, match=r'^grads\["w"\] and params\["w"\] share memory'):
        optimizer.bind(optimizer.params)


def test_a_nest_whose_code_changes_a_weight() -> None:
    """A class may run code where its attributes are read: arrays are looked at after all nests."""

    @dataclass
    class Grads:
        w: np.ndarray

        def __getattribute__(self, name: str) -> Any:
            if name == "w" and armed:
                armed.pop().resize(0, refcheck=False)
            return object.__getattribute__(self, name)

    @dataclass
    class Params:
        w: np.ndarray

    armed: list[np.ndarray] = []
    w = np.ones(1 << 20)
    optimizer = fo.SGD(Params(w))
    optimizer.bind(Grads(np.ones(1 << 20)))
    optimizer.step()
    armed.append(w)
    with pytest.raises(ValueError, match="was resized"):
        optimizer.step()
