"""Nests of dict, list and tuple, with arrays as leaves.

A *skeleton* is the shape of a nest, with `None` for each leaf. It outlives changes that a user makes to the nest.
"""

import json
from collections.abc import Callable, Iterator, ValuesView
from operator import countOf
from typing import Any

_SEQUENCE = (list, tuple)


def skeleton(nest: Any) -> Any:
    """The nest with every leaf replaced by None."""
    if isinstance(nest, dict):
        return {key: skeleton(child) for key, child in nest.items()}
    if isinstance(nest, list | tuple):
        children = [skeleton(child) for child in nest]
        return children if isinstance(nest, list) else tuple(children)
    return None


def keys(skeleton: Any) -> list[tuple[Any, ...]]:
    """The place of each leaf: the keys and indices that lead to it."""
    if skeleton is None:
        return [()]
    return [(key, *rest) for key, child in _items(skeleton) for rest in keys(child)]


def path(key: tuple[Any, ...]) -> str:
    """A place as Python would index it: `["layer"][0]`."""
    return "".join(map(_index, key))


def leaves(skeleton: Any, nest: Any, name: str) -> list[Any]:
    """The leaves of a nest that has this skeleton, in its order; a nest that has not is an error about `name`."""
    if skeleton is None:
        return [nest]
    is_dict = isinstance(skeleton, dict)
    if not isinstance(nest, dict if is_dict else _SEQUENCE) or len(nest) != len(skeleton):
        raise _mismatch(skeleton, nest, name)
    if is_dict:
        try:
            children, shapes = list(map(nest.__getitem__, skeleton)), skeleton.values()
        except KeyError:
            raise _mismatch(skeleton, nest, name) from None
    else:
        children, shapes = list(nest), skeleton
    if countOf(shapes, None) == len(children):  # a thousand leaves are taken without a loop in Python
        return children
    found = []
    for (key, shape), child in zip(_items(skeleton), children, strict=True):
        found += [child] if shape is None else leaves(shape, child, name + _index(key))
    return found


def build(skeleton: Any, leaves: Iterator[Any]) -> Any:
    """The nest of this skeleton with these leaves."""
    if skeleton is None:
        return next(leaves)
    if isinstance(skeleton, dict):
        return {key: build(child, leaves) for key, child in skeleton.items()}
    return type(skeleton)(build(child, leaves) for child in skeleton)


def map_leaves(function: Callable[[Any], Any], nest: Any) -> Any:
    """The nest with `function` applied to every leaf."""
    shape = skeleton(nest)
    return build(shape, map(function, leaves(shape, nest, "nest")))


def _items(nest: Any) -> Any:
    return nest.items() if isinstance(nest, dict) else enumerate(nest)


def _index(key: Any) -> str:
    return f"[{json.dumps(key, ensure_ascii=False) if isinstance(key, str) else repr(key)}]"  # no two print alike


def _mismatch(skeleton: Any, nest: Any, name: str) -> Exception:
    if isinstance(skeleton, dict):
        if not isinstance(nest, dict):
            return TypeError(f"{name} must be a dict with the keys {list(skeleton)}, got {type(nest).__name__}")
        missing, extra = list(skeleton.keys() - nest.keys()), list(nest.keys() - skeleton.keys())
        return ValueError(f"{name} must have the keys of params; missing: {missing}, not in params: {extra}")
    if not isinstance(nest, list | tuple):
        remedy = f"; pass list({name})" if isinstance(nest, Iterator | ValuesView) else ""
        return TypeError(f"{name} must be a list or tuple of {len(skeleton)}, got {type(nest).__name__}{remedy}")
    return ValueError(f"{name} must have {len(skeleton)} elements as params has, got {len(nest)}")
