"""Schedules by name and arguments, which a file can hold: those of :mod:`fusedoptim.schedules`, whole."""

from dataclasses import fields
from typing import Any

from fusedoptim import schedules
from fusedoptim.saved.fields import same_keys
from fusedoptim.schedules import Schedule

CLASSES = {name: getattr(schedules, name) for name in schedules.__all__ if name != "Schedule"}


def describe(schedule: Schedule) -> dict[str, Any] | None:
    """``{"name": …, **arguments}``; None of a function that is not of ours, or is made of such a one."""
    kind = type(schedule)
    if CLASSES.get(kind.__name__) is not kind:
        return None
    arguments = {field.name: _describe(getattr(schedule, field.name)) for field in fields(kind)}
    return None if None in arguments.values() else {"name": kind.__name__, **arguments}


def _describe(value: Any) -> Any:
    if isinstance(value, tuple):
        items = [_describe(item) for item in value]
        return None if None in items else items
    return describe(value) if callable(value) else value


def make(plain: Any) -> Schedule:
    """The schedule of a description that anybody may have written: its arguments are checked as those of a program."""
    if not isinstance(plain, dict) or plain.get("name") not in list(CLASSES):
        raise ValueError(f"a schedule must be one of {list(CLASSES)} by name, got {plain!r:.99}")
    kind = CLASSES[plain["name"]]
    arguments = {key: _make(key, value) for key, value in plain.items() if key != "name"}
    same_keys(f"the schedule {kind.__name__!r}", arguments, [field.name for field in fields(kind)])
    return kind(**arguments)  # type: ignore[no-any-return]


def _make(key: str, value: Any) -> Any:
    if key == "schedule":
        return make(value)
    if key == "schedules" and isinstance(value, list):
        return [make(item) for item in value]
    return value
