"""Schedules by name and arguments, which a file can hold: those of :mod:`fusedoptim.schedules`."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from fusedoptim import schedules
from fusedoptim.core.checks import number_or_nan
from fusedoptim.saved.fields import same_keys
from fusedoptim.schedules import Plateau, Schedule

MAKERS: dict[str, Callable[..., Schedule]] = {
    name: getattr(schedules, name) for name in schedules.__all__ if name != "Schedule"
}
NAMES = {getattr(schedules, f"_{name}"): name for name in MAKERS if name != "Plateau"}
WHOLE = {"boundaries", "patience", "waited"}


def describe(schedule: Schedule) -> dict[str, Any] | None:
    """``{"name": …, **arguments}``; None where it has no name, or an argument is none that :func:`make` takes."""
    if type(schedule) is Plateau:
        name, arguments = "Plateau", vars(schedule)
    elif isinstance(schedule, partial) and schedule.func in NAMES:
        name, arguments = NAMES[schedule.func], schedule.keywords
    else:
        return None
    plain = {key: _describe(key, value) for key, value in arguments.items()}
    return {"name": name} | plain if None not in plain.values() and _quick(name, arguments) else None


def _describe(key: str, value: Any) -> Any:
    if isinstance(value, tuple):
        items = [_describe(key, item) for item in value]
        return None if None in items else items
    if callable(value):
        return describe(value)
    return value if _fits(key, value) else None


def make(plain: Any) -> Schedule:
    """The schedule of a description that anybody may have written."""
    if not isinstance(plain, dict) or plain.get("name") not in list(MAKERS):
        raise ValueError(f"a schedule must be one of {list(MAKERS)} by name, got {plain!r:.99}")
    name, maker = plain["name"], MAKERS[plain["name"]]
    arguments = {key: _make(key, value) for key, value in plain.items() if key != "name"}
    same_keys(f"the schedule {name!r}", arguments, inspect.signature(maker).parameters)
    if not _quick(name, arguments):
        raise ValueError(f"growth must be 1 or a number >= 1.0001, got {arguments['growth']!r}")
    return maker(**arguments)


def _make(key: str, value: Any) -> Any:
    if key == "schedule":
        return make(value)
    if key in ("schedules", "boundaries"):
        if not isinstance(value, list):
            raise ValueError(f"{key} must be a list, got {value!r:.99}")
        return [make(item) if key == "schedules" else _number(key, item) for item in value]
    return _number(key, value)


def _number(key: str, value: Any) -> float:
    if not _fits(key, value):
        raise ValueError(f"{key} must be a {'whole' if key in WHOLE else 'finite'} number, got {value!r:.99}")
    return int(value) if key in WHOLE else float(value)  # a power of whole numbers might fill the memory


def _fits(key: str, value: Any) -> bool:
    """Whether it is a number as a schedule's argument of this name may be in a file."""
    if key in WHOLE:
        return type(value) is int and 0 <= value < 2**53
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return math.isfinite(number_or_nan(value)) or (key == "best" and value == math.inf)


def _quick(name: str, arguments: dict[str, Any]) -> bool:
    """Whether it is soon computed at any t: restarts are counted one by one, unless all are as long."""
    return name != "restarts" or arguments["growth"] == 1 or arguments["growth"] >= 1.0001
