"""Classes of fusedoptim.torch under FSDP2, ZeroRedundancyOptimizer and DeepSpeed, in two processes on the CPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .. import ROOT

torch = pytest.importorskip("torch", reason="torch is not installed")

WORKER = Path(__file__).with_name("torch_worker.py")


def run(what: str, folder: Path, n: int = 2) -> None:
    if not torch.distributed.is_available():
        pytest.skip("torch was built without its distributed part")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "LOCAL_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
    }
    command = [sys.executable, str(WORKER), what, str(folder / "meeting")]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(n)],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(n)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(n)
    ]
    try:
        for process in processes:
            told, _ = process.communicate(timeout=240)
            assert "done" in told, told
    finally:
        for process in processes:
            process.kill()
            process.communicate()  # closes its pipe


@pytest.mark.parametrize("what", ["sharded", "zero_redundancy"])
def test_of_torch(what: str, tmp_path: Path) -> None:
    run(what, tmp_path)


@pytest.mark.parametrize("stage", [1, 2])
def test_zero_offload(stage: int, tmp_path: Path) -> None:
    pytest.importorskip("deepspeed", reason="deepspeed is not installed")
    run(f"deepspeed-{stage}", tmp_path)
