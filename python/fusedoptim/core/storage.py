"""In how many bits weights and states are kept, and what arrays that takes.

A state ``m`` of 8 bits is two arrays: its codes, ``m``, and the scales of their blocks, ``m_scale``. A bfloat16 weight whose
rounding is "split" has its rest, with which it is an exact float32, among the states: ``w_low``.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core
from fusedoptim.core import checks
from fusedoptim.numerics.formats import BFLOAT16, BLOCK, is_bfloat16

Array = NDArray[Any]
Dtype = np.dtype[Any]
Stored = Array | tuple[Array, Array]  # what a step takes: an array, or two that belong together

STATE_DTYPES = ("float32", "bfloat16", "float8")
ROUNDINGS = ("split", "stochastic", "nearest")
REST, SCALE = "w_low", "_scale"


class Kept(NamedTuple):
    """A state array: its name, what it has a number for, and as what."""

    name: str
    kind: str
    held: str = "float"  # of the weight's step, or "bfloat16", "codes", "scales", or the "rest" of a weight

    def array(self, shape: tuple[int, ...], of_weight: Dtype, slots: int = 1) -> tuple[tuple[int, ...], Dtype]:
        """Shape and dtype, for a weight of these."""
        blocks = -(-math.prod(shape) // BLOCK)
        if self.held == "codes":
            return (blocks * BLOCK,), np.dtype(np.uint8)
        if self.held == "scales":
            return (blocks,), np.dtype(np.float32)
        if self.held == "rest":
            return (shape if is_bfloat16(of_weight) else (0,)), np.dtype(np.int16)
        if self.held == "bfloat16":
            return shape, of_weight if is_bfloat16(of_weight) else BFLOAT16
        return _core.state_shape(self.kind, shape, slots), float_of(of_weight)


class Storage(NamedTuple):
    """What the keywords of an optimizer say about it."""

    rounding: str | None  # of weights of 16 bits; None leaves it to their dtype
    states: dict[str, str]  # the dtypes of those that are not float32

    def kept(self, rule: str, weights: Iterable[Dtype]) -> list[Kept]:
        """The states of a rule, and what else is kept of weights of these dtypes."""
        kept = []
        for name, kind in _core.rule_states[rule]:
            held = self.states.get(name, "float")
            if held == "float8":
                kept += [Kept(name, kind, "codes"), Kept(name + SCALE, kind, "scales")]
            else:
                kept.append(Kept(name, kind, held))
        if any(is_bfloat16(dtype) and self.rounds(dtype) == "split" for dtype in weights):
            kept.append(Kept(REST, "weight", "rest"))
        return kept

    def rounds(self, weight: Dtype) -> str:
        """How a weight of 16 bits is rounded."""
        return self.rounding or ("split" if is_bfloat16(weight) else "stochastic")

    def check(self, path: str, weight: Dtype) -> None:
        """Refuses a weight that these keywords do not go with."""
        if weight == np.float16 and self.rounding == "split":
            raise ValueError(
                f'rounding="split" is of bfloat16 weights, and params{path} is float16; give "stochastic", or convert it'
            )
        if weight == np.float64 and self.states:
            raise ValueError(
                f"state_dtype is for weights of at most 32 bits, and params{path} is float64; leave it out"
            )


def make_storage(rule: str, state_dtype: str | Mapping[str, str] | None = None, rounding: str | None = None) -> Storage:
    """The keywords, checked."""
    if rounding is not None:
        checks.one_of("rounding", rounding, (*ROUNDINGS, None))
    if state_dtype is None:
        return Storage(rounding, {})
    may = list(_core.narrow_states.get(rule, {}))
    if isinstance(state_dtype, Mapping):
        chosen = dict(state_dtype)
    else:
        checks.one_of("state_dtype", state_dtype, (*STATE_DTYPES, None))
        chosen = dict.fromkeys(may, state_dtype)
        if not may and state_dtype != "float32":
            raise ValueError(
                f"state_dtype={state_dtype!r}: the rule {rule} has no state that may be narrow; leave it out"
            )
    for name, dtype in chosen.items():
        checks.one_of(f"state_dtype[{name!r}]", dtype, STATE_DTYPES)
        if name not in may:
            raise ValueError(f"state_dtype has {name!r}, and of the states of {rule} {may} may be narrow, no other")
    return Storage(rounding, {name: dtype for name, dtype in chosen.items() if dtype != "float32"})


def float_of(weight: Dtype) -> Dtype:
    """What a step of such a weight computes in."""
    return np.dtype(np.float64 if weight == np.float64 else np.float32)


def alike(one: Dtype, other: Dtype) -> bool:
    """Whether numbers of the two are the same bits: there are several dtypes of bfloat16."""
    return one == other or (is_bfloat16(one) and is_bfloat16(other))


def is_narrow(array: Array) -> bool:
    return array.dtype == np.float16 or is_bfloat16(array.dtype)


def bits(array: Array) -> Array:
    """The same memory as something of which NumPy itself knows how to copy, compare and export it."""
    return array.view(np.uint16) if is_bfloat16(array.dtype) else array


def is_signed(rule: str, state: str) -> bool:
    """Whether codes of a state have a sign."""
    return bool(_core.narrow_states.get(rule, {}).get(state, 4) == 4)


def stored(name: str, weight: Array, states: Mapping[str, Array]) -> Stored:
    """A state, or the weight as "params", with what belongs to it among the states."""
    if name == "params":
        return (weight, states[REST]) if REST in states and is_bfloat16(weight.dtype) else weight
    scales = states.get(name + SCALE)
    return states[name] if scales is None else (states[name], scales)


def to_float(stored: Stored, like: Array, signed: bool = True) -> Array:
    """A copy of the numbers of what goes with a weight, in the dtype that its step computes in."""
    if isinstance(stored, np.ndarray) and not is_narrow(stored):
        return np.array(stored)
    x = np.empty(like.shape, np.float32)
    _core.load_numbers(stored, signed, x)
    return x


def rounded(x: Array, like: Array) -> Array:
    """Numbers as an array of the dtype of another, to nearest: they themselves, where it is as wide."""
    if not is_narrow(like):
        return x
    made = np.empty_like(like)
    _core.store_numbers(made, True, x)
    return made


def set_numbers(stored: Stored, x: Any, like: Array, signed: bool = True) -> None:
    """Writes numbers, or one, into what goes with a weight; to nearest."""
    if isinstance(stored, np.ndarray) and not is_narrow(stored):
        np.copyto(stored, x)
    else:
        _core.store_numbers(stored, signed, np.array(np.broadcast_to(x, like.shape), np.float32, order="C"))
