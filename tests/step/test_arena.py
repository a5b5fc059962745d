"""One buffer for many arrays: where they lie, what they hold, and that a step does not notice."""

import mmap
import os
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core.arena import HUGE, LINE, SKEW

from ..bits import assert_same_bits
from ..cases import Case
from ..nests import arrays, copied, gradients, nests, normal, snapshot

PAGE = mmap.PAGESIZE


NESTS = nests() | {
    "strided": [normal(0, 6, 8)[::2, ::-1], normal(1, 3, 4).T],
    "huge": {"w": normal(0, HUGE // 4), "b": normal(1, 17)},
}


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("slot", [0, 1, 5])
@pytest.mark.parametrize("nest", NESTS)
def test_layout(nest: str, slot: int) -> None:
    """Copies, in one buffer, in order, each at the start of a cache line, the first skewed by its slot."""
    given = NESTS[nest]
    views = fo.arena(given, slot=slot)
    assert fo.core.tree.skeleton(views) == fo.core.tree.skeleton(given)
    for view, array in zip(arrays(views), arrays(given), strict=True):
        assert_same_bits(view, array)
        assert view.flags.c_contiguous and view.flags.writeable and view.flags.aligned
        assert not np.shares_memory(view, array)
    assert len({id(view.base) for view in arrays(views)}) <= 1
    full = [view for view in arrays(views) if view.size]
    assert all(address(view) % LINE == 0 for view in full)
    for before, after in pairwise(full):
        assert address(after) == address(before) + -(-before.nbytes // LINE) * LINE
    for first in full[:1]:
        assert (address(first) - slot * SKEW) % PAGE == 0


def test_slots_are_apart_in_a_page() -> None:
    assert len({slot * SKEW % 4096 for slot in range(64)}) == 64


@pytest.mark.parametrize("slot", [-1, 0.5, 1.0, "0", None])
def test_slot(slot: Any) -> None:
    with pytest.raises(ValueError, match=r"^slot must be a whole number >= 0, got"):
        fo.arena([np.ones(3)], slot=slot)


def test_an_optimizer_does_not_notice(kind: Case) -> None:
    for name in ("nested", "mixed dtypes", "huge", "0-d"):
        plain = kind.make(copied(NESTS[name]), clip_norm=0.5, ema=0.5)
        laid_out = kind.make(fo.arena(NESTS[name]), clip_norm=0.5, ema=0.5)
        for t in (1, 2):
            grads = gradients(plain.params, t)
            laid_out.step(fo.arena(grads, slot=1))
            plain.step(grads)
        assert snapshot(laid_out) == snapshot(plain)


def test_the_buffers_of_an_optimizer_are_skewed_against_each_other(kind: Case) -> None:
    params = fo.arena({"w": normal(0, 5000), "b": normal(1, 10)})
    grads = fo.arena(params, slot=1)
    optimizer = kind.make(params, accumulate=2, ema=0.5)
    firsts = [nest["w"] for nest in (params, grads, *optimizer.state.values())]
    assert len({address(first) % 4096 for first in firsts}) == len(firsts)
    for nest in (params, *optimizer.state.values()):
        for array in arrays(nest):
            assert address(array) % LINE == 0


def test_views_keep_the_buffer_alive() -> None:
    view = fo.arena([np.ones(100), np.full(1000, 7.0)])[1]
    others = [fo.arena([np.zeros(1000)]) for _ in range(100)]
    assert (view == 7).all() and len(others) == 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_its_own() -> None:
    """Of the arena, and of the state of an optimizer."""
    params = fo.arena({"w": np.zeros(4)})
    optimizer = fo.Momentum(params, lr=1.0, beta=0.5)
    child = os.fork()
    if child == 0:
        optimizer.step({"w": np.ones(4)})
        os._exit(int(params["w"][0] != -0.5))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not params["w"].any() and not optimizer.state["m"]["w"].any()


def test_large_buffers_ask_for_huge_pages() -> None:
    """Private memory only has them; the kernel marks what asked for them."""
    flags = []
    for size in (HUGE, HUGE // 2):
        (view,) = fo.arena([np.ones(size, np.uint8)])
        flags.append(kernel_flags(address(view)))
    assert "hg" in flags[0] and "hg" not in flags[1]
    assert not any("sh" in each for each in flags)


def kernel_flags(at: int) -> list[str]:
    """What Linux knows of the mapping of an address."""
    try:
        with open("/proc/self/smaps") as file:
            lines = [line.split() for line in file]
    except OSError:
        pytest.skip("not on Linux")
    inside = False
    for first, *rest in lines:
        if not first.endswith(":"):
            begin, end = (int(part, 16) for part in first.split("-"))
            inside = begin <= at < end
        elif inside and first == "VmFlags:":
            if not hasattr(mmap, "MADV_HUGEPAGE"):
                pytest.skip("no huge pages in this Python")
            return rest
    raise AssertionError("the address is not mapped")
