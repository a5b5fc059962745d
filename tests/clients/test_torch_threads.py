"""Steps of fusedoptim.torch run on the threads that torch has."""

import os
from pathlib import Path

import pytest

import fusedoptim as fo

from ..faults.test_threads import printed

pytest.importorskip("torch", reason="torch is not installed")


def layer_with(code: str = "", **environment: str) -> list[str]:
    told = "print(fo.threading_layer(), fo.get_num_threads(), len(fo.info()['openmp_runtimes']))"
    return printed(f"import fusedoptim as fo, fusedoptim.torch, torch\n{code}\n{told}", **environment).split()


has_openmp = pytest.mark.skipif(
    not (fo.info()["openmp"] and any(Path(each).name == "libgomp.so.1" for each in fo.info()["openmp_runtimes"])),
    reason="torch and this package have not the same OpenMP here",
)


@has_openmp
def test_threads_are_torchs() -> None:
    """As many as torch has, and of its runtime; no second one is loaded."""
    free = {"FUSEDOPTIM_THREADING_LAYER": "", "FUSEDOPTIM_NUM_THREADS": "", "OMP_NUM_THREADS": ""}
    layer, threads, runtimes = layer_with("torch.set_num_threads(1)", **free)
    assert (layer, threads) == ("openmp", "1")
    assert layer_with("torch.set_num_threads(1); fo.set_num_threads(2)", **free) == [
        "openmp",
        str(min(2, len(os.sched_getaffinity(0)))),
        runtimes,
    ]
    assert printed("import torch, fusedoptim as fo; print(len(fo.info()['openmp_runtimes']))", **free) == runtimes


def test_the_environment_chooses_the_pool() -> None:
    assert layer_with(FUSEDOPTIM_THREADING_LAYER="pool")[0] == "pool"


def test_the_pool_stays_where_openmp_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two runtimes in a process each would wait for the CPUs that the other's threads keep."""
    layers = fo.machine.layers
    found = iter([["/x/libgomp-a34b.so.1"], ["/usr/lib/libgomp.so.1", "/x/libgomp-a34b.so.1"], []])
    used: list[object] = []
    monkeypatch.delenv(layers.VARIABLE, raising=False)
    monkeypatch.setattr(layers.threads, "openmp_runtimes", lambda: next(found))
    monkeypatch.setattr(layers._core, "use_openmp", used.append)
    for _ in range(2):
        layers.share_openmp()
    assert used == []
