"""What is saved of an optimizer: the one list of it, which state dicts, files and torch's state dicts share."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, TypedDict

from fusedoptim.core.checks import whole


class Saved(TypedDict):
    """A state dict."""

    rule: str
    t: int
    accumulated: int
    grad_scale: float
    skipped: int
    groups: list[dict[str, Any]]
    cohorts: list[dict[str, Any]]  # see counts.py
    members: dict[str, int]
    state: dict[str, Any]


STATE_DICT = tuple(Saved.__annotations__)
NEW = {"cohorts", "members"}  # which former versions did not have
OPTIONAL = {
    "grad_sum",
    "ema",
}  # in the state: those of the keywords `accumulate` and `ema`, which the one or the other may lack
IN_MANIFEST = tuple(name for name in STATE_DICT if name != "state")  # whose arrays a file has on their own
MANIFEST = ("format", "version", "optimizer", *IN_MANIFEST, "metadata", "crc32")


def same_keys(name: str, got: Any, wanted: Iterable[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(got, Mapping):
        raise TypeError(f"{name} must be a dict with the keys {sorted(wanted)}, got {type(got).__name__}")
    if got.keys() - optional != set(wanted) - optional:
        raise ValueError(f"{name} must have the keys {sorted(wanted)}, got {sorted(got, key=str)}")


def count(name: str, n: Any) -> int:
    """A number of steps, which fits into a double: that is what a step makes of t."""
    return whole(name, n, least=0, bits=53)
