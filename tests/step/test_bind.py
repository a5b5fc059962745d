"""Gradients that stay where they are: checked once, read at each step, and kept alive."""

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import arrays, bits, copied, gradients, normal, snapshot

NOT_BOUND = r"^step\(\) without gradients needs bind\(grads\) first"


def nest() -> dict[str, Any]:
    return {"w": normal(0, 3, 4), "layers": [normal(1, 5000), normal(2, dtype=np.float64)], "none": normal(3, 0)}


def refill(grads: Any, step: int) -> None:
    for g, new in zip(arrays(grads), arrays(gradients(grads, step)), strict=True):
        g[...] = new


@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 2, "ema": 0.5}, {"clip_norm": 0.1, "nonfinite": "raise"}], ids=lambda o: ",".join(o)
)
def test_bound_gradients_are_read_at_each_step(kind: Case, options: dict[str, Any]) -> None:
    bound, plain = kind.make(nest(), **options), kind.make(nest(), **options)
    grads = gradients(nest(), 0)
    bound.bind(grads)
    for step in range(4):
        refill(grads, step)
        bound.step()
        plain.step(gradients(nest(), step))
        assert snapshot(bound) == snapshot(plain), f"step {step}"
        assert bits(grads) == bits(gradients(nest(), step))


def test_keywords_of_a_bound_step(kind: Case) -> None:
    bound, plain = kind.make(nest()), kind.make(nest())
    grads = gradients(nest(), 0)
    bound.bind(grads)
    bound.step(grad_scale=8.0, zero_grads=True)
    assert not any(g.any() for g in arrays(grads))
    plain.step(gradients(nest(), 0), grad_scale=8.0)
    refill(grads, 1)
    bound.step()
    plain.step(gradients(nest(), 1))
    assert snapshot(bound) == snapshot(plain)
    assert bits(grads) == bits(gradients(nest(), 1))


def test_bound_gradients_are_kept_alive_and_then_let_go(kind: Case) -> None:
    optimizer, plain = kind.make(nest()), kind.make(nest())
    grads = gradients(nest(), 0)
    optimizer.bind(grads)
    alive = [weakref.ref(g) for g in arrays(grads)]
    del grads
    gc.collect()
    assert all(ref() is not None for ref in alive)
    clutter = [np.full((3, 4), np.nan, np.float32) for _ in range(100)]
    optimizer.step()
    plain.step(gradients(nest(), 0))
    assert snapshot(optimizer) == snapshot(plain)
    optimizer.step(gradients(nest(), 1))
    gc.collect()
    assert all(ref() is None for ref in alive)
    assert len(clutter) == 100


def test_a_step_without_gradients_needs_a_binding(kind: Case) -> None:
    optimizer = kind.make(nest())
    before = snapshot(optimizer)
    with pytest.raises(TypeError, match=NOT_BOUND):
        optimizer.step()
    assert snapshot(optimizer) == before


def other_step(optimizer: fo.Optimizer) -> None:
    optimizer.step(gradients(nest(), 9))


def update(optimizer: fo.Optimizer) -> None:
    """Its gradient may be gone when the next step comes."""
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3, 4))


def refused_step(optimizer: fo.Optimizer) -> None:
    bad = gradients(nest(), 9)
    bad["none"] = None
    with pytest.raises(TypeError, match=r'grads\["none"\]'):
        optimizer.step(bad)


def refused_bind(optimizer: fo.Optimizer) -> None:
    bad = gradients(nest(), 9)
    bad["none"] = None
    with pytest.raises(TypeError, match=r'grads\["none"\]'):
        optimizer.bind(bad)


def freeze(optimizer: fo.Optimizer) -> None:
    optimizer.freeze("w")


def freeze_and_thaw(optimizer: fo.Optimizer) -> None:
    optimizer.freeze("w")
    optimizer.thaw("w")


def add_group(optimizer: fo.Optimizer) -> None:
    optimizer.add_group({"params": normal(9, 3)})


@pytest.mark.parametrize(
    "change",
    [other_step, update, refused_step, refused_bind, freeze, freeze_and_thaw, add_group],
    ids=lambda change: change.__name__,
)
def test_what_ends_a_binding(kind: Case, change: Any) -> None:
    """Then a step is an error; it never reads what may be gone."""
    optimizer = kind.make(nest())
    optimizer.bind(gradients(nest(), 0))
    optimizer.step()
    change(optimizer)
    before = snapshot(optimizer)
    with pytest.raises(TypeError, match=NOT_BOUND):
        optimizer.step()
    assert snapshot(optimizer) == before
    optimizer.bind(gradients(optimizer.params, 1))
    optimizer.step()
    assert optimizer.t == before[2] + 1


def test_binding_beside_frozen_parameters(kind: Case) -> None:
    optimizer, plain = kind.make(nest()), kind.make(nest())
    for one in (optimizer, plain):
        one.freeze("w", ("layers", 1))
    grads = gradients(nest(), 0)
    grads["w"] = None
    optimizer.bind(grads)
    optimizer.step()
    plain.step(gradients(nest(), 0))
    assert snapshot(optimizer) == snapshot(plain)


def test_binding_gradients_of_groups(kind: Case) -> None:
    optimizer, plain = (kind.make([{"params": nest()}, {"params": normal(5, 9), "lr": 0.5}]) for _ in range(2))
    grads = gradients(plain.params, 1)
    optimizer.bind(grads)
    optimizer.step()
    plain.step(copied(grads))
    assert snapshot(optimizer) == snapshot(plain)


def test_binding_what_is_read_only(kind: Case) -> None:
    """For a later step may zero it."""
    optimizer = kind.make(nest())
    grads = gradients(nest(), 0)
    grads["layers"][0].flags.writeable = False
    with pytest.raises(ValueError, match=r'^grads\["layers"\]\[0\] is read-only'):
        optimizer.bind(grads)


def test_binding_weights(kind: Case) -> None:
    optimizer = kind.make(nest())
    with pytest.raises(ValueError, match=r'^grads\["w"\] and params\["w"\] share memory'):
        optimizer.bind(optimizer.params)
