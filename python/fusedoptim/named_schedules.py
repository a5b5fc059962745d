"""Schedules by name and arguments, which a file can hold: those of :mod:`fusedoptim.schedules`."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fusedoptim import schedules, state_dict
from fusedoptim.schedules import Plateau, Schedule

MAKERS: dict[str, Callable[..., Schedule]] = {
    name: getattr(schedules, name) for name in schedules.__all__ if name != "Schedule"
}
NAMES = {getattr(schedules, f"_{name}"): name for name in MAKERS if name != "Plateau"}
WHOLE = {"boundaries", "patience", "waited"}


def describe(schedule: Schedule) -> dict[str, Any] | None:
    """``{"name": …, **arguments}``; None where it has no name, or an argument is no plain number."""
    if type(schedule) is Plateau:
        name, arguments = "Plateau", vars(schedule)
    elif isinstance(schedule, partial) and schedule.func in NAMES:
        name, arguments = NAMES[schedule.func], schedule.keywords
    else:
        return None
    plain = {key: _describe(value) for key, value in arguments.items()}
    return {"name": name} | plain if None not in plain.values() and _quick(name, arguments) else None


def _describe(value: Any) -> Any:
    if isinstance(value, tuple):
        items = [_describe(item) for item in value]
        return None if None in items else items
    if callable(value):
        return describe(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def make(plain: Any) -> Schedule:
    """The schedule of a description that anybody may have written."""
    if not isinstance(plain, dict) or plain.get("name") not in list(MAKERS):
        raise ValueError(f"a schedule must be one of {list(MAKERS)} by name, got {plain!r:.99}")
    name, maker = plain["name"], MAKERS[plain["name"]]
    arguments = {key: _make(key, value) for key, value in plain.items() if key != "name"}
    state_dict.same_keys(f"the schedule {name!r}", arguments, inspect.signature(maker).parameters)
    if not _quick(name, arguments):
        raise ValueError(f"growth must be 1 or a number >= 1.0001, got {arguments['growth']!r}")
    return maker(**arguments)


def _make(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_make(key, item) for item in value]
    if isinstance(value, dict):
        return make(value)
    if key in WHOLE:
        return state_dict.count(key, value)
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise ValueError(f"{key} must be a number, got {value!r}")
    return float(value)  # a power of whole numbers might fill the memory


def _quick(name: str, arguments: dict[str, Any]) -> bool:
    """Whether it is soon computed at any t: restarts are counted one by one, unless all are as long."""
    return name != "restarts" or arguments["growth"] == 1 or arguments["growth"] >= 1.0001
