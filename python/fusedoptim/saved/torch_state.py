"""State dicts of torch.optim, to go on there, or to come from there.

A state dict of torch numbers the parameters in the order in which its optimizer was given them; here that is the order
of the leaves.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim.core import tree
from fusedoptim.core.groups import Group
from fusedoptim.core.storage import Array, Kept, Storage
from fusedoptim.core.tensors import Tensor
from fusedoptim.saved import state_dict
from fusedoptim.saved.fields import Saved, same_keys

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Stateful


def maximize(opt: "Stateful") -> dict[str, Any]:
    return {"maximize": opt._options.maximize}


@dataclass(frozen=True)
class Counterpart:
    """What a rule is called in torch: its class, state arrays, and arguments."""

    name: str
    states: dict[str, str]
    of_vectors: dict[str, str] | None = (
        None  # state arrays of a parameter with less than two axes, where they are others
    )
    carried: dict[str, str] = field(default_factory=dict)  # numbers of a group, which torch keeps for each parameter
    derived: Callable[[Mapping[str, Any], int], dict[str, float]] | None = None  # what torch keeps besides
    arguments: dict[str, str] = field(default_factory=dict)  # those with another name
    fixed: dict[str, Any] = field(default_factory=dict)  # theirs, that make it this rule
    marks: dict[str, Any] = field(default_factory=dict)  # as `fixed`, but no arguments; older versions have none
    of_all: Callable[["Stateful"], dict[str, Any]] = maximize  # theirs, which here no group has of its own
    absent: dict[str, Any] = field(default_factory=dict)  # ours, and the value that torch means
    counts: bool = True  # whether it counts its steps
    begun: bool = False  # whether it has states before its first step

    def states_of(self, tensor: Tensor) -> dict[str, str]:
        return self.states if self.of_vectors is None or tensor.weight.ndim > 1 else self.of_vectors

    def names_of(self, opt: "Stateful", group: Group) -> set[str]:
        """All that its groups have by which its steps differ, in torch's words."""
        ours = {self.arguments.get(name, name) for name in group._arguments if name not in self.absent}
        return ours | self.fixed.keys() | self.marks.keys() | self.of_all(opt).keys()


def asgd_rates(arguments: Mapping[str, Any], steps: int) -> dict[str, float]:
    """The rate and the weight of the average, which torch computes for the next step."""
    lr, lambd, alpha, t0 = (arguments[name] for name in ("lr", "lambd", "alpha", "t0"))
    return {"eta": lr / (1 + lambd * lr * steps) ** alpha, "mu": 1 / max(1, steps - t0)}


def muon_direction(opt: Any) -> dict[str, Any]:
    if opt._options.maximize:
        raise ValueError("torch's Muon has no maximize, it means False; here it is True")
    of = opt._direction
    return {
        "nesterov": of.nesterov,
        "ns_coefficients": of.coefficients,
        "ns_steps": of.steps,
        "eps": of.eps,
        "adjust_lr_fn": of.adjust_lr_fn,
    }


ADAM = {"m": "exp_avg", "v": "exp_avg_sq"}
AMSGRAD = ADAM | {"v_max": "max_exp_avg_sq"}
NO_ROOT: dict[str, float] = {"eps_root": 0.0, "bias_correction": True}
BUFFER = {"m": "momentum_buffer"}
MU_PRODUCT = {"mu_product": "mu_product"}
COUPLED, DECOUPLED = {"decoupled_weight_decay": False}, {"decoupled_weight_decay": True}


def rmsprop(states: dict[str, str], **fixed: Any) -> Counterpart:
    states = {"v": "square_avg"} | states
    return Counterpart("RMSprop", states, arguments={"beta": "alpha"}, fixed=fixed, absent={"eps_root": 0.0})


# By rule, or by class where that has another's rule.
COUNTERPARTS = {
    "sgd": Counterpart("SGD", {}, fixed={"momentum": 0.0, "nesterov": False}, counts=False),
    "heavy_ball": Counterpart("SGD", BUFFER, fixed={"nesterov": False}, counts=False),
    "nesterov_momentum": Counterpart("SGD", BUFFER, fixed={"nesterov": True}, counts=False),
    "asgd": Counterpart("ASGD", {"ax": "ax"}, derived=asgd_rates),
    "rprop": Counterpart("Rprop", {"prev": "prev", "step": "step_size"}),
    "adagrad": Counterpart("Adagrad", {"v": "sum"}, absent={"eps_root": 0.0}, begun=True),
    "adadelta": Counterpart("Adadelta", {"v": "square_avg", "d": "acc_delta"}),
    "rmsprop": rmsprop({}, centered=False, momentum=0.0),
    "rmsprop_centered": rmsprop({"m": "grad_avg"}, centered=True, momentum=0.0),
    "rmsprop_momentum": rmsprop({"b": "momentum_buffer"}, centered=False),
    "rmsprop_centered_momentum": rmsprop({"m": "grad_avg", "b": "momentum_buffer"}, centered=True),
    "adam": Counterpart("Adam", ADAM, fixed={"amsgrad": False}, marks=COUPLED, absent=NO_ROOT),
    "adamw": Counterpart("AdamW", ADAM, fixed={"amsgrad": False}, marks=DECOUPLED, absent=NO_ROOT),
    "adam_amsgrad": Counterpart("Adam", AMSGRAD, fixed={"amsgrad": True}, marks=COUPLED, absent=NO_ROOT),
    "adamw_amsgrad": Counterpart("AdamW", AMSGRAD, fixed={"amsgrad": True}, marks=DECOUPLED, absent=NO_ROOT),
    "adamax": Counterpart("Adamax", {"m": "exp_avg", "u": "exp_inf"}),
    "nadam": Counterpart("NAdam", ADAM, carried=MU_PRODUCT, fixed=COUPLED),
    "nadam_decoupled": Counterpart("NAdam", ADAM, carried=MU_PRODUCT, fixed=DECOUPLED),
    "radam": Counterpart("RAdam", ADAM, fixed=COUPLED),
    "radam_decoupled": Counterpart("RAdam", ADAM, fixed=DECOUPLED),
    "SparseAdam": Counterpart("SparseAdam", ADAM),
    "adafactor": Counterpart(
        "Adafactor", {"row_var": "row_var", "col_var": "col_var"}, of_vectors={"row_var": "variance"}
    ),
    "muon": Counterpart("Muon", BUFFER, of_all=muon_direction, counts=False),
}
# By these names of hyper-parameters and arrays a state dict shows whose it is.
DISTINCT = {name for other in COUNTERPARTS.values() for name in other.fixed | other.marks}
STATES = {
    name for other in COUNTERPARTS.values() for states in (other.states, other.carried) for name in states.values()
}


def counterpart(opt: "Stateful") -> Counterpart:
    for name in (type(opt).__name__, opt.rule):
        if name in COUNTERPARTS:
            return COUNTERPARTS[name]
    raise TypeError(f"torch.optim has nothing like {type(opt).__name__} (the rule {opt.rule!r})")


def save(opt: "Stateful") -> dict[str, Any]:
    import torch

    other = counterpart(opt)
    groups = []
    for k, group in enumerate(opt.groups):
        members = [i for i, tensor in enumerate(opt._tensors) if tensor.group == k]
        # torch knows best what else its groups have.
        (theirs,) = getattr(torch.optim, other.name)([torch.zeros(1, 1)], **_arguments(opt, group, other)).param_groups
        groups.append({name: value for name, value in theirs.items() if name != "params"} | {"params": members})
    states: dict[int, dict[str, Any]] = {}
    cohorts, cohort_of = opt._counts()
    for k, (tensor, (cohort, _)) in enumerate(zip(opt._tensors, cohort_of, strict=True)):
        steps = cohorts[cohort][1]
        if steps == 0 and not other.begun:
            continue
        given, carried = groups[tensor.group], opt._carried_now()[cohort].get(steps, {})
        arrays = {theirs: tensor.as_float(ours, opt.rule) for ours, theirs in other.states_of(tensor).items()}
        numbers = {"step": float(steps)} if other.counts else {}
        numbers |= {theirs: float(carried[ours]) for ours, theirs in other.carried.items()}
        numbers |= other.derived(given, steps) if other.derived else {}
        states[k] = {name: torch.from_numpy(array) for name, array in arrays.items()}
        states[k] |= {name: torch.tensor(number) for name, number in numbers.items()}
    return {"state": states, "param_groups": groups}


def _arguments(opt: "Stateful", group: Group, other: Counterpart) -> dict[str, Any]:
    arguments = other.fixed | other.of_all(opt)
    for name, value in group._arguments.items():
        if name not in other.absent:
            arguments[other.arguments.get(name, name)] = value(opt.t + 1) if callable(value) else value
        elif value != other.absent[name]:
            raise ValueError(
                f"torch's {other.name} has no {name}, it means {other.absent[name]!r}; here it is {value!r}"
            )
    return arguments


def load(opt: "Stateful", saved: Mapping[str, Any], hyper: str) -> None:
    """Checks everything, then changes the optimizer."""
    other = counterpart(opt)
    same_keys("torch's state dict", saved, ("state", "param_groups"))
    theirs, groups = saved["state"], saved["param_groups"]
    sizes = [sum(tensor.group == k for tensor in opt._tensors) for k in range(len(opt.groups))]
    if not _is_of(theirs, groups) or [len(group["params"]) for group in groups] != sizes:
        raise ValueError(f"torch's state dict must have groups of {sizes} parameters, got {groups!r}")
    indices = [index for group in groups for index in group["params"]]
    of_tensor = [{key: value for key, value in theirs.get(i, {}).items() if value is not None} for i in indices]
    numbers = [_numbers(opt, group, given, other) for group, given in zip(opt.groups, groups, strict=True)]
    for tensor, given in zip(opt._tensors, of_tensor, strict=True):
        if given:  # one that is frozen, or was not used yet, has nothing
            _check_names(tensor, given, other)
    state = {}
    for kept in Storage(None, {}).kept(opt.rule, []):
        found = (
            _array(given.get(other.states_of(tensor).get(kept.name)), tensor, kept, opt._slots)
            for given, tensor in zip(of_tensor, opt._tensors, strict=True)
        )
        state[kept.name] = tree.build(opt._skeleton, found)
    counted = [_counted(opt, tensor, given, other) for tensor, given in zip(opt._tensors, of_tensor, strict=True)]
    cohorts = list({tuple(each.items()): each for each in counted}.values())
    made = Saved(
        rule=opt.rule,
        t=max((each["steps"] for each in counted), default=0),
        accumulated=0,
        grad_scale=1.0,
        skipped=0,
        groups=numbers,
        cohorts=cohorts,
        members={tensor.path: cohorts.index(each) for tensor, each in zip(opt._tensors, counted, strict=True)},
        state=state,
    )
    state_dict.restore(opt, made, None, hyper, True)


def _is_of(state: Any, groups: Any) -> bool:
    """Whether it has the form of a state dict."""
    of_groups = isinstance(groups, list) and all(
        isinstance(group, Mapping) and isinstance(group.get("params"), list) for group in groups
    )
    return of_groups and isinstance(state, Mapping) and all(isinstance(given, Mapping) for given in state.values())


def _numbers(opt: "Stateful", group: Group, given: Mapping[str, Any], other: Counterpart) -> dict[str, Any]:
    """What a group of torch has, as our hyper-parameters."""
    names = other.names_of(opt, group)
    if differ := (names - given.keys() - other.marks.keys()) | (given.keys() & DISTINCT - names):
        raise ValueError(f"torch's state dict is not of its {other.name}, by {sorted(differ)}")
    for name, value in (other.fixed | other.marks | other.of_all(opt)).items():
        if given.get(name, value) != value:
            raise ValueError(f"torch's state dict has {name}={given[name]!r}, where {type(opt).__name__} has {value!r}")
    numbers = dict(other.absent)
    for name in group._arguments.keys() - other.absent.keys():
        value = given[other.arguments.get(name, name)]
        numbers[name] = tuple(map(_number, value)) if isinstance(value, tuple | list) else float(value)
    return numbers


def _number(given: Any) -> float | None:
    return None if given is None else float(given)


def _check_names(tensor: Tensor, given: Mapping[str, Any], other: Counterpart) -> None:
    names = {*other.states_of(tensor).values(), *other.carried.values(), *["step"] * other.counts}
    if differ := (names - given.keys()) | (given.keys() & STATES - names):
        raise ValueError(f"torch's state of params{tensor.path} is not of its {other.name}, by {sorted(differ)}")


def _array(given: Any, tensor: Tensor, kept: Kept, slots: int) -> Array:
    """A state of torch, or zeros where it has none yet."""
    if given is None:
        return np.zeros(*kept.array(tensor.weight.shape, tensor.weight.dtype, slots))
    if str(getattr(given, "dtype", "")) == "torch.bfloat16":  # which NumPy does not have
        given = given.float()
    return np.asarray(given)


def _counted(opt: "Stateful", tensor: Tensor, given: Mapping[str, Any], other: Counterpart) -> dict[str, Any]:
    """The steps that a parameter has taken, and what it carries. torch's SGD keeps none: 0 before there is a momentum."""
    steps = float(np.asarray(given.get("step", 0))) if other.counts else max(opt.t, int(bool(given)))
    if steps < 0 or not float(steps).is_integer():
        raise ValueError(f"torch's state of params{tensor.path} has {steps!r} steps, which must be a whole number")
    carried = {ours: float(given.get(name, (opt.carried or {})[ours])) for ours, name in other.carried.items()}
    return {"group": tensor.group, "steps": int(steps), "averages": int(steps)} | (opt.carried or {}) | carried
