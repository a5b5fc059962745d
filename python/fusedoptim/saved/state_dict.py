"""An optimizer as a plain dict, and back."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.lock import wholly
from fusedoptim.saved.fields import STATE_DICT, Saved, count, same_keys
from fusedoptim.schedules import Plateau

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Stateful


def save(opt: "Stateful") -> dict[str, Any]:
    saved = view(opt)
    return {**saved, "state": {name: tree.map_leaves(np.copy, nest) for name, nest in saved["state"].items()}}


def view(opt: "Stateful") -> Saved:
    """The state dict with the arrays of the optimizer themselves, for those who only read them."""
    return {
        "rule": opt.rule,
        "t": opt.t,
        "accumulated": opt._accumulated,
        "grad_scale": opt._grad_scale if opt._accumulated else 1.0,  # that of the sums
        "skipped": opt.skipped,
        "groups": [group._numbers(opt.t) for group in opt.groups],
        "state": dict(opt.state),
    }


def load(opt: "Stateful", saved: Mapping[str, Any], weights: Any = None) -> None:
    """Checks everything, then changes the optimizer, and its weights where a nest of them is given."""
    same_keys("the state dict", saved, STATE_DICT)
    if saved["rule"] != opt.rule:
        raise ValueError(f"the state dict is of the rule {saved['rule']!r}, this optimizer of {opt.rule!r}")
    t, skipped = (count(f'the state dict\'s "{name}"', saved[name]) for name in ("t", "skipped"))
    if saved["accumulated"] not in range(opt._accumulate):
        most = opt._accumulate
        raise ValueError(f"the state dict has {saved['accumulated']!r} gradients summed, of {most} an update")
    checks.number('the state dict\'s "grad_scale"', saved["grad_scale"], "positive", otherwise=ValueError)
    if not isinstance(saved["groups"], list) or len(saved["groups"]) != len(opt.groups):
        raise ValueError(f'the state dict\'s "groups" must be a list of {len(opt.groups)}, got {saved["groups"]!r}')
    groups = []
    for group, numbers in zip(opt.groups, saved["groups"], strict=True):
        same_keys('the state dict\'s "groups"', numbers, group._numbers(opt.t), optional={"lr"})
        groups.append(group.replaced(numbers))
    same_keys('the state dict\'s "state"', saved["state"], opt.state)
    copies = []
    nests = dict(saved["state"]) | ({} if weights is None else {"params": weights})
    for name, nest in nests.items():
        for tensor, array in zip(opt._tensors, tree.leaves(opt._skeleton, nest, name), strict=True):
            own, path = tensor.weight if name == "params" else tensor.states[name], name + tensor.path
            checks.unmasked(path, array)
            if not isinstance(array, np.ndarray) or (array.shape, array.dtype) != (own.shape, own.dtype):
                raise ValueError(f"{path} must be an array of {own.dtype} and shape {own.shape}, got {array!r}")
            if not own.flags.writeable:
                checks.read_only(path)
            copies.append((own, array))
    rates = [group.lr for group in opt.groups]

    def commit() -> None:
        for own, array in copies:
            np.copyto(own, array)
        for group, replaced, lr in zip(opt.groups, groups, rates, strict=True):
            group._set(replaced._arguments)
            vars(group).update(_carried=replaced._carried)
            if isinstance(lr, Plateau) and isinstance(replaced.lr, Plateau):
                vars(lr).update(vars(replaced.lr))  # stays the object that it is: the program tells it the metric
                group.lr = lr
        opt._plan.counters = _core.new_counters(t, skipped, int(saved["accumulated"]), opt.last_grad_norm)
        opt._grad_scale = opt._options.grad_scale = saved["grad_scale"]

    wholly(commit)
