"""State dicts of torch.optim, to go on there, or to come from there.

A state dict of torch numbers the parameters in the order in which its optimizer was given them; here that is the order
of the leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim import state_dict, tree
from fusedoptim.group import Group
from fusedoptim.tensors import Array

if TYPE_CHECKING:
    from fusedoptim.optimizer import Optimizer


@dataclass(frozen=True)
class Counterpart:
    """What a rule is called in torch: its class, state arrays, and arguments."""

    name: str
    states: dict[str, str]
    arguments: dict[str, str] = field(default_factory=dict)  # those with another name
    fixed: dict[str, Any] = field(default_factory=dict)  # theirs, that make it this rule
    absent: dict[str, Any] = field(default_factory=dict)  # ours, and the value that torch means
    counts: bool = True  # whether it counts its steps
    begun: bool = False  # whether it has states before its first step


ADAM = {"m": "exp_avg", "v": "exp_avg_sq"}
AMSGRAD = ADAM | {"v_max": "max_exp_avg_sq"}
NO_ROOT = {"eps_root": 0.0, "bias_correction": True}
BUFFER = {"m": "momentum_buffer"}
SQUARE = {"v": "square_avg"}
ALPHA = {"beta": "alpha"}

COUNTERPARTS = {
    "sgd": Counterpart("SGD", {}, fixed={"momentum": 0.0}, counts=False),
    "heavy_ball": Counterpart("SGD", BUFFER, fixed={"nesterov": False}, counts=False),
    "nesterov_momentum": Counterpart("SGD", BUFFER, fixed={"nesterov": True}, counts=False),
    "rprop": Counterpart("Rprop", {"prev": "prev", "step": "step_size"}),
    "adagrad": Counterpart("Adagrad", {"v": "sum"}, absent={"eps_root": 0.0}, begun=True),
    "adadelta": Counterpart("Adadelta", {"v": "square_avg", "d": "acc_delta"}),
    "rmsprop": Counterpart(
        "RMSprop", SQUARE, ALPHA, fixed={"centered": False, "momentum": 0.0}, absent={"eps_root": 0.0}
    ),
    "rmsprop_centered": Counterpart(
        "RMSprop",
        SQUARE | {"m": "grad_avg"},
        ALPHA,
        fixed={"centered": True, "momentum": 0.0},
        absent={"eps_root": 0.0},
    ),
    "rmsprop_momentum": Counterpart(
        "RMSprop", SQUARE | {"b": "momentum_buffer"}, ALPHA, fixed={"centered": False}, absent={"eps_root": 0.0}
    ),
    "rmsprop_centered_momentum": Counterpart(
        "RMSprop",
        SQUARE | {"m": "grad_avg", "b": "momentum_buffer"},
        ALPHA,
        fixed={"centered": True},
        absent={"eps_root": 0.0},
    ),
    "adam": Counterpart("Adam", ADAM, fixed={"amsgrad": False}, absent=NO_ROOT),
    "adamw": Counterpart("AdamW", ADAM, fixed={"amsgrad": False}, absent=NO_ROOT),
    "adam_amsgrad": Counterpart("Adam", AMSGRAD, fixed={"amsgrad": True}, absent=NO_ROOT),
    "adamw_amsgrad": Counterpart("AdamW", AMSGRAD, fixed={"amsgrad": True}, absent=NO_ROOT),
    "adamax": Counterpart("Adamax", {"m": "exp_avg", "u": "exp_inf"}),
    "nadam": Counterpart("NAdam", ADAM, fixed={"decoupled_weight_decay": False}),
    "nadam_decoupled": Counterpart("NAdam", ADAM, fixed={"decoupled_weight_decay": True}),
    "radam": Counterpart("RAdam", ADAM, fixed={"decoupled_weight_decay": False}),
    "radam_decoupled": Counterpart("RAdam", ADAM, fixed={"decoupled_weight_decay": True}),
}


def counterpart(opt: "Optimizer") -> Counterpart:
    if opt.rule not in COUNTERPARTS:
        raise TypeError(f"torch.optim has nothing like {type(opt).__name__} (the rule {opt.rule!r})")
    return COUNTERPARTS[opt.rule]


def save(opt: "Optimizer") -> dict[str, Any]:
    import torch

    other = counterpart(opt)
    groups = []
    for k, group in enumerate(opt.groups):
        members = [i for i, tensor in enumerate(opt._tensors) if tensor.group == k]
        # torch knows best what else its groups have.
        (theirs,) = getattr(torch.optim, other.name)([torch.zeros(1, 1)], **_arguments(opt, group, other)).param_groups
        groups.append({name: value for name, value in theirs.items() if name != "params"} | {"params": members})
    states: dict[int, dict[str, Any]] = {}
    for k, tensor in enumerate(opt._tensors if opt.t > 0 or other.begun else []):
        states[k] = {theirs: torch.from_numpy(tensor.states[ours].copy()) for ours, theirs in other.states.items()}
        if other.counts:
            states[k]["step"] = torch.tensor(float(opt.t))
        for name in opt.carried or ():
            states[k][name] = torch.tensor(opt.groups[tensor.group]._carried[name])
    return {"state": states, "param_groups": groups}


def _arguments(opt: "Optimizer", group: Group, other: Counterpart) -> dict[str, Any]:
    arguments = other.fixed | {"maximize": opt._options.maximize}
    for name, value in group._arguments.items():
        if name not in other.absent:
            arguments[other.arguments.get(name, name)] = value(opt.t + 1) if callable(value) else value
        elif value != other.absent[name]:
            raise ValueError(
                f"torch's {other.name} has no {name}, it means {other.absent[name]!r}; here it is {value!r}"
            )
    return arguments


def load(opt: "Optimizer", saved: Mapping[str, Any]) -> None:
    """Checks everything, then changes the optimizer."""
    other = counterpart(opt)
    state_dict.same_keys("torch's state dict", saved, ("state", "param_groups"))
    theirs, groups = saved["state"], saved["param_groups"]
    indices = [index for group in groups for index in group["params"]]
    sizes = [sum(tensor.group == k for tensor in opt._tensors) for k in range(len(opt.groups))]
    if [len(group["params"]) for group in groups] != sizes:
        raise ValueError(
            f"torch's state dict must have groups of {sizes} parameters, got {[len(g['params']) for g in groups]}"
        )
    of_tensor = [theirs.get(index, {}) for index in indices]
    numbers = [_numbers(opt, group, given, other) for group, given in zip(opt.groups, groups, strict=True)]
    for k, tensor in enumerate(opt._tensors):
        for name in opt.carried or ():
            numbers[tensor.group][name] = float(of_tensor[k].get(name, opt.groups[0]._carried[name]))
    state = {}
    for name, nest in opt.state.items():
        own = tree.leaves(opt._skeleton, nest, name)
        found = [_array(given.get(other.states.get(name)), array) for given, array in zip(of_tensor, own, strict=True)]
        state[name] = tree.build(opt._skeleton, iter(found))
    t = _count(opt, other, of_tensor)
    rest = {"rule": opt.rule, "accumulated": 0, "grad_scale": 1.0, "skipped": 0}
    state_dict.load(opt, rest | {"t": t, "groups": numbers, "state": state})


def _numbers(opt: "Optimizer", group: Group, given: Mapping[str, Any], other: Counterpart) -> dict[str, Any]:
    """Our hyper-parameters of a group of torch."""
    for name, value in other.fixed.items():
        if given.get(name, value) != value:
            raise ValueError(
                f"torch's {other.name} has {name}={given[name]!r}, where the rule {opt.rule!r} has {value!r}"
            )
    numbers = dict(other.absent)
    for name in group._arguments.keys() - other.absent.keys():
        value = given[other.arguments.get(name, name)]
        numbers[name] = tuple(map(float, value)) if isinstance(value, tuple | list) else float(value)
    return numbers


def _array(given: Any, own: Array) -> Array:
    """A state of torch; where it has none yet, as at the beginning."""
    return own if given is None else np.asarray(given)


def _count(opt: "Optimizer", other: Counterpart, of_tensor: list[Mapping[str, Any]]) -> int:
    """The number of steps done. torch's SGD keeps none: it is 0 before there is a momentum."""
    if not other.counts:
        return max(opt.t, int(any(of_tensor)))
    counts = {int(given["step"]) if given else 0 for given in of_tensor}
    if len(counts) != 1:
        raise ValueError(f"torch's state dict has parameters of {sorted(counts)} steps; here all have stepped alike")
    return counts.pop()
