"""Changes to nested dicts and lists, as of a file or a state dict."""

from collections.abc import Callable
from typing import Any


def parent(tree: Any, way: tuple[Any, ...]) -> Any:
    for key in way[:-1]:
        tree = tree[key]
    return tree


def setting(*way: Any, to: Any) -> Callable[[Any], Any]:
    """Sets an entry, by its path."""

    def change(tree: Any) -> Any:
        parent(tree, way)[way[-1]] = to
        return tree

    return change


def without(*way: Any) -> Callable[[Any], Any]:
    def change(tree: Any) -> Any:
        del parent(tree, way)[way[-1]]
        return tree

    return change
