"""What was saved of weights and states that were kept in other bits, as this optimizer keeps them.

Both are taken as the numbers that they mean: from few bits exactly, into few to nearest.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.storage import REST, SCALE, Dtype, Kept, Storage, alike, is_narrow, is_signed, set_numbers
from fusedoptim.core.tensors import Tensor
from fusedoptim.numerics.formats import dtype_name, is_bfloat16
from fusedoptim.numerics.numbers import shown
from fusedoptim.saved.fields import OPTIONAL, same_keys

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Stateful

Nests = dict[str, Any]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
ALSO = "; convert=True takes what was kept in other bits"


def may_differ(names: set[str]) -> bool:
    """Whether so many names can differ because something was kept in other bits."""
    return all(name.endswith(SCALE) or name == REST for name in names)


def layout_of(rule: str, dtypes: dict[str, Dtype]) -> list[Kept]:
    """What states of these dtypes are, by name: those of the rule, and what belongs to them."""
    if lacking := [name for name, _ in _core.rule_states[rule] if name not in dtypes]:
        raise ValueError(f"the saved state lacks {lacking[0]!r}")
    narrow = {name: "float8" for name, dtype in dtypes.items() if dtype == np.uint8}
    narrow |= {name: "bfloat16" for name, dtype in dtypes.items() if is_bfloat16(dtype)}
    kept = Storage(None, narrow).kept(rule, [])
    kept += [Kept(REST, "weight", "rest")] * (REST in dtypes)
    return kept + [Kept(name, "weight") for name in sorted(OPTIONAL & dtypes.keys())]


def convert(opt: "Stateful", state: Nests, weights: Any) -> tuple[Nests, Any]:
    """Nests of states, and of weights or None, as this optimizer has them."""
    leaves = {name: tree.leaves(opt._skeleton, nest, name) for name, nest in state.items()}
    given = opt.params if weights is None else weights
    made = []
    for k, (own, weight) in enumerate(zip(opt._tensors, tree.leaves(opt._skeleton, given, "params"), strict=True)):
        theirs = replace(own, weight=weight, states={name: arrays[k] for name, arrays in leaves.items()})
        _check(opt, theirs, own.weight.shape, weights is not None)
        made.append(_converted(opt, theirs, own, weights is not None))
    names = [name for name in opt.state if name in made[0].states] if made else list(opt.state)
    nests = {name: tree.build(opt._skeleton, iter([tensor.states[name] for tensor in made])) for name in names}
    return nests, None if weights is None else tree.build(opt._skeleton, iter([tensor.weight for tensor in made]))


def _check(opt: "Stateful", theirs: Tensor, shape: tuple[int, ...], with_weight: bool) -> None:
    """Refuses arrays that do not belong together."""
    arrays = {"params": theirs.weight, **theirs.states}
    for name, array in arrays.items():
        checks.unmasked(name + theirs.path, array)
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{name}{theirs.path} must be an array, got {shown(array)}")  # noqa: TRY004 - in a file
    layout = layout_of(opt.rule, {name: array.dtype for name, array in theirs.states.items()})
    wanted: dict[str, tuple[tuple[int, ...], tuple[Dtype, ...]]] = {
        "params": (shape, FLOATS if not is_narrow(theirs.weight) else (theirs.weight.dtype,))
    }
    for kept in layout:
        axes, dtype = kept.array(shape, theirs.weight.dtype, opt._slots)
        wanted[kept.name] = axes, FLOATS if kept.held == "float" else (dtype,)
    if not with_weight and REST in arrays:  # of what weight is not told
        wanted[REST] = arrays[REST].shape, (np.dtype(np.int16),)
    same_keys("what was saved", arrays, wanted)
    for name, (axes, dtypes) in wanted.items():
        array = arrays[name]
        if array.shape != axes or not any(alike(array.dtype, dtype) for dtype in dtypes):
            words = f"{' or '.join(dtype_name(dtype) for dtype in dtypes)} of shape {axes}, got {dtype_name(array.dtype)} of {array.shape}"
            raise ValueError(f"{name}{theirs.path} must be {words}")


def _converted(opt: "Stateful", theirs: Tensor, own: Tensor, with_weight: bool) -> Tensor:
    states = {
        name: np.zeros_like(array) for name, array in own.states.items() if name not in OPTIONAL - theirs.states.keys()
    }
    made = replace(own, weight=np.empty_like(own.weight), states=states)
    for name in [name for name, _ in _core.rule_states[opt.rule]] + ["params"] * with_weight:
        set_numbers(made.stored(name), theirs.as_float(name, opt.rule), own.weight, is_signed(opt.rule, name))
    exact = OPTIONAL if with_weight else OPTIONAL | {REST}  # a rest goes with the weight that it was saved of
    for name in exact & states.keys() & theirs.states.keys():
        if states[name].shape == theirs.states[name].shape:
            np.copyto(states[name], theirs.states[name], casting="same_kind")
    return made
