"""The rooms of the Python package: who may import whom, what is shown of them, and old paths that still work."""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fusedoptim as fo

PACKAGE = Path(fo.__file__).parent
LAYERS = [
    "_main_interpreter",
    "_core",
    "numerics",
    "schedules",
    "core",
    "machine",
    "saved",
    "optim",
    "distributed",
    "reference",
    "kernels",
    "_moved",
    "__init__",
    "torch",
    "cli",
    "sklearn",
    "thinc",
]
MODULES = {
    ".".join(["fusedoptim", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__main__.py"
}


def layer(module: str) -> int:
    return LAYERS.index([*module.split("."), "__init__"][1])


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All of a file, but what is there for the type checker alone."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from statements(child)


def imported(path: Path) -> set[str]:
    """The modules of the package that a file imports, wherever in it."""
    found = set()
    for node in statements(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in names if name in MODULES or name == "fusedoptim._core"}
            found |= modules | ({node.module} if names - modules else set())
    return {name for name in found if name.partition(".")[0] == "fusedoptim"}


IMPORTS = {module: imported(path) for module, path in MODULES.items()}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    up = [other for other in IMPORTS[module] if layer(other) > layer(module)]
    assert not up, f"{module} imports {up}, of a later layer than its own; in order they are {LAYERS}"


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("room", ["numerics", "core", "machine", "saved", "torch", "cli"])
def test_a_room_says_who_lives_in_it(room: str) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))


def test_only_what_is_public_is_shown() -> None:
    shown = {name for name in dir(fo) if not (name.startswith("__") and name.endswith("__"))}
    assert shown == set(fo.__all__)
    modules = {name for name in shown if inspect.ismodule(getattr(fo, name))}
    assert modules == {"distributed", "kernels", "reference", "schedules"}
    assert all(callable(getattr(fo, name)) for name in shown - modules)
    assert "__version__" in dir(fo)


@pytest.mark.parametrize(("module", "name"), [("options", "Common"), ("group", "Group")])
def test_moved(module: str, name: str) -> None:
    path = f"fusedoptim.{module}"
    old = importlib.import_module(path)
    assert old is sys.modules[path] is getattr(fo, module)
    with pytest.warns(DeprecationWarning, match=rf"^{path}\.{name} has moved to fusedoptim\.{name}$") as warned:
        assert getattr(old, name) is getattr(fo, name)
    assert warned[0].filename == __file__
    with pytest.raises(AttributeError, match=f"module '{path}' has no attribute 'Other'"):
        _ = old.Other


def test_moved_names_can_be_imported() -> None:
    with pytest.warns(DeprecationWarning, match="has moved"):
        from fusedoptim.options import Common  # an old path
    with pytest.warns(DeprecationWarning, match="has moved"):
        from fusedoptim.group import Group  # an old path
    assert Common is fo.Common and Group is fo.Group
