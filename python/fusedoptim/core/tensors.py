"""The weights of an optimizer, and what it keeps for each."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core import tree
from fusedoptim.core.arena import allocate
from fusedoptim.core.storage import Array, Kept, Storage, Stored, bits, is_signed, set_numbers, stored, to_float


@dataclass
class Tensor:
    """One weight and what belongs to it."""

    path: str
    key: tuple[Any, ...]
    group: int
    weight: Array
    states: dict[str, Array]
    copy: Array | None = None  # of 16 bits, written with the weight

    def stored(self, name: str) -> Stored:
        """A state, or the weight as "params", with what belongs to it."""
        return stored(name, self.weight, self.states)

    def as_float(self, name: str, rule: str) -> Array:
        """A copy of the same, as what it means."""
        return to_float(self.stored(name), self.weight, is_signed(rule, name))


def state_layout(rule: str, options: _core.Options, storage: Storage, weights: Iterable[Array]) -> list[Kept]:
    """The state arrays."""
    own = storage.kept(rule, {weight.dtype for weight in weights})
    return [Kept("grad_sum", "weight")] * (options.accumulate > 1) + own + [Kept("ema", "weight")] * options.keeps_ema


def numbers_moved(rule: str, slots: int) -> int:
    """How many numbers a step reads and writes for each element, with rings of so many slots.

    Of a ring, all slots but the oldest are read, and that is written.
    """
    passes: list[tuple[list[str], list[str]]] = _core.rule_passes[rule]
    rings: int = sum(kind == "ring" for _, kind in _core.rule_states[rule])
    return slots * rings + sum(len(reads) + len(writes) for reads, writes in passes)


def make_tensors(
    group: int, keys: list[tuple[Any, ...]], weights: list[Array], copies: list[Array | None]
) -> list[Tensor]:
    """Tensors without a state."""
    each = zip(keys, weights, copies, strict=True)
    return [Tensor(tree.path(key), key, group, weight, {}, copy) for key, weight, copy in each]


def check_weights(tensors: list[Tensor], rule: str, storage: Storage) -> None:
    for tensor in tensors:
        _core.check_weight(rule, tensor.weight, tensor.path)
        storage.check(tensor.path, tensor.weight.dtype)


def add_states(tensors: list[Tensor], layout: list[Kept], slots: int) -> list[Tensor]:
    """Gives them the states of the layout that they do not have, of zeros, one buffer for each name."""
    states: list[dict[str, Array]] = [{} for _ in tensors]
    for slot, kept in enumerate(layout, start=2):
        lacking = [kept.name not in tensor.states for tensor in tensors]
        shapes = [
            kept.array(t.weight.shape, t.weight.dtype, slots)
            for t, lacks in zip(tensors, lacking, strict=True)
            if lacks
        ]
        made = iter(allocate(shapes, slot))
        for own, tensor, lacks in zip(states, tensors, lacking, strict=True):
            own[kept.name] = next(made) if lacks else tensor.states[kept.name]
    return [replace(tensor, states=own) for tensor, own in zip(tensors, states, strict=True)]


def begin_states(tensors: list[Tensor], rule: str, initial: Callable[[str, Array], Any]) -> None:
    """Gives fresh states their initial values. Memory of zeros is not touched before it is needed."""
    for tensor in tensors:
        for name, _ in _core.rule_states[rule]:
            if (value := initial(name, tensor.weight)) is not None:
                set_numbers(tensor.stored(name), value, tensor.weight, is_signed(rule, name))


def write_copies(tensors: list[Tensor]) -> None:
    """Writes weights into their copies."""
    for tensor in tensors:
        if tensor.copy is not None:
            _core.store_numbers(tensor.copy, True, tensor.weight)


def lay_out(tensors: list[Tensor], names: list[str]) -> None:
    """Gives states that a copy has left anywhere the memory that :func:`make_tensors` gives them."""
    for slot, name in enumerate(names, start=2):
        arrays = [tensor.states[name] for tensor in tensors]
        moved = allocate([(array.shape, array.dtype) for array in arrays], slot)
        for tensor, array, new in zip(tensors, arrays, moved, strict=True):
            np.copyto(bits(new), bits(array))
            tensor.states[name] = new


def fill_plan(
    plan: _core.Plan, rule: str, storage: Storage, tensors: list[Tensor], members: list[tuple[int, bool]]
) -> _core.Plan:
    """Adds all tensors to the plan, each with its cohort, and whether it is frozen."""
    names = ["params", *(name for name, _ in _core.rule_states[rule])]
    for tensor, (cohort, frozen) in zip(tensors, members, strict=True):
        arrays = [tensor.stored(name) for name in names]
        at_random = storage.rounds(tensor.weight.dtype) == "stochastic"
        sums, ema = tensor.states.get("grad_sum"), tensor.states.get("ema")
        plan.add(cohort, frozen, tensor.path, arrays, sums, ema, tensor.copy, at_random)
    plan.finish()
    return plan


def drop_sums(tensors: Iterable[Tensor]) -> None:
    """Sets the sums of accumulated gradients to zero."""
    for tensor in tensors:
        if "grad_sum" in tensor.states:
            tensor.states["grad_sum"][...] = 0
