"""Each example runs, for a few steps, in a process of its own."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .. import ROOT

FOLDER = ROOT / "examples"


def imports(source: str) -> set[str]:
    """The packages."""
    nodes = ast.parse(source).body
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    return {
        name.partition(".")[0] for name in [*plain, *(n.module or "" for n in nodes if isinstance(n, ast.ImportFrom))]
    }


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    source = path.read_text()
    for name in imports(source):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    command = [sys.executable, path, "3", *[str(tmp_path / "file")] * ("sys.argv[2:]" in source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "after 3 steps" in done.stdout
    assert len(source.splitlines()) <= 40
