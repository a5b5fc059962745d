"""Who steps on 16 or 8 bits besides: each steps with Adam on weights and gradients as a format has them, in this memory.

The package of a peer is imported when it is made.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import fusedoptim as fo
from formats import ALL, COPY, FLOAT32, WITH_COPY
from fusedoptim.numerics.formats import BFLOAT16, is_bfloat16
from fusedoptim.reference import Array

LR = 1.0  # so large that a wrong step shows in 16 bits

Step = Callable[[], None]
Make = Callable[[Array, Array], Step]  # of weights and gradients


@dataclass(frozen=True)
class Peer:
    """A package, and what of it does what a format does."""

    needs: str
    beside: Mapping[str, Make]


def missing(peer: str) -> str | None:
    """The package that a peer lacks here."""
    needs = PEERS[peer].needs
    return None if find_spec(needs) else needs


def set_threads(n: int) -> None:
    """Of all that are here."""
    fo.set_num_threads(n)
    if find_spec("torch"):
        import torch

        torch.set_num_threads(n)


def ours(weights: Array, grads: Array) -> Step:
    optimizer = fo.Adam(weights, LR)
    optimizer.bind(grads)
    return optimizer.step


def tensor(array: Array) -> Any:
    """The same memory, as torch's."""
    import torch

    if is_bfloat16(array.dtype):
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def stepping(optimizer: Callable[[list[Any]], Any], weights: Array, grads: Array) -> Step:
    param = tensor(weights).requires_grad_()
    param.grad = tensor(grads)
    step: Step = optimizer([param]).step
    return step


def torch_fused(params: list[Any]) -> Any:
    from torch.optim import Adam

    return Adam(params, LR, fused=True)


def with_casts(make: Make, weights: Array, grads: Array) -> Step:
    """Three sweeps: the gradient to float32, a step, the weights to 16 bits. torch casts."""
    wide_grads = fo.arena(np.zeros_like(weights), slot=1)
    update = make(weights, wide_grads)
    copies = fo.arena(np.empty(weights.shape, BFLOAT16), slot=COPY)
    source, master = tensor(grads), tensor(weights).detach()
    wide, narrow = tensor(wide_grads), tensor(copies)

    def step() -> None:
        wide.copy_(source)
        update()
        narrow.copy_(master)

    return step


def deepspeed(params: list[Any], float32_states: bool) -> Any:
    from deepspeed.ops.adam import DeepSpeedCPUAdam

    return DeepSpeedCPUAdam(params, LR, adamw_mode=False, fp32_optimizer_states=float32_states)


def torchao(params: list[Any]) -> Any:
    from torchao.optim import Adam8bit

    return Adam8bit(params, LR)


def bitsandbytes(params: list[Any]) -> Any:
    from bitsandbytes.optim import Adam8bit

    return Adam8bit(params, LR)


FUSED = partial(stepping, torch_fused)

PEERS = {
    "torch fused": Peer("torch", {FLOAT32: FUSED, ALL: FUSED}),
    "casts, torch fused": Peer("torch", {WITH_COPY: partial(with_casts, FUSED)}),
    "casts, our float32": Peer("torch", {WITH_COPY: partial(with_casts, ours)}),
    "deepspeed": Peer(
        "deepspeed",
        {
            FLOAT32: partial(stepping, partial(deepspeed, float32_states=True)),
            "nearest": partial(stepping, partial(deepspeed, float32_states=True)),
            ALL: partial(stepping, partial(deepspeed, float32_states=False)),
        },
    ),
    "torchao": Peer("torchao", {"state float8": partial(stepping, torchao)}),
    "bitsandbytes": Peer("bitsandbytes", {"state float8": partial(stepping, bitsandbytes)}),
}
