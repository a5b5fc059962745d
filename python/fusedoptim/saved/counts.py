"""How many steps each parameter has taken, as it is saved, and what is carried from them.

Parameters of a group that have always stepped together are a cohort: it has the counts, and ``"members"`` tells the
cohort of each parameter.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fusedoptim.core.checks import number
from fusedoptim.core.groups import Carried
from fusedoptim.saved.fields import count, same_keys

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Counts, Stateful

COUNTS = ("group", "steps", "averages")


def view(opt: "Stateful") -> dict[str, Any]:
    cohorts, members = opt._counts()
    carried = [own.get(steps, {}) for own, (_, steps, _) in zip(opt._carried_now(), cohorts, strict=True)]
    return {
        "cohorts": [dict(zip(COUNTS, counts, strict=True)) | own for counts, own in zip(cohorts, carried, strict=True)],
        "members": {tensor.path: cohort for tensor, (cohort, _) in zip(opt._tensors, members, strict=True)},
    }


def read(opt: "Stateful", saved: Mapping[str, Any], t: int) -> tuple[list["Counts"], list[int], list[Carried]]:
    """The counts of each cohort, the cohort of each parameter, and what each carries."""
    if not isinstance(saved["cohorts"], list):
        raise TypeError('the state dict\'s "cohorts" must be a list')
    groups, names = len(opt.groups), (*COUNTS, *(opt.carried or {}))
    cohorts: list[Counts] = []
    carried: list[Carried] = []
    for numbers in saved["cohorts"]:
        same_keys('the state dict\'s "cohorts"', numbers, names)
        group, steps, averages = (count(f'the state dict\'s "{name}"', numbers[name]) for name in COUNTS)
        if group >= groups or max(steps, averages) > t:
            raise ValueError(f"the state dict has a cohort {numbers!r}, of {groups} groups and {t} steps")
        cohorts.append((group, steps, averages))
        own = {name: number(name, numbers[name], "non_negative") for name in opt.carried or {}}
        carried.append({steps: own})
    words = 'the state dict\'s "members"'
    same_keys(words, saved["members"], [tensor.path for tensor in opt._tensors])
    members = [count(words, saved["members"][tensor.path]) for tensor in opt._tensors]
    for tensor, member in zip(opt._tensors, members, strict=True):
        if member >= len(cohorts) or cohorts[member][0] != tensor.group:
            raise ValueError(f"the state dict has params{tensor.path} in cohort {member}, which is not of its group")
    return cohorts, members, carried


def of_groups(opt: "Stateful", saved: Mapping[str, Any], t: int) -> dict[str, Any]:
    """The same of a state dict of former versions, in which all parameters of a group have taken t steps.

    ASGD's groups had their own number of them.
    """
    if not isinstance(saved["groups"], list) or not all(isinstance(group, Mapping) for group in saved["groups"]):
        raise TypeError(f'the state dict\'s "groups" must be a list of dicts, got {saved["groups"]!r}')
    names = {"steps", *(opt.carried or {})}
    cohorts = [
        {"group": k, "steps": t, "averages": t} | {name: value for name, value in group.items() if name in names}
        for k, group in enumerate(saved["groups"])
    ]
    groups = [{name: value for name, value in group.items() if name not in names} for group in saved["groups"]]
    return {
        **saved,
        "groups": groups,
        "cohorts": cohorts,
        "members": {tensor.path: tensor.group for tensor in opt._tensors},
    }
