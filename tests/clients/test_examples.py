"""Each example runs, for a few steps, in a process of its own."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from .. import ROOT

FOLDER = ROOT / "examples"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_example(path: Path) -> None:
    source = path.read_text()
    imports = [alias.name for node in ast.parse(source).body if isinstance(node, ast.Import) for alias in node.names]
    for name in imports:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run([sys.executable, path, "3"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "after 3 steps" in done.stdout
    assert len(source.splitlines()) <= 40
