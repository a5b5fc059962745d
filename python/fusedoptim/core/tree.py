"""Nests of dicts, lists, tuples and dataclasses, with arrays as leaves.

A *skeleton* is the shape of a nest, with `None` for each leaf. It outlives changes that a user makes to the nest. That of
a named tuple has its class; that of a dataclass is a :class:`Record`.
"""

import json
from collections.abc import Callable, Iterable, Iterator, ValuesView
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

DEEPEST = 100  # levels of a nest
_SEQUENCE = (list, tuple)


class Dataclass(Protocol):
    """An instance of any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Attribute(str):
    """A field of a dataclass in the place of a leaf: equal to its name, and printed as Python would get at it."""

    __slots__ = ()


@dataclass(frozen=True)
class Record:
    """The skeleton of a dataclass: those of its fields that are arrays or nests, and the other fields, as they are."""

    kind: type
    fields: dict[Attribute, Any]
    others: dict[str, Any]


def skeleton(nest: Any, name: str = "nest", room: int = DEEPEST) -> Any:
    """The nest with every leaf replaced by None; one that is too deep, as if it were inside itself, is an error."""
    if not _is_nest(nest):
        return None
    if room == 0:
        raise ValueError(f"{name} must be a nest of at most {DEEPEST} levels; is a part of it inside itself?")
    if isinstance(nest, dict):
        return {key: skeleton(child, name, room - 1) for key, child in nest.items()}
    if isinstance(nest, list | tuple):
        kind = list if isinstance(nest, list) else type(nest) if hasattr(nest, "_fields") else tuple
        return _sequence(kind, (skeleton(child, name, room - 1) for child in nest))
    values = {key: getattr(nest, key, None) for key in _field_names(nest)}
    others = {key: value for key, value in values.items() if _is_setting(value)}
    parts = {Attribute(key): skeleton(values[key], name, room - 1) for key in values if key not in others}
    return Record(type(nest), parts, others)


def keys(skeleton: Any) -> list[tuple[Any, ...]]:
    """The place of each leaf: the keys and indices that lead to it."""
    if skeleton is None:
        return [()]
    return [(key, *rest) for key, child in _items(skeleton) for rest in keys(child)]


def path(key: tuple[Any, ...]) -> str:
    """A place as Python would index it: `["layer"][0].w`."""
    return "".join(map(index, key))


def leaves(skeleton: Any, nest: Any, name: str) -> list[Any]:
    """The leaves of a nest that has this skeleton, in its order; a nest that has not is an error about `name`."""
    if skeleton is None:
        return [nest]
    found = []
    for (key, shape), child in zip(_items(skeleton), _children(skeleton, nest, name), strict=True):
        found += [child] if shape is None else leaves(shape, child, name + index(key))
    return found


def build(skeleton: Any, leaves: Iterator[Any]) -> Any:
    """The nest of this skeleton with these leaves."""
    if skeleton is None:
        return next(leaves)
    if isinstance(skeleton, dict):
        return {key: build(child, leaves) for key, child in skeleton.items()}
    if isinstance(skeleton, Record):
        made: Any = object.__new__(skeleton.kind)  # its __init__ may want, or do, anything
        parts = {str(key): build(child, leaves) for key, child in skeleton.fields.items()}
        for key, value in (skeleton.others | parts).items():
            object.__setattr__(made, key, value)  # also of a frozen one
        return made
    return _sequence(type(skeleton), (build(child, leaves) for child in skeleton))


def map_leaves(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with `function` applied to every leaf."""
    shape = skeleton(nest)
    return build(shape, map(function, leaves(shape, nest, "nest")))


def containers(skeleton: Any, nest: Any, name: str) -> list[tuple[str, Any, list[Any], list[Any]]]:
    """Of each container that can be changed: how an error calls it, itself, its keys, and what is under each."""
    if skeleton is None:
        return []
    shapes = dict(_items(skeleton))
    held = contents(nest, shapes)
    found = [] if isinstance(nest, tuple) else [(name, nest, list(held), list(held.values()))]
    for key, child in held.items():
        found += containers(shapes[key], child, name + index(key))
    return found


def contents(container: Any, fields: Iterable[Any]) -> dict[Any, Any]:
    """What a container has, by key or index; of a dataclass, those fields."""
    if isinstance(container, dict):
        return container
    if isinstance(container, list | tuple):
        return dict(enumerate(container))
    return {key: getattr(container, key, None) for key in fields}


def holds_arrays(value: Any) -> bool:
    """Whether it is an array, or a nest that may have some; a pair of numbers is none."""
    parts = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(part, np.ndarray) or _is_nest(part) for part in parts)


def _children(skeleton: Any, nest: Any, name: str) -> list[Any]:
    """What is on the outermost level of a nest, in the order of the skeleton."""
    if isinstance(skeleton, dict):
        if isinstance(nest, dict) and nest.keys() == skeleton.keys():  # some make up what they lack, when asked for it
            return [nest[key] for key in skeleton]
    elif isinstance(skeleton, Record):
        if type(nest) is skeleton.kind or _has_fields(nest, skeleton):
            return [getattr(nest, key, None) for key in skeleton.fields]
    elif isinstance(nest, _SEQUENCE) and len(nest) == len(skeleton):
        order = getattr(skeleton, "_fields", None)
        if order is None or getattr(nest, "_fields", order) == order:
            return list(nest)
    raise _mismatch(skeleton, nest, name)


def _has_fields(nest: Any, record: Record) -> bool:
    """Whether it is another dataclass with the parts of this one, and no other arrays."""
    return record.fields.keys() <= set(_field_names(nest)) <= record.fields.keys() | record.others.keys()


def _field_names(nest: Any) -> list[str]:
    """Those of a dataclass's instance."""
    return [field.name for field in fields(nest)] if is_dataclass(nest) and not isinstance(nest, type) else []


def _is_nest(value: Any) -> bool:
    return isinstance(value, dict | list | tuple) or (is_dataclass(value) and not isinstance(value, type))


def _is_setting(value: Any) -> bool:
    """Whether a field of a dataclass is surely no weight, and has none."""
    if value is None or isinstance(value, int | float | str):
        return not isinstance(value, np.generic)
    return callable(value) and not _is_nest(value)


def _sequence(kind: Any, children: Iterator[Any]) -> Any:
    return kind._make(children) if hasattr(kind, "_fields") else kind(children)


def _items(skeleton: Any) -> Any:
    parts = skeleton.fields if isinstance(skeleton, Record) else skeleton
    return parts.items() if isinstance(parts, dict) else enumerate(parts)


def index(key: Any) -> str:
    """A key as Python would get at what is there."""
    if isinstance(key, Attribute):
        return f".{key}"
    text = json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)  # no two print alike
    printable = text if text.isascii() else text.encode(errors="backslashreplace").decode()  # half a letter is not
    return f"[{printable}]"


def _mismatch(skeleton: Any, nest: Any, name: str) -> Exception:
    got = type(nest).__name__
    if isinstance(skeleton, dict):
        if not isinstance(nest, dict):
            return TypeError(f"{name} must be a dict with the keys {list(skeleton)}, got {got}")
        missing, extra = [key for key in skeleton if key not in nest], [key for key in nest if key not in skeleton]
        return ValueError(f"{name} must have the keys of params; missing: {missing}, not in params: {extra}")
    if isinstance(skeleton, Record):
        of = f"a dataclass with the fields {list(map(str, skeleton.fields))}"
        return TypeError(f"{name} must be a {skeleton.kind.__name__} as in params, or {of}, got {got}")
    if not isinstance(nest, list | tuple):
        remedy = f"; pass list({name})" if isinstance(nest, Iterator | ValuesView) else ""
        return TypeError(f"{name} must be a list or tuple of {len(skeleton)}, got {got}{remedy}")
    if len(nest) != len(skeleton):
        return ValueError(f"{name} must have {len(skeleton)} elements as params has, got {len(nest)}")
    return TypeError(f"{name} must have the fields {skeleton._fields} as in params, or none, got {got}{nest._fields}")  # type: ignore[union-attr]
