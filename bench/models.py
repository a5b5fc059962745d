"""What is stepped, one tensor, many small ones or the shapes of real models, and what a step does."""

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Variant:
    """What a step does besides Adam; with a decay it is AdamW."""

    bytes: int  # a parameter, in as few passes as it takes: two where a norm is needed
    clip: float | None = None
    decay: float | None = None
    ema: float | None = None
    zero: bool = False

    def pick(self, adam: Any, adamw: Any) -> Any:
        return adam if self.decay is None else partial(adamw, weight_decay=self.decay)


VARIANTS = {
    "step": Variant(bytes=28),
    "clip": Variant(bytes=32, clip=1.0),
    "full": Variant(bytes=44, clip=1.0, decay=0.01, ema=0.999, zero=True),
}


def mlp() -> list[Shape]:
    return [shape for n, m in pairwise((64, 64, 64, 10)) for shape in ((n, m), (m,))]


def thousand_small() -> list[Shape]:
    return [(64,), (256,)] * 500


def resnet50() -> list[Shape]:
    def convolution(n: int, m: int, k: int) -> list[Shape]:  # and its batch norm
        return [(m, n, k, k), (m,), (m,)]

    shapes, n = convolution(3, 64, 7), 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            shapes += convolution(n, width, 1) + convolution(width, width, 3) + convolution(width, 4 * width, 1)
            if block == 0:
                shapes += convolution(n, 4 * width, 1)
            n = 4 * width
    return [*shapes, (1000, n), (1000,)]


def gpt2(width: int = 768) -> list[Shape]:
    def linear(n: int, m: int) -> list[Shape]:
        return [(n * width, m * width), (m * width,)]

    norm: list[Shape] = [(width,), (width,)]
    block = norm + linear(1, 3) + linear(1, 1) + norm + linear(1, 4) + linear(4, 1)
    return [(50257, width), (1024, width), *block * 12, *norm]


MODELS = {"mlp": mlp, "1000-small": thousand_small, "resnet50": resnet50, "gpt2": gpt2}


def shapes(name: str) -> list[Shape]:
    """Of a model, or of one tensor: "2^20", "33000"."""
    if name in MODELS:
        return MODELS[name]()
    return [(2 ** int(name[2:]) if name.startswith("2^") else int(name),)]
