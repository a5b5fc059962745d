"""The tables for those who come from elsewhere: what they name exists there and here, and takes these arguments."""

import ast
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest

import fusedoptim as fo

from .. import ROOT

PAGE = ROOT / "docs" / "coming-from.md"
CODE = re.compile(r"`([^`]+)`")

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


def expressions(column: int) -> list[str]:
    """The code in a column of the tables."""
    rows = [line.split("|") for line in PAGE.read_text().splitlines() if line.startswith("|")] if PAGE.exists() else []
    return [code for row in rows for code in CODE.findall(row[column])]


@pytest.mark.parametrize("code", expressions(2))
def test_what_is_here(code: str) -> None:
    params, others, matrix, grads = np.ones(3), np.ones(2), np.ones((2, 2)), np.ones(3)
    opt = fo.Adam(params)
    eval(code, {"fo": fo, "opt": opt, "params": params, "others": others, "matrix": matrix, "grads": grads})


@pytest.mark.filterwarnings("ignore")  # of other libraries
@pytest.mark.parametrize("code", expressions(1))
def test_what_is_there(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))  # it writes its settings there
    library = code.partition(".")[0]
    names = {library: pytest.importorskip(library)}
    if library == "torch":
        names["params"] = [names["torch"].ones(2, requires_grad=True)]
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Call):
            pkgutil.resolve_name(ast.unparse(node))  # which imports what it lies in
    eval(code, names)
