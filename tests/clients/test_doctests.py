"""The examples in the docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import fusedoptim as fo

MODULES = [
    "fusedoptim",
    *(m.name for m in pkgutil.walk_packages(fo.__path__, "fusedoptim.") if "__main__" not in m.name),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("fusedoptim"):
            raise
        pytest.skip(f"{error.name} is not installed")
    assert doctest.testmod(module).failed == 0


def test_every_optimizer_has_an_example() -> None:
    finder = doctest.DocTestFinder(recurse=False)
    for optimizer in fo.Optimizer.registry.values():
        assert any(test.examples for test in finder.find(optimizer)), f"{optimizer.__name__} has no example"
