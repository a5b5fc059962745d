"""The states of parameters, which torch's state dicts have: in memory laid out for streaming, and numbers side by side."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

from fusedoptim.core.arena import allocate
from fusedoptim.torch.memory import DTYPES, is_sharded, plain, tensor_of


@dataclass
class Place:
    """Where an array of a state is: that of a parameter, under a name. What it must be like, and its first value."""

    state: dict[str, Any]
    name: str
    param: Tensor
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...] | None = None  # None: contiguous
    first: float | None = 0.0  # None: a copy of the parameter

    def is_taken(self) -> bool:
        """Whether what is there lies as it must."""
        there = plain(self.state[self.name])
        strides_fit = self.strides is None or there.stride() == self.strides
        return tuple(there.shape) == self.shape and DTYPES.get(there.dtype) == self.dtype and strides_fit


class States:
    """Makes the states of one optimizer. What it has not made, as what was loaded, it copies and puts its own in place."""

    def __init__(self) -> None:
        self._made: WeakValueDictionary[int, Tensor] = WeakValueDictionary()

    def lacks(self, state: dict[str, Any], name: str) -> bool:
        found = state.get(name)
        return found is None or self._made.get(id(found)) is not found

    def _put(self, state: dict[str, Any], name: str, tensor: Tensor) -> None:
        self._made[id(tensor)] = tensor
        state[name] = tensor

    def numbers(self, states: Iterable[dict[str, Any]], name: str, firsts: Iterable[float], dtype: torch.dtype) -> None:
        """A number for each parameter, as a view of one tensor: torch adds to a tensor a parameter, which takes long."""
        lacking = [(state, first) for state, first in zip(states, firsts, strict=True) if self.lacks(state, name)]
        side_by_side = torch.empty(len(lacking), dtype=dtype).unbind()
        for (state, first), view in zip(lacking, side_by_side, strict=True):
            found = state.get(name)
            view.fill_(first if found is None else float(found))
            self._put(state, name, view)

    def arrays(self, places: list[Place], slot: int) -> list[bool]:
        """One buffer for the arrays of all parameters. Tells which there was none of before."""
        fresh = [place.state.get(place.name) is None for place in places]
        lacking = [place for place in places if self.lacks(place.state, place.name) or not place.is_taken()]
        own = [place for place in lacking if not is_sharded(place.param)]
        memory = allocate([(place.shape, place.dtype) for place in own], slot)
        for place, array in zip(own, memory, strict=True):
            tensor = tensor_of(array)
            if place.strides is not None:
                tensor = tensor.as_strided(place.shape, place.strides)
            self._fill(place, torch.view_as_complex(tensor) if place.param.is_complex() else tensor)
        for place in lacking:
            if is_sharded(place.param):
                dtype = next(theirs for theirs, ours in DTYPES.items() if ours == place.dtype)
                self._fill(place, torch.zeros_like(place.param, dtype=dtype))
        return fresh

    def _fill(self, place: Place, tensor: Tensor) -> None:
        found = place.state.get(place.name)
        if found is None and place.first is None:
            found = place.param
        if found is not None and found.shape != tensor.shape:
            raise ValueError(
                f"the state {place.name!r} of a parameter of shape {tuple(place.param.shape)} must have the shape "
                f"{tuple(tensor.shape)}, got {tuple(found.shape)}; load the state of this model, kept as it is here"
            )
        if found is not None:
            plain(tensor).copy_(plain(found))
        elif place.first != 0:
            plain(tensor).fill_(place.first)
        self._put(place.state, place.name, tensor)
