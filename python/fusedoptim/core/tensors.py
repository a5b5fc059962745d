"""The weights of an optimizer, and what it keeps for each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core
from fusedoptim.core import tree
from fusedoptim.core.arena import allocate

Array = NDArray[Any]


@dataclass
class Tensor:
    """One weight and what belongs to it."""

    path: str
    key: tuple[Any, ...]
    group: int
    weight: Array
    states: dict[str, Array]


def state_layout(rule: str, options: _core.Options) -> list[tuple[str, str]]:
    """The names of the state arrays, and what each has a number for."""
    own: list[tuple[str, str]] = _core.rule_states[rule]
    return [("grad_sum", "weight")] * (options.accumulate > 1) + own + [("ema", "weight")] * options.keeps_ema


def numbers_moved(rule: str, slots: int) -> int:
    """How many numbers a step reads and writes for each element, with rings of so many slots.

    Of a ring, all slots but the oldest are read, and that is written.
    """
    passes: list[tuple[list[str], list[str]]] = _core.rule_passes[rule]
    rings: int = sum(kind == "ring" for _, kind in _core.rule_states[rule])
    return slots * rings + sum(len(reads) + len(writes) for reads, writes in passes)


def make_tensors(
    keys: list[tuple[Any, ...]],
    weights: list[Array],
    group: int,
    layout: list[tuple[str, str]],
    slots: int,
    initial: Callable[[str, Array], Any],
) -> list[Tensor]:
    """Checks weights and makes their states, one buffer for each name, with their initial values."""
    paths = [tree.path(key) for key in keys]
    for path, weight in zip(paths, weights, strict=True):
        _core.check_weight(weight, path)
    states: list[dict[str, Array]] = [{} for _ in weights]
    for slot, (name, kind) in enumerate(layout, start=2):
        shapes = [(_core.state_shape(kind, w.shape, slots), w.dtype) for w in weights]
        for state, weight, array in zip(states, weights, allocate(shapes, slot), strict=True):
            state[name] = array
            value = None if name in ("ema", "grad_sum") else initial(name, weight)
            if value is not None:  # fresh memory is zero, and not touched before it is needed
                np.copyto(array, value)
    return [Tensor(*each) for each in zip(paths, keys, [group] * len(keys), weights, states, strict=True)]


def lay_out(tensors: list[Tensor], names: list[str]) -> None:
    """Gives states that a copy has left anywhere the memory that :func:`make_tensors` gives them."""
    for slot, name in enumerate(names, start=2):
        arrays = [tensor.states[name] for tensor in tensors]
        moved = allocate([(array.shape, array.dtype) for array in arrays], slot)
        for tensor, array, new in zip(tensors, arrays, moved, strict=True):
            np.copyto(new, array)
            tensor.states[name] = new


def fill_plan(plan: _core.Plan, rule: str, tensors: list[Tensor], members: list[tuple[int, bool]]) -> _core.Plan:
    """Adds all tensors to the plan, each with its cohort, and whether it is frozen."""
    for tensor, (cohort, frozen) in zip(tensors, members, strict=True):
        arrays = [tensor.weight, *(tensor.states[name] for name, _ in _core.rule_states[rule])]
        plan.add(cohort, frozen, tensor.path, arrays, tensor.states.get("grad_sum"), tensor.states.get("ema"))
    plan.finish()
    return plan


def with_sums(tensors: list[Tensor], summed: bool) -> None:
    """Gives each a sum of accumulated gradients where it has none, or takes it away."""
    shapes = [(tensor.weight.shape, tensor.weight.dtype) for tensor in tensors]
    for tensor, array in zip(tensors, allocate(shapes, slot=2), strict=True):
        if not summed:
            tensor.states.pop("grad_sum", None)
        else:
            tensor.states.setdefault("grad_sum", array)


def drop_sums(tensors: Iterable[Tensor]) -> None:
    """Sets the sums of accumulated gradients to zero."""
    for tensor in tensors:
        if "grad_sum" in tensor.states:
            tensor.states["grad_sum"][...] = 0
