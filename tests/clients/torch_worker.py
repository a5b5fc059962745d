"""What test_torch_distributed.py runs in each of several processes."""

import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.distributed as dist

import fusedoptim.torch as ft


def network() -> Any:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)).double()


def loss_of(model: Any, t: int) -> Any:
    generator = torch.Generator().manual_seed(t)
    dtype = next(model.parameters()).dtype
    return model(torch.randn(5, 6, dtype=dtype, generator=generator)).square().mean()


def reference(kind: str, steps: int = 3) -> Any:
    """The same network in one process, by torch."""
    model = network()
    opt = getattr(torch.optim, kind)(model.parameters(), lr=0.1, foreach=False)
    for t in range(steps):
        opt.zero_grad()
        loss_of(model, t).backward()
        opt.step()
    return model


def sharded(rank: int) -> None:
    """FSDP2: an elementwise rule steps the shard, its states are DTensors; what needs whole tensors refuses."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import DTensor

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    model = network()
    fully_shard(model, mesh=mesh)
    opt = ft.AdamW(model.parameters(), lr=0.1, ema=0.9)
    for t in range(3):
        opt.zero_grad()
        loss_of(model, t).backward()
        opt.step()
        if t == 1:
            saved = get_optimizer_state_dict(model, opt)
            opt = ft.AdamW(model.parameters(), lr=0.1, ema=0.9)
            set_optimizer_state_dict(model, opt, saved)
    for param, like in zip(model.parameters(), reference("AdamW").parameters(), strict=True):
        assert isinstance(opt.state[param]["exp_avg"], DTensor)
        torch.testing.assert_close(param.full_tensor(), like, rtol=1e-12, atol=1e-12)
    with opt.using_ema():
        for param in model.parameters():
            torch.testing.assert_close(param.full_tensor(), opt.state[param]["ema"].full_tensor(), rtol=0, atol=0)
    for other in (ft.LAMB(model.parameters()), ft.AdamW(model.parameters(), clip_norm=1.0)):
        with pytest.raises(ValueError, match="is a DTensor, of which only a shard is here"):
            other.step()


def zero_redundancy(rank: int) -> None:
    from torch.distributed.optim import ZeroRedundancyOptimizer

    model = torch.nn.parallel.DistributedDataParallel(network())
    opt = ZeroRedundancyOptimizer(model.parameters(), optimizer_class=ft.Adam, lr=0.1)
    for t in range(3):
        opt.zero_grad()
        loss_of(model, t).backward()
        opt.step()
    for param, like in zip(model.parameters(), reference("Adam").parameters(), strict=True):
        torch.testing.assert_close(param, like, rtol=1e-12, atol=1e-12)


def deepspeed(rank: int, stage: int) -> None:
    """ZeRO-Offload on CPUs: CPUAdam as a client's optimizer, against torch's AdamW on the master weights."""
    import deepspeed as ds

    model = network().float()
    settings = {
        "train_batch_size": 5 * dist.get_world_size(),
        "train_micro_batch_size_per_gpu": 5,
        "zero_optimization": {"stage": stage, "offload_optimizer": {"device": "cpu"}},
        "zero_force_ds_cpu_optimizer": False,
        "zero_allow_untested_optimizer": True,
    }
    opt = ft.CPUAdam(model.parameters(), lr=0.1, weight_decay=0.01)
    engine, *_ = ds.initialize(model=model, optimizer=opt, config=settings)
    assert engine.optimizer.optimizer is opt
    for t in range(3):
        engine.backward(loss_of(engine, t))
        engine.step()
    like = network().float()
    loop = torch.optim.AdamW(like.parameters(), lr=0.1, weight_decay=0.01, foreach=False)
    for t in range(3):
        loop.zero_grad()
        loss_of(like, t).backward()
        loop.step()
    for param, other in zip(engine.module.parameters(), like.parameters(), strict=True):
        torch.testing.assert_close(param, other, rtol=1e-4, atol=1e-5)


WORK: dict[str, Callable[[int], None]] = {
    "sharded": sharded,
    "zero_redundancy": zero_redundancy,
    "deepspeed-1": lambda rank: deepspeed(rank, 1),
    "deepspeed-2": lambda rank: deepspeed(rank, 2),
}

if __name__ == "__main__":
    what, place, rank, n = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=n)
    WORK[what](rank)
    dist.barrier()
    print("done", flush=True)  # what follows is torch's: a rank that ends first can be an error of the others
    dist.destroy_process_group()
