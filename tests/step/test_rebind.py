"""Going on with other arrays in the place of the parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import arrays, bits, copied, gradients, mixed, normal, snapshot, unchanged


@pytest.mark.parametrize("options", [{}, {"accumulate": 2, "ema": 0.5}])
def test_it_goes_on_with_the_others(kind: Case, options: dict[str, Any]) -> None:
    """With their weights, and the state and the counts that were; what was given before is let alone."""
    optimizer, twin = kind.make(mixed(), **options), kind.make(mixed(), **options)
    for each in (optimizer, twin):
        each.freeze("w")
        each.step(gradients(mixed(), 0))
        each.thaw("w")
        each.step(gradients(mixed(), 1))
    old, new = optimizer.params, copied(optimizer.params)
    for w, same in zip(arrays(new), arrays(twin.params), strict=True):
        w += 1
        same += 1
    before = bits(old)
    optimizer.rebind(new)
    assert optimizer.params is new and optimizer.steps == twin.steps
    for call in range(2, 6):
        for each in (optimizer, twin):
            each.step(gradients(mixed(), call))
        assert snapshot(optimizer) == snapshot(twin)
    assert bits(old) == before
    assert optimizer.groups[0].params is new


def test_after_the_idiom_of_numpy(kind: Case) -> None:
    params = {"w": normal(0, 9), "b": normal(1, 3)}
    optimizer = kind.make(params)
    params["w"] = np.clip(params["w"], -0.5, 0.5)
    with pytest.raises(ValueError, match=r"or call rebind\(params\)$"):
        optimizer.step(gradients(params, 1))
    optimizer.rebind(params)
    wanted = kind.make(copied(params))
    for each in (optimizer, wanted):
        each.step(gradients(params, 1))
    assert snapshot(optimizer) == snapshot(wanted)


def test_groups_and_groups_that_come_later(kind: Case) -> None:
    optimizer = kind.make([{"params": mixed()}, {"params": normal(5, 9), "lr": 0.5}])
    new = copied(optimizer.params)
    optimizer.rebind(tuple(new))
    optimizer.add_group({"params": normal(6, 2)})
    optimizer.step(gradients(optimizer.params, 1))
    assert optimizer.params[0] is new[0] and optimizer.params[1] is new[1]
    assert bits(new[1]) != bits(normal(5, 9))


def test_gradients_have_to_be_bound_again(kind: Case) -> None:
    optimizer = kind.make(mixed())
    optimizer.bind(gradients(mixed(), 0))
    optimizer.rebind(copied(optimizer.params))
    with pytest.raises(TypeError, match=r"needs bind\(grads\) first"):
        optimizer.step()


def test_a_frozen_weight_may_be_read_only(kind: Case) -> None:
    """As a memory map; also where a group is added, or what is accumulated changes."""
    params = {"a": normal(0, 4), "b": normal(1, 3)}
    params["a"].flags.writeable = False
    optimizer = kind.make({"a": normal(0, 4), "b": params["b"]})
    optimizer.freeze("a")
    optimizer.rebind(params)
    optimizer.accumulate = 2
    optimizer.accumulate = 1
    optimizer.step({"a": None, "b": normal(2, 3)})
    with unchanged(optimizer), pytest.raises(ValueError, match=r'^params\["a"\] is read-only'):
        optimizer.thaw("a")
    optimizer.add_group({"params": normal(3, 2)})
    params["a"].flags.writeable = True
    optimizer.thaw((0, "a"))
    optimizer.step(gradients(optimizer.params, 1))
    assert optimizer.steps == [{"a": 1, "b": 2}, 1]


BAD: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another shape": (
        lambda params: params | {"w": normal(0, 4, 3)},
        r'^params\["w"\] must be float32 of shape \(3, 4\)',
    ),
    "another dtype": (lambda params: params | {"w": params["w"].astype(float)}, r'^params\["w"\] must be float32'),
    "no array": (lambda params: params | {"w": [1.0]}, r'^params\["w"\] must be a numpy.ndarray'),
    "no key": (lambda params: {"w": params["w"]}, r"^params must have the keys"),
    "a key more": (lambda params: params | {"z": params["w"]}, r"^params must have the keys"),
    "no nest": (lambda params: params["w"], r"^params must be a dict"),
    "read-only": (lambda params: params | {"w": np.broadcast_to(params["w"], (3, 4))}, r'^params\["w"\] is read-only'),
    "not contiguous": (lambda params: params | {"w": np.zeros((3, 8), np.float32)[:, ::2]}, r"C-contiguous"),
    "twice": (
        lambda params: params | {"layers": [params["w"][0, :1].reshape(()), params["layers"][1]]},
        "share memory",
    ),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_cannot_take_their_place(kind: Case, bad: str) -> None:
    """Nothing has changed then, and bound gradients are bound as ever."""
    optimizer = kind.make(mixed(), ema=0.5)
    optimizer.bind(gradients(mixed(), 0))
    spoil, said = BAD[bad]
    own = optimizer.params
    with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=said):
        optimizer.rebind(spoil(copied(own)))
    assert optimizer.params is own
    optimizer.step()
    assert optimizer.t == 1


def test_a_state_cannot_take_their_place(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    with unchanged(optimizer), pytest.raises(ValueError, match="share memory"):
        optimizer.rebind(optimizer.state["ema"])


def test_it_does_not_take_in_states_that_changed() -> None:
    optimizer = fo.Adam(mixed())
    optimizer.state["m"]["w"] = np.zeros((3, 4), np.float32)
    with pytest.raises(ValueError, match=r'^opt.state\["m"\]\["w"\] is another object'):
        optimizer.rebind(copied(optimizer.params))


def test_it_is_refused_amid_a_block(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    for block in (optimizer.stepping, optimizer.using_ema):
        with block(), pytest.raises(RuntimeError, match=r"^cannot rebind inside"):
            optimizer.rebind(copied(optimizer.params))


def test_the_same_nest_is_no_change(kind: Case) -> None:
    """Bound gradients stay bound, and the compiled half what it is."""
    optimizer = kind.make(mixed())
    optimizer.bind(gradients(mixed(), 0))
    plan = optimizer._plan
    optimizer.rebind(optimizer.params)
    assert optimizer._plan is plan
    optimizer.step()
    optimizer.params["w"] = optimizer.params["w"].copy()
    optimizer.rebind(optimizer.params)
    assert optimizer._plan is not plan
