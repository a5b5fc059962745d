"""copy.deepcopy and pickle of an optimizer."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core.arena import LINE

from ..cases import KINDS, Case
from ..nests import arrays, gradients, normal, snapshot
from ..runs import ROWS, make, nest, step

COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda thing, protocol=protocol: pickle.loads(pickle.dumps(thing, protocol))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("way", ["deepcopy", f"pickle {pickle.HIGHEST_PROTOCOL}"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_copy_goes_on_with_the_same_bits_in_arrays_of_its_own(row: Case, way: str) -> None:
    optimizer = make(row, nest(row), accumulate=2, ema=0.5, clip_norm=1.0)
    for call in range(3):
        step(optimizer, call)
    other = COPIES[way](optimizer)
    assert type(other) is type(optimizer) and snapshot(other) == snapshot(optimizer)
    before = snapshot(optimizer)
    for call in range(3, 8):
        step(other, call)
    assert snapshot(optimizer) == before, "the copy has changed it"
    for call in range(3, 8):
        step(optimizer, call)
    assert snapshot(other) == snapshot(optimizer)


@pytest.mark.parametrize("way", COPIES)
def test_its_parts_belong_together(kind: Case, way: str) -> None:
    """Setting a hyper-parameter, a weight or a state of the copy is felt by its steps, and by no other's."""
    params = [{"params": {"w": normal(0, 3)}, "lr": 0.5}, {"params": normal(1, 2)}]
    optimizer = kind.make(params)
    optimizer.freeze((0, "w"))
    other, twin = COPIES[way](optimizer), kind.make(copy.deepcopy(params))
    assert other.params[0]["w"] is other.groups[0].params["w"]
    twin.freeze((0, "w"))
    for each in (other, twin):
        each.groups[1].lr = 0.25
        each.params[1][...] = 2.0
        each.thaw((0, "w"))
        each.add_group({"params": normal(2, 4)})
        each.step(gradients(each.params, 1))
    assert snapshot(other) == snapshot(twin)
    assert optimizer.t == 0 and len(optimizer.groups) == 2 and optimizer.groups[1].lr != 0.25


@pytest.mark.parametrize("way", COPIES)
def test_options_go_along(way: str) -> None:
    options: dict[str, Any] = {"clip_value": 0.5, "maximize": True, "nonfinite": "skip", "num_threads": 2, "ema": 0.25}
    optimizer = fo.Adam(np.ones(3), clip_norm=2.0, **options)
    optimizer.step(np.ones(3), grad_scale=4.0)
    other = COPIES[way](optimizer)
    assert fo.core.options.options_to_dict(other._options) == fo.core.options.options_to_dict(optimizer._options)
    for each in (optimizer, other):
        each.step(np.full(3, np.nan), grad_scale=4.0)
        each.step(np.arange(3.0), grad_scale=4.0)
    assert other.skipped == 1 and snapshot(other) == snapshot(optimizer)


@pytest.mark.parametrize("way", COPIES)
def test_bound_gradients_stay_behind(way: str) -> None:
    optimizer = fo.SGD(np.ones(2), lr=1.0)
    optimizer.bind(g := np.ones(2))
    other = COPIES[way](optimizer)
    with pytest.raises(TypeError, match="needs bind"):
        other.step()
    optimizer.step()
    other.bind(g)
    other.step()
    assert snapshot(other) == snapshot(optimizer)


@pytest.mark.parametrize("way", COPIES)
def test_the_states_of_a_copy_are_laid_out_for_streaming(way: str) -> None:
    other = COPIES[way](fo.Adam({"a": np.ones(5), "b": np.ones(7)}))
    for nest_of_states in other.state.values():
        first, second = arrays(nest_of_states)
        assert first.base is not None and first.base.base is second.base.base
        assert first.ctypes.data % LINE == second.ctypes.data % LINE == 0


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_refused_inside_a_block_and_during_a_step(way: str) -> None:
    optimizer = fo.SGD(np.ones(2), ema=0.5)
    with optimizer.using_ema(), pytest.raises(RuntimeError, match=r"^cannot copy an optimizer inside"):
        COPIES[way](optimizer)
    with optimizer._turn(), pytest.raises(RuntimeError, match=r"^another thread is inside"):
        COPIES[way](optimizer)
    COPIES[way](optimizer).step(np.ones(2))


def test_a_shallow_copy_is_refused() -> None:
    with pytest.raises(TypeError, match=r"call copy\.deepcopy"):
        copy.copy(fo.SGD(np.ones(2)))


def test_a_plateau_is_copied_with_it() -> None:
    optimizer = fo.SGD(np.ones(1), lr=fo.schedules.Plateau(1.0, factor=0.5, patience=0))
    other = copy.deepcopy(optimizer)
    for _ in range(2):
        other.lr.observe(1.0)
    assert (other.lr(1), optimizer.lr(1)) == (0.5, 1.0)


def trained(optimizer: fo.Optimizer) -> fo.Optimizer:
    optimizer.step(gradients(optimizer.params, 1))
    return optimizer


def test_through_other_processes() -> None:
    optimizers = [kind.make({"w": normal(0, 4, 3)}, ema=0.5) for kind in KINDS]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        others = pool.map(trained, optimizers)
    assert all(optimizer.t == 0 for optimizer in optimizers)
    assert list(map(snapshot, others)) == [snapshot(trained(optimizer)) for optimizer in optimizers]
