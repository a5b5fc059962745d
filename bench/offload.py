"""A training step whose optimizer is on the CPU: fusedoptim.torch.Offload against the same by hand with torch fused.

A transformer of the shapes of GPT-2 (medium, unless --quick) in bfloat16 on an accelerator, with float32 weights and states
on the CPU. By hand, gradients come over to pinned memory, become float32, are stepped, and go back as bfloat16, one thing
after the other. Checked is that both make the same weights; what is timed is a whole step, and its parts by hand.
`--device cpu` shows that it works, and nothing else.
"""

from argparse import ArgumentParser
from collections.abc import Callable
from time import perf_counter
from typing import Any

from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from fusedoptim.cli.bench.timing import Spread, ratio
    from goals import Figure, tell

import torch
from torch import nn

import fusedoptim.torch as ft

LR, CLIP = 1e-4, 1.0
SIZES = {"tiny": (2, 64, 500), "small": (12, 768, 50257), "medium": (24, 1024, 50257)}  # layers, width, tokens


class Transformer(nn.Module):
    def __init__(self, layers: int, width: int, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        layer = nn.TransformerEncoderLayer(width, width // 16, 4 * width, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device, dtype=torch.bfloat16)
        return self.layers(self.embedding(x), mask=mask, is_causal=True) @ self.embedding.weight.t()


class ByHand:
    """float32 weights on the CPU, stepped by torch."""

    def __init__(self, params: list[torch.Tensor], clip: bool) -> None:
        pin = params[0].device.type != "cpu"
        self.params, self.clip = params, clip
        self.masters = [nn.Parameter(param.detach().cpu().float()) for param in params]
        self.grads = [torch.empty_like(param, device="cpu", pin_memory=pin) for param in params]
        self.copies = [torch.empty_like(param, device="cpu", pin_memory=pin) for param in params]
        for master in self.masters:
            master.grad = torch.empty_like(master)
        self.opt = torch.optim.AdamW(self.masters, lr=LR, fused=True)
        self.parts: dict[str, list[float]] = {}

    def step(self) -> None:
        with torch.no_grad():
            if self.clip:
                nn.utils.clip_grad_norm_(self.params, CLIP)
            self._do("gradients over", lambda: _copy(self.grads, [param.grad for param in self.params]))
            self._do("to float32", lambda: _copy([master.grad for master in self.masters], self.grads))
            self._do("torch fused", self.opt.step)
            self._do("to bfloat16", lambda: _copy(self.copies, self.masters))
            self._do("weights over", lambda: _copy(self.params, self.copies))

    def _do(self, name: str, part: Callable[[], Any]) -> None:
        begin = perf_counter()
        part()
        synchronize(self.params[0].device)
        self.parts.setdefault(name, []).append(perf_counter() - begin)


def _copy(to: list[Any], source: list[Any]) -> None:
    for a, b in zip(to, source, strict=True):
        a.copy_(b, non_blocking=True)


def synchronize(device: torch.device) -> None:
    torch.get_device_module(device).synchronize()


def backward(model: Any, x: torch.Tensor) -> None:
    model.zero_grad()
    logits = model(x[:, :-1])
    nn.functional.cross_entropy(logits.flatten(0, 1).float(), x[:, 1:].flatten()).backward()


def make(size: str, device: str) -> Any:
    torch.manual_seed(0)
    return Transformer(*SIZES[size]).to(device, torch.bfloat16)


def check(size: str, device: str, batches: list[torch.Tensor], clip: bool) -> None:
    """A step of both with the same gradients makes nearly all weights the same. Those of two passes are not, on a GPU.

    Of a few biases more may differ: what clipping rounds shows in full where a gradient is noise, far below Adam's eps.
    """
    models = [make(size, device) for _ in range(2)]
    opts = [ft.Offload(models[0].parameters(), ft.AdamW, lr=LR, clip_norm=CLIP if clip else None)]
    opts.append(ByHand(list(models[1].parameters()), clip))
    backward(models[0], batches[0])
    for param, other in zip(*(model.parameters() for model in models), strict=True):
        other.grad = param.grad.clone()
    for opt in opts:
        opt.step()
    pairs = list(zip(*(model.parameters() for model in models), strict=True))
    same = sum(int((a == b).sum()) for a, b in pairs) / sum(a.numel() for a, _ in pairs)
    if same < 0.99:
        raise SystemExit(f"Offload makes other weights than torch by hand: {same:.3f} of them are the same")


def measure(size: str, device: str, repetitions: int, clip: bool) -> list[Figure]:
    place = torch.device(device)
    generator = torch.Generator().manual_seed(0)
    tokens, batch = SIZES[size][2], (2, 16) if size == "tiny" else (8, 513)
    batches = [torch.randint(tokens, batch, generator=generator).to(place) for _ in range(4)]
    check(size, device, batches, clip)
    models = {name: make(size, device) for name in ("Offload", "by hand")}
    by_hand = ByHand(list(models["by hand"].parameters()), clip)
    opts: dict[str, Any] = {
        "Offload": ft.Offload(models["Offload"].parameters(), ft.AdamW, lr=LR, clip_norm=CLIP if clip else None),
        "by hand": by_hand,
    }
    whole: dict[str, list[float]] = {name: [] for name in opts}
    passes: dict[str, list[float]] = {name: [] for name in opts}
    for k in range(repetitions + 2):  # two to warm up
        for name, opt in opts.items():
            synchronize(place)
            begin = perf_counter()
            backward(models[name], batches[k % len(batches)])
            synchronize(place)
            between = perf_counter()
            opt.step()
            synchronize(place)
            whole[name].append(perf_counter() - begin)
            passes[name].append(between - begin)
    what = "clipped, " if clip else ""
    figures = [Figure(f"{what}whole step, {name}", "ms", Spread.of(each[2:], 1e3)) for name, each in whole.items()]
    figures += [Figure(f"{what}its passes, {name}", "ms", Spread.of(each[2:], 1e3)) for name, each in passes.items()]
    figures += [
        Figure(f"{what}by hand: {name}", "ms", Spread.of(each[2:], 1e3)) for name, each in by_hand.parts.items()
    ]
    times = ratio(whole["by hand"][2:], whole["Offload"][2:])
    return [*figures, Figure(f"{what}whole step, by hand", "x Offload", times, ">= 1" if size != "tiny" else "")]


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    parser.add_argument("--size", choices=SIZES, default="medium", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a tiny network, three repetitions")
    arguments.measuring(parser, repetitions=15)
    args = parser.parse_args()
    size, repetitions = ("tiny", 3) if args.quick or args.device == "cpu" else (args.size, args.repetitions)
    found = [figure for clip in (False, True) for figure in measure(size, args.device, repetitions, clip)]
    where = torch.cuda.get_device_name() if args.device.startswith("cuda") else args.device
    tell(found, args.json, f"a transformer, {size}, bfloat16 on {where}; torch {torch.__version__}")
