"""The data of a claim, computed once."""

from importlib import import_module
from typing import Any

import pytest


@pytest.fixture(scope="module")
def data(request: pytest.FixtureRequest) -> Any:
    """What the claim's `compute` returns: that of test_x.py is x."""
    name = request.module.__name__.rpartition(".test_")[2]
    return import_module(f"fusedoptim.cli.gallery.{name}").compute()
