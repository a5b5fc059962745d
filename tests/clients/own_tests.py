"""The tests of another package, as it is installed, with classes of ours in the place of its own: see exchanged.py."""

import os
import subprocess
import sys
from pathlib import Path

from .. import ROOT


def own_tests(folder: Path, package: str, *modules: str) -> str:
    """Runs them in a folder where no settings of ours are found; what pytest told."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.clients.exchanged",
        "-p",
        "no:cacheprovider",
        "--pyargs",
    ]
    # In one process, whatever this one was told: the steps are counted there.
    env = os.environ | {"FUSEDOPTIM_EXCHANGE": package, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [*command, *modules], cwd=folder, env=env, capture_output=True, text=True, timeout=3000, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert "steps were ours" in done.stdout and "\n0 steps" not in done.stdout
    return done.stdout
