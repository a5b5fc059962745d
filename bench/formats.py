"""What weights, gradients and states are kept in: the formats that narrow.py times and narrow_training.py trains with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim.core import tree
from fusedoptim.numerics import formats
from fusedoptim.reference import Array

COPY = 6  # the slot of an arena that no weight, gradient or state has


def bfloat16(x: Array) -> Array:
    """To nearest."""
    return formats.bfloat16(formats.to_bfloat16(x))


def wide(x: Array) -> Array:
    """The float32 that an array means."""
    return formats.load(x) if formats.is_stored(x) else x


@dataclass(frozen=True)
class Format:
    """The dtypes of what an optimizer is given, and the keywords that say how it keeps the rest."""

    narrow_weights: bool = False
    narrow_gradients: bool = False
    copies: bool = False  # float32 weights have a bfloat16 copy, which the model computes with
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def weights(self, params: Any) -> Any:
        """A copy of a nest of float32."""
        return tree.map_leaves(bfloat16 if self.narrow_weights else np.copy, params)

    def gradients(self, grads: Any) -> Any:
        return tree.map_leaves(bfloat16, grads) if self.narrow_gradients else grads

    def make(self, optimizer: Callable[..., fo.Optimizer], weights: Any, **more: Any) -> fo.Optimizer:
        """The copies are made here, and filled by the optimizer."""
        copies = None
        if self.copies:
            copies = fo.arena(tree.map_leaves(lambda w: np.empty(w.shape, formats.BFLOAT16), weights), slot=COPY)
        return optimizer(weights, copy_to=copies, **self.keywords, **more)


def _narrow(**keywords: Any) -> Format:
    return Format(narrow_weights=True, narrow_gradients=True, keywords=keywords)


FLOAT32, WITH_COPY, ALL = "float32", "float32 with a copy", "all bfloat16"

FORMATS = {
    FLOAT32: Format(),
    WITH_COPY: Format(narrow_gradients=True, copies=True),
    "split": _narrow(rounding="split"),
    "stochastic": _narrow(rounding="stochastic"),
    "nearest": _narrow(rounding="nearest"),
    ALL: _narrow(rounding="stochastic", state_dtype="bfloat16"),
    "state bfloat16": Format(keywords={"state_dtype": "bfloat16"}),
    "state float8": Format(keywords={"state_dtype": "float8"}),
    "split, state bfloat16": _narrow(rounding="split", state_dtype="bfloat16"),
    "split, state float8": _narrow(rounding="split", state_dtype="float8"),
    "stochastic, state float8": _narrow(rounding="stochastic", state_dtype="float8"),
}
