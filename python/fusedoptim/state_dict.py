"""An optimizer as a plain dict, and back."""

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim import tree
from fusedoptim.options import check_grad_scale
from fusedoptim.threads import positive

if TYPE_CHECKING:
    from fusedoptim.optimizer import Optimizer


def save(opt: "Optimizer") -> dict[str, Any]:
    return {
        "rule": opt.rule,
        "t": opt.t,
        "accumulated": opt._accumulated,
        "grad_scale": opt._grad_scale,
        "skipped": opt.skipped,
        "groups": [group.numbers() for group in opt.groups],
        "state": {name: tree.map_leaves(np.copy, nest) for name, nest in opt.state.items()},
    }


def load(opt: "Optimizer", saved: Mapping[str, Any]) -> None:
    """Checks everything, then changes the optimizer."""
    same_keys("the state dict", saved, ("rule", "t", "accumulated", "grad_scale", "skipped", "groups", "state"))
    if saved["rule"] != opt.rule:
        raise ValueError(f"the state dict is of the rule {saved['rule']!r}, this optimizer of {opt.rule!r}")
    for name in ("t", "skipped"):
        if saved[name] != 0:
            positive(f'the state dict\'s "{name}"', saved[name])
    if saved["accumulated"] not in range(opt._accumulate):
        most = opt._accumulate
        raise ValueError(f"the state dict has {saved['accumulated']!r} gradients summed, of {most} an update")
    check_grad_scale('the state dict\'s "grad_scale"', saved["grad_scale"])
    if not isinstance(saved["groups"], list) or len(saved["groups"]) != len(opt.groups):
        raise ValueError(f'the state dict\'s "groups" must be a list of {len(opt.groups)}, got {saved["groups"]!r}')
    groups = []
    for group, numbers in zip(opt.groups, saved["groups"], strict=True):
        same_keys('the state dict\'s "groups"', numbers, group.numbers(), optional={"lr"})
        groups.append(group.replaced(numbers))
    same_keys('the state dict\'s "state"', saved["state"], opt.state)
    copies = []
    for name, nest in saved["state"].items():
        for tensor, array in zip(opt._tensors, tree.leaves(opt._skeleton, nest, name), strict=True):
            own, path = tensor.states[name], name + tensor.path
            if not isinstance(array, np.ndarray) or (array.shape, array.dtype) != (own.shape, own.dtype):
                raise ValueError(f"{path} must be an array of {own.dtype} and shape {own.shape}, got {array!r}")
            copies.append((own, array))
    for own, array in copies:
        np.copyto(own, array)
    for group, replaced in zip(opt.groups, groups, strict=True):
        group._take(replaced._arguments)
        vars(group).update(_carried=replaced._carried)
    opt.t = saved["t"]
    opt._accumulated, opt.skipped = saved["accumulated"], saved["skipped"]
    opt._grad_scale = opt._options.grad_scale = saved["grad_scale"]


def same_keys(name: str, got: Any, wanted: Iterable[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(got, Mapping):
        raise TypeError(f"{name} must be a dict with the keys {sorted(wanted)}, got {type(got).__name__}")
    if got.keys() - optional != set(wanted) - optional:
        raise ValueError(f"{name} must have the keys {sorted(wanted)}, got {sorted(got)}")
