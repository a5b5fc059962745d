"""No block that holds a lock, or must be undone, has a loop of which a round ends by a condition: see core/lock.py.

From Python 3.12 on, the jump back to the head of such a loop is where a signal is handled, and it is not within the block as
far as exceptions go: one that the handler raises there skips the exit of `with`, and the `finally`.
"""

import ast
import dis
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import fusedoptim as fo

PACKAGE = Path(fo.__file__).parent
FILES = list(PACKAGE.rglob("*.py"))
FRAMES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.GeneratorExp)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp)


def within(node: ast.AST) -> Iterator[ast.AST]:
    """What runs in the same frame."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, FRAMES):
            yield child
            yield from within(child)


def must_end_in_order(node: ast.AST) -> bool:
    """A file that is left open is closed when it is freed; a lock is not."""
    if isinstance(node, ast.With):
        return any(
            word in ast.unparse(item.context_expr) for item in node.items for word in ("lock", "_turn", "_inside")
        )
    if isinstance(node, ast.Try):
        handled = [ast.unparse(handler.type) if handler.type else "" for handler in node.handlers]
        return bool(node.finalbody) or any(kind in ("", "BaseException") for kind in handled)
    return False


def blocks(tree: ast.AST) -> Iterator[ast.AST]:
    for node in filter(must_end_in_order, ast.walk(tree)):
        yield from node.body  # type: ignore[attr-defined]


def ends_by_a_condition(node: ast.AST) -> bool:
    if isinstance(node, COMPREHENSIONS):
        return any(each.ifs for each in node.generators)
    if isinstance(node, ast.For):
        return isinstance(node.body[-1], ast.If) or any(isinstance(each, ast.Continue) for each in within(node))
    return isinstance(node, ast.While)


def found_in(source: str) -> list[int]:
    """The lines."""
    nodes = (node for block in blocks(ast.parse(source)) for node in (block, *within(block)))
    return sorted({node.lineno for node in nodes if ends_by_a_condition(node)})  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_round_of_a_loop_in_a_block_ends_by_a_condition(path: Path) -> None:
    lines = found_in(path.read_text())
    assert not lines, f"{path}, lines {lines}: move the loop into a function, or its condition into what it computes"


LOOPS = {
    "filtered": "found = [x for x in xs if x]",
    "conditional": "for x in xs:\n        if x:\n            print(x)",
    "continued": "for x in xs:\n        if not x: continue\n        print(x)",
    "while": "while xs:\n        xs.pop()",
    "plain": "for x in xs:\n        print(x)",
    "unfiltered": "found = [x if x else 1 for x in xs]",
    "of a generator": "found = sum(x for x in xs if x)",
}


@pytest.mark.parametrize("name", LOOPS)
def test_such_loops_are_found(name: str) -> None:
    """And are those that Python compiles so: of each, whether a jump back lies outside of what the block covers."""
    source = f"def f(lock, xs):\n    with lock:\n        {LOOPS[name].replace(chr(10), chr(10) + '    ')}\n"
    assert bool(found_in(source)) == (name not in ("plain", "unfiltered", "of a generator"))
    if sys.version_info < (3, 12):
        return
    code = next(each for each in compile(source, "", "exec").co_consts if isinstance(each, types.CodeType))
    if uncovered(code):
        assert found_in(source)


def uncovered(code: types.CodeType) -> list[int]:
    covered = [range(entry.start, entry.end) for entry in dis.Bytecode(code).exception_entries]
    jumps = [each.offset for each in dis.get_instructions(code) if each.opname == "JUMP_BACKWARD"]
    return [offset for offset in jumps if not any(offset in each for each in covered)]
