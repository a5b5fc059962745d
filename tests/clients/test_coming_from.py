"""The tables for those who come from elsewhere: what they name exists there and here, and takes these arguments."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

import fusedoptim as fo

from .. import ROOT

PAGE = ROOT / "docs" / "coming-from.md"
SECTIONS = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:] if PAGE.exists() else []

pytestmark = pytest.mark.skipif(not SECTIONS, reason="the documentation is not here")


def expressions(section: str, column: int) -> list[str]:
    """The code in a column of a table."""
    rows = [line.split("|") for line in section.splitlines() if line.startswith("|")]
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row[column])]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_what_is_here(section: str) -> None:
    params, others, matrix, grads = np.ones(3), np.ones(2), np.ones((2, 2)), np.ones(3)
    names = {"fo": fo, "params": params, "others": others, "matrix": matrix, "grads": grads}
    for code in expressions(section, 2):
        eval(code, names | {"opt": fo.Adam(params)})


@pytest.mark.filterwarnings("ignore")  # of other libraries
@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_what_is_there(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "numpy")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))  # it writes its settings there
    (imports,) = re.findall(r"^```python\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    library = pytest.importorskip(re.search(r"\w+", imports.removeprefix("from").removeprefix("import"))[0])
    (tmp_path / "imports.py").write_text(imports)
    names = runpy.run_path(str(tmp_path / "imports.py"))
    if library.__name__ == "torch":
        names["params"] = [library.ones(2, requires_grad=True)]
    for code in expressions(section, 1):
        eval(code, names)
