"""Steps of AdamW over tensors of torch: fusedoptim.torch against torch's `fused=True` and our own step on arrays.

Every step has gradients of its own, new tensors as backward makes them; they are made before it, untimed. Checked is that
all compute the same update before any is timed. `--quick` is a look whether it works.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim.cli import arguments
from fusedoptim.cli.bench.competitors import LIMIT, Workload
from fusedoptim.cli.extras import extra

with extra("bench"):
    from fusedoptim.cli.bench.timing import PAUSE, SAMPLE, Spread, ratio
    from goals import Figure, tell
    from models import Shape, resnet50, shapes

import torch

import fusedoptim.torch as ft

LR = 1e-3
MODELS: dict[str, list[Shape]] = {
    "MLP, 6 tensors": shapes("mlp"),
    "1,000 x 64": [(64,)] * 1000,
    "one of 4,096": [(4096,)],
    "ResNet-50": resnet50(),
}
GOALS = {"MLP, 6 tensors": 7, "1,000 x 64": 18, "one of 4,096": 5, "ResNet-50": 1.1}


@dataclass
class Competitor:
    """What makes gradients new, and what steps."""

    renew: Callable[[int], None]
    step: Callable[[], Any]
    weights: list[torch.Tensor]


def parameters(sizes: list[Shape], dtype: torch.dtype) -> list[torch.nn.Parameter]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape).to(dtype)) for shape in sizes]


def gradients(params: list[Any], seed: int, dtype: torch.dtype | None = None) -> list[torch.Tensor]:
    """Copies of one long row of random numbers, from another place on each time: drawing them would take longest."""
    return [ROW[seed % 97 :][: param.numel()].view(param.shape).to(dtype or param.dtype, copy=True) for param in params]


ROW = torch.randn(1 << 22, generator=torch.Generator().manual_seed(0)).mul_(1e-2)


def set_new(params: list[Any], seed: int) -> None:
    for param, grad in zip(params, gradients(params, seed), strict=True):
        param.grad = grad


def torch_fused(sizes: list[Shape], dtype: torch.dtype, clip: float | None = None) -> Competitor:
    params = parameters(sizes, dtype)
    opt = torch.optim.AdamW(params, lr=LR, fused=True)

    def step() -> None:
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(params, clip)
        opt.step()

    return Competitor(partial(set_new, params), step, params)


def ours(sizes: list[Shape], dtype: torch.dtype, threads: int, **kwargs: Any) -> Competitor:
    params = parameters(sizes, dtype)
    opt = ft.AdamW(params, lr=LR, num_threads=threads, **kwargs)
    return Competitor(partial(set_new, params), opt.step, params)


def on_arrays(sizes: list[Shape], threads: int) -> Competitor:
    params = parameters(sizes, torch.float32)
    opt = fo.AdamW([param.detach().numpy() for param in params], lr=LR, num_threads=threads)
    grads: list[Any] = []

    def renew(seed: int) -> None:
        grads[:] = [grad.numpy() for grad in gradients(params, seed)]

    return Competitor(renew, lambda: opt.step(grads), params)


def master_of_ours(sizes: list[Shape], threads: int) -> Competitor:
    """float32 weights that take bfloat16 gradients, and a copy of them in bfloat16, in one pass."""
    params = parameters(sizes, torch.float32)
    copies = [torch.empty_like(param, dtype=torch.bfloat16) for param in params]
    for param in params:
        param.grad_dtype = torch.bfloat16
    opt = ft.AdamW(params, lr=LR, num_threads=threads, copy_to=copies)

    def renew(seed: int) -> None:
        for param, grad in zip(params, gradients(params, seed, torch.bfloat16), strict=True):
            param.grad = grad

    return Competitor(renew, opt.step, copies)


def master_of_others(sizes: list[Shape], make: Callable[[list[Any]], Any]) -> Competitor:
    """The same by an optimizer of float32 alone: gradients are cast before, weights after."""
    params = parameters(sizes, torch.float32)
    copies = [torch.empty_like(param, dtype=torch.bfloat16) for param in params]
    opt = make(params)
    grads: list[torch.Tensor] = []
    for param in params:
        param.grad = torch.empty_like(param)

    def renew(seed: int) -> None:
        grads[:] = gradients(params, seed, torch.bfloat16)

    def step() -> None:
        with torch.no_grad():
            torch._foreach_copy_([param.grad for param in params], grads)
            opt.step()
            torch._foreach_copy_(copies, params)

    return Competitor(renew, step, copies)


def check(field: dict[str, Competitor], tolerance: float = 1e-5) -> None:
    """Three steps of each lead to the same weights."""
    for t in range(3):
        for each in field.values():
            each.renew(t)
            each.step()
    first, *others = field.items()
    for name, other in others:
        for a, b in zip(first[1].weights, other.weights, strict=True):
            np.testing.assert_allclose(
                a.detach().float(), b.detach().float(), rtol=tolerance, atol=tolerance, err_msg=f"{first[0]}, {name}"
            )


def interleaved(field: dict[str, Competitor], repetitions: int) -> dict[str, list[float]]:
    """Seconds a step of each, in turns: the median of as many as fill a sample."""
    seconds: dict[str, list[float]] = {name: [] for name in field}
    for _ in range(repetitions):
        for name, each in field.items():
            sleep(PAUSE)
            taken: list[float] = []
            while not taken or (sum(taken) < SAMPLE and len(taken) < 200):
                each.renew(len(taken))
                begin = perf_counter()
                each.step()
                taken.append(perf_counter() - begin)
            seconds[name].append(median(taken))
    return seconds


def figures_of(what: str, field: dict[str, Competitor], goals: dict[str, str], repetitions: int) -> list[Figure]:
    """Milliseconds of each, and how many times as long as ours, the first, the others take."""
    check(field, 2e-2 if "bf16" in what else 1e-5)
    seconds = interleaved(field, repetitions)
    name = next(iter(field))
    found = [Figure(f"{what}: {who}", "ms", Spread.of(samples, 1e3)) for who, samples in seconds.items()]
    others = [who for who in field if who != name]
    return found + [
        Figure(f"{what}: {who}", "x ours", ratio(seconds[who], seconds[name]), goals.get(who, "")) for who in others
    ]


def limit(threads: int, repetitions: int) -> Figure:
    """What this machine's memory allows: loads and stores of the rule, and next to no arithmetic."""
    fo.set_num_threads(threads)
    work = Workload("adamw", 1 << 24)
    step = work.competitors()[LIMIT]
    taken = []
    for _ in range(repetitions):
        begin = perf_counter()
        step()
        taken.append(work.bytes_moved / (perf_counter() - begin))
    fo.set_num_threads(None)
    return Figure("the machine's limit, 2^24 parameters", "GB/s", Spread.of(taken, 1e-9))


def measure(threads: int, repetitions: int, names: list[str], deepspeed: Any) -> list[Figure]:
    torch.set_num_threads(threads)
    found = [limit(threads, repetitions)]
    for name in names:
        sizes = MODELS[name]
        field = {
            "ours": ours(sizes, torch.float32, threads),
            "torch fused": torch_fused(sizes, torch.float32),
            "on arrays": on_arrays(sizes, threads),
        }
        goals = {"torch fused": f">= {GOALS[name]}", "on arrays": ">= 0.99" if name == "ResNet-50" else ""}
        found += figures_of(name, field, goals, repetitions)
    sizes = MODELS[names[-1]]
    clipped = {
        "ours": ours(sizes, torch.float32, threads, clip_norm=0.1),
        "torch fused": torch_fused(sizes, torch.float32, 0.1),
    }
    found += figures_of(f"{names[-1]}, clipped", clipped, {"torch fused": ">= 1.4"}, repetitions)
    narrow = {
        "ours": ours(sizes, torch.bfloat16, threads, state_dtype="bfloat16", rounding="nearest"),
        "torch fused": torch_fused(sizes, torch.bfloat16),
    }
    found += figures_of(f"{names[-1]}, all bf16", narrow, {"torch fused": ">= 1.8"}, repetitions)
    masters = {
        "ours": master_of_ours(sizes, threads),
        "torch fused with casts": master_of_others(sizes, partial(torch.optim.AdamW, lr=LR, fused=True)),
    }
    if deepspeed is not None:
        masters["DeepSpeedCPUAdam with casts"] = master_of_others(sizes, partial(deepspeed, lr=LR, weight_decay=1e-2))
    goals = {"DeepSpeedCPUAdam with casts": ">= 1.5"}
    return found + figures_of(f"{names[-1]}, float32 with bf16 copy", masters, goals, repetitions)


def deepspeed_adam() -> Any:
    """Its class, where it is installed and compiles."""
    try:
        from deepspeed.ops.adam import DeepSpeedCPUAdam

        DeepSpeedCPUAdam([torch.zeros(1)])
    except (ImportError, OSError, RuntimeError, AssertionError) as error:  # it is not there, or does not compile
        print(f"without DeepSpeedCPUAdam: {error}")
        return None
    return DeepSpeedCPUAdam


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two small models, three repetitions")
    parser.add_argument("--threads", type=arguments.positive, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--deepspeed", action="store_true", help="with DeepSpeedCPUAdam, which compiles for minutes")
    arguments.measuring(parser, repetitions=31)
    args = parser.parse_args()
    names = list(MODELS)[:2] if args.quick else list(MODELS)
    peer = deepspeed_adam() if args.deepspeed else None
    found = []
    for threads in args.threads:
        for figure in measure(threads, 3 if args.quick else args.repetitions, names, peer):
            found.append(Figure(f"{threads} threads, {figure.what}", figure.unit, figure.measured, figure.goal))
    tell(found, args.json, f"AdamW over tensors of torch {torch.__version__}, float32 unless told")
