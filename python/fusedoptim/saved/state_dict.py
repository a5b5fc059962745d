"""An optimizer as a plain dict, and back."""

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Group
from fusedoptim.core.lock import wholly
from fusedoptim.core.storage import Array, alike, bits
from fusedoptim.core.tensors import drop_sums, write_copies
from fusedoptim.numerics.formats import dtype_name
from fusedoptim.saved import counts, named_schedules
from fusedoptim.saved.convert import ALSO, convert, may_differ
from fusedoptim.saved.fields import NEW, OPTIONAL, STATE_DICT, Saved, count, same_keys
from fusedoptim.schedules import Plateau, Schedule

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Counts, Stateful

# Whose hyper-parameters count, and what is said where they differ.
WHOSE = {
    "saved": 'the saved hyper-parameters replace those of the program, which hyper="program" keeps',
    "program": 'the hyper-parameters of the program replace the saved ones, which hyper="saved" takes',
}


def save(opt: "Stateful") -> dict[str, Any]:
    saved = view(opt)
    return {**saved, "state": {name: tree.map_leaves(np.copy, nest) for name, nest in saved["state"].items()}}


def view(opt: "Stateful") -> Saved:
    """The state dict with the arrays of the optimizer themselves, for those who only read them."""
    cohorts, members = counts.view(opt)
    return {
        "rule": opt.rule,
        "t": opt.t,
        "accumulated": opt.accumulated,
        "grad_scale": opt._grad_scale if opt.accumulated else 1.0,  # that of the sums
        "skipped": opt.skipped,
        "groups": [_described(group) for group in opt.groups],
        "cohorts": cohorts,
        "members": members,
        "state": dict(opt.state),
    }


def _described(group: Group) -> dict[str, Any]:
    """Its numbers, and the name and arguments of a schedule."""
    lr = {"lr": {"schedule": named_schedules.describe(group.lr)}} if callable(group.lr) else {}
    return lr | group._numbers()


def load(opt: "Stateful", saved: Mapping[str, Any], hyper: str, converts: bool) -> None:
    same_keys("the state dict", saved, STATE_DICT, optional=NEW)
    restore(opt, cast(Saved, saved), None, hyper, converts)


def restore(opt: "Stateful", saved: Saved, weights: Any, hyper: str, converts: bool) -> None:
    """Checks everything, says what is overruled, then changes the optimizer, and its weights where a nest of them is given.

    `hyper` says whose hyper-parameters count, `converts` whether arrays may be of other bits.
    """
    if saved["rule"] != opt.rule:
        raise ValueError(f"the state dict is of the rule {saved['rule']!r}, this optimizer of {opt.rule!r}")
    t, skipped = (count(f'the state dict\'s "{name}"', saved[name]) for name in ("t", "skipped"))
    if saved["accumulated"] not in range(opt._accumulate):
        most = opt._accumulate
        raise ValueError(f"the state dict has {saved['accumulated']!r} gradients summed, of {most} an update")
    name = 'the state dict\'s "grad_scale"'
    grad_scale = checks.number(name, saved["grad_scale"], "positive", otherwise=ValueError)
    if not saved.keys() >= NEW:
        saved = counts.of_groups(opt, saved, t)
    if converts:
        state, weights = convert(opt, saved["state"], weights)
        saved = cast(Saved, {**saved, "state": state})
    theirs = _groups(opt, saved["groups"], t, hyper)
    cohorts, members, carried = counts.read(opt, saved, t)
    groups, said = _chosen(opt, theirs, hyper)
    copies, more = _copies(opt, saved, weights, cohorts)
    rates = [group.lr for group in opt.groups]
    frozen = [tensor for tensor, (_, is_frozen) in zip(opt._tensors, opt._plan.members, strict=True) if is_frozen]
    if said or more:
        warnings.warn("; ".join(said + more), stacklevel=4)  # where the program calls the optimizer

    def commit() -> None:
        for own, array in copies:
            np.copyto(own, array)
        write_copies(opt._tensors)
        drop_sums(frozen)
        for group, replaced, lr in zip(opt.groups, groups, rates, strict=True):
            group._set(replaced._arguments)
            if isinstance(lr, Plateau) and isinstance(replaced.lr, Plateau):
                vars(lr).update(vars(replaced.lr))  # stays the object that it is: the program tells it the metric
                group.lr = lr
        opt._plan.set_counts(cohorts, members)
        opt._carried[:] = carried
        opt._plan.counters = _core.new_counters(t, skipped, int(saved["accumulated"]), opt.last_grad_norm)
        opt._grad_scale = opt._options.grad_scale = grad_scale

    wholly(commit)


# -- groups ------------------------------------------------------------------------------------------------------------


def _groups(opt: "Stateful", saved: Any, t: int, hyper: str) -> list[Group]:
    """Those of a state dict, checked."""
    if not isinstance(saved, list) or len(saved) != len(opt.groups):
        raise ValueError(f'the state dict\'s "groups" must be a list of {len(opt.groups)}, got {saved!r}')
    groups = []
    for group, given in zip(opt.groups, saved, strict=True):
        same_keys('the state dict\'s "groups"', given, group._numbers(), optional={"lr"})
        numbers = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        if isinstance(lr := numbers.get("lr"), Mapping):
            numbers["lr"] = _schedule(opt.rule, group, lr, t, hyper)
        groups.append(group.replaced(numbers))
    return groups


def _schedule(rule: str, group: Group, lr: Mapping[str, Any], t: int, hyper: str) -> float | Schedule:
    """The one of that name; where it has none, the present one."""
    same_keys("a learning rate", lr, ("schedule",))
    if lr["schedule"] is not None:
        schedule = named_schedules.make(lr["schedule"])
        _core.check_hyper(rule, "lr", schedule(t + 1))
        return schedule
    if callable(group.lr) or hyper == "program":
        return group.lr
    raise ValueError('its learning rate is a function that has no name; set opt.lr to it, or load with hyper="program"')


def _chosen(opt: "Stateful", theirs: list[Group], hyper: str) -> tuple[list[Group], list[str]]:
    """The groups whose hyper-parameters count, and what is overruled."""
    pairs = list(zip(opt.groups, theirs, strict=True))
    differ = [
        f"groups[{k}].{name} is {saved._arguments[name]!r} in the saved, {own!r} in the program"
        for k, (group, saved) in enumerate(pairs)
        for name, own in group._arguments.items()
        if not np.array_equal(_settings(own), _settings(saved._arguments[name]))
    ]
    said = [f"{WHOSE[hyper]}: {', '.join(differ)}"] if differ else []
    return theirs if hyper == "saved" else [group.replaced({}) for group in opt.groups], said


def _settings(value: Any) -> Any:
    """A hyper-parameter as it was set: of a schedule, without what a Plateau has come to since."""
    described = named_schedules.describe(value) if callable(value) else None
    return value if described is None else _unobserved(described)


def _unobserved(described: Any) -> Any:
    if isinstance(described, list):
        return list(map(_unobserved, described))
    if not isinstance(described, dict):
        return described
    came_to = ("lr", "best", "waited") if described["name"] == "Plateau" else ()
    return {key: _unobserved(value) for key, value in described.items() if key not in came_to}


# -- arrays ------------------------------------------------------------------------------------------------------------


def _copies(
    opt: "Stateful", saved: Saved, weights: Any, cohorts: list["Counts"]
) -> tuple[list[tuple[Array, Any]], list[str]]:
    """The arrays to change and what to copy into each, and what is left out or made up."""
    state: Any = saved["state"]
    said: list[str] = []
    differ = set(state) ^ set(opt.state) if isinstance(state, Mapping) else set()
    if differ and may_differ(differ):
        raise ValueError(f'the state dict\'s "state" differs in {sorted(differ)}{ALSO}')
    same_keys('the state dict\'s "state"', state, opt.state, optional=OPTIONAL)
    nests = {name: state[name] for name in opt.state if name in state}
    nests |= {} if weights is None else {"params": weights}
    copies: list[tuple[Array, Any]] = []
    for name, nest in nests.items():
        for tensor, array in zip(opt._tensors, tree.leaves(opt._skeleton, nest, name), strict=True):
            own, path = tensor.states.get(name, tensor.weight), name + tensor.path
            checks.unmasked(path, array)
            is_array = isinstance(array, np.ndarray)
            if not is_array or array.shape != own.shape or not alike(array.dtype, own.dtype):
                also = ALSO if is_array and not alike(array.dtype, own.dtype) else ""
                raise ValueError(
                    f"{path} must be an array of {dtype_name(own.dtype)} and shape {own.shape}, got {array!r}{also}"
                )
            if not own.flags.writeable:
                checks.read_only(path)
            copies.append((bits(own), bits(array)))
    if "grad_sum" in opt.state and "grad_sum" not in state:
        if saved["accumulated"]:
            raise ValueError(f'the state dict has {saved["accumulated"]} gradients summed, but no "grad_sum"')
        copies += [(tensor.states["grad_sum"], 0) for tensor in opt._tensors]
    if "ema" in state and "ema" not in opt.state:
        said.append("the saved average of the weights is left out, for this optimizer keeps none")
    if "ema" in opt.state and "ema" not in state:
        said.append("the average of the weights begins anew, for none was saved")
        cohorts[:] = [(group, steps, 0) for group, steps, _ in cohorts]
    return copies, said
