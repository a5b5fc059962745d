import os
from importlib.util import find_spec

import pytest

from fusedoptim.machine import layers


@pytest.fixture(params=layers.LAYERS)
def layer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The threading layer of the processes that a test starts: each there is."""
    if request.param == "openmp" and find_spec("fusedoptim._openmp") is None:
        pytest.skip("this build has no OpenMP")
    monkeypatch.setenv(layers.VARIABLE, request.param)
    return os.environ[layers.VARIABLE]
