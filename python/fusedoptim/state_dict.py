"""An optimizer as a plain dict, and back."""

from collections.abc import Iterable, Mapping, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim import errors, tree
from fusedoptim.options import check_grad_scale
from fusedoptim.schedules import Plateau
from fusedoptim.whole import wholly

if TYPE_CHECKING:
    from fusedoptim.optimizer import Optimizer


def save(opt: "Optimizer") -> dict[str, Any]:
    saved = view(opt)
    return saved | {"state": {name: tree.map_leaves(np.copy, nest) for name, nest in saved["state"].items()}}


def view(opt: "Optimizer") -> dict[str, Any]:
    """With the arrays themselves, for who only reads them."""
    return {
        "rule": opt.rule,
        "t": opt.t,
        "accumulated": opt._accumulated,
        "grad_scale": opt._grad_scale,
        "skipped": opt.skipped,
        "groups": [group.numbers() for group in opt.groups],
        "state": dict(opt.state),
    }


def load(opt: "Optimizer", saved: Mapping[str, Any], weights: Any = None) -> None:
    """Checks everything, then changes the optimizer, and its weights where a nest of them is given."""
    same_keys("the state dict", saved, ("rule", "t", "accumulated", "grad_scale", "skipped", "groups", "state"))
    if saved["rule"] != opt.rule:
        raise ValueError(f"the state dict is of the rule {saved['rule']!r}, this optimizer of {opt.rule!r}")
    t, skipped = (count(f'the state dict\'s "{name}"', saved[name]) for name in ("t", "skipped"))
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
    nests = dict(saved["state"]) | ({} if weights is None else {"params": weights})
    for name, nest in nests.items():
        for tensor, array in zip(opt._tensors, tree.leaves(opt._skeleton, nest, name), strict=True):
            own, path = tensor.weight if name == "params" else tensor.states[name], name + tensor.path
            if not isinstance(array, np.ndarray) or (array.shape, array.dtype) != (own.shape, own.dtype):
                raise ValueError(f"{path} must be an array of {own.dtype} and shape {own.shape}, got {array!r}")
            if not own.flags.writeable:
                errors.read_only(path)
            copies.append((own, array))
    rates = [group.lr for group in opt.groups]

    def take() -> None:
        for own, array in copies:
            np.copyto(own, array)
        for group, replaced, lr in zip(opt.groups, groups, rates, strict=True):
            group._take(replaced._arguments)
            vars(group).update(_carried=replaced._carried)
            if isinstance(lr, Plateau) and isinstance(replaced.lr, Plateau):
                vars(lr).update(vars(replaced.lr))  # stays the object that it is: the program tells it the metric
                group.lr = lr
        opt.t, opt.skipped, opt._accumulated = t, skipped, int(saved["accumulated"])
        opt._grad_scale = opt._options.grad_scale = saved["grad_scale"]

    wholly(take)


def count(name: str, n: Any) -> int:
    """`n`, unless it is no whole number >= 0 that a double holds, as a step takes t."""
    if isinstance(n, bool) or not hasattr(n, "__index__") or not 0 <= n < 2**53:
        raise ValueError(f"{name} must be a whole number >= 0 and < 2**53, got {n!r}")
    return int(n)


def same_keys(name: str, got: Any, wanted: Iterable[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(got, Mapping):
        raise TypeError(f"{name} must be a dict with the keys {sorted(wanted)}, got {type(got).__name__}")
    if got.keys() - optional != set(wanted) - optional:
        raise ValueError(f"{name} must have the keys {sorted(wanted)}, got {sorted(got)}")
