"""What is stepped: one tensor, many small ones, and the shapes of real models, filled from one block of numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import prod, sqrt

import numpy as np

from fusedoptim import reference
from fusedoptim.cli.bench.competitors import BLOCK, parts
from fusedoptim.reference import Array

Shape = tuple[int, ...]

LR = 0.1  # so large that a wrong decay and a wrong average show after a few steps
FACTORS = (1.0, 0.25, 3.0)  # of the gradients in the steps of a check: Adam would not notice a constant factor
NORM = 2.0  # of all gradients together, so that these steps are clipped, not clipped, clipped


@dataclass(frozen=True)
class Variant:
    """What a step does besides Adam; with a decay it is AdamW."""

    bytes: int  # a parameter, in as few passes as it takes: two where a norm is needed
    clip: float | None = None
    decay: float | None = None
    ema: float | None = None
    zero: bool = False


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
    """Of a model, or of one tensor: "2^20"."""
    return [(2 ** int(name[2:]),)] if name.startswith("2^") else MODELS[name]()


class Workload:
    """The numbers of a workload. Each tensor begins with the same block of them, and repeats it."""

    def __init__(self, name: str) -> None:
        self.name, self.shapes = name, shapes(name)
        sizes = [prod(shape) for shape in self.shapes]
        self.total = sum(sizes)
        self.w, self.g = np.random.default_rng(0).standard_normal((2, BLOCK), np.float32)
        squares = np.concatenate([[0], np.cumsum(np.square(self.g, dtype=np.float64))])
        norm = sqrt(sum(n // BLOCK * squares[-1] + squares[n % BLOCK] for n in sizes))
        self.g *= np.float32(NORM / norm)

    def empty(self) -> list[Array]:
        return [np.empty(shape, np.float32) for shape in self.shapes]

    def expected(self, variant: Variant, norm: float) -> tuple[Array, Array]:
        """The block of the weights, and of their average, after the steps of a check, clipped by such a norm."""
        w, ema, m, v = self.w.copy(), self.w.copy(), np.zeros_like(self.w), np.zeros_like(self.w)
        for t, factor in enumerate(FACTORS, start=1):
            scale = 1.0 if variant.clip is None else min(1.0, variant.clip / (factor * norm))
            g = reference.gradient([factor * self.g], w, scale=scale)
            if variant.decay is None:
                reference.adam(w, g, m, v, lr=LR, t=t)
            else:
                reference.adamw(w, g, m, v, lr=LR, weight_decay=variant.decay, t=t)
            if variant.ema is not None:
                reference.average(ema, w, decay=variant.ema)
        return w, ema


def fill(arrays: Iterable[Array], block: Array) -> None:
    for array in arrays:
        for part, values in parts(array.reshape(-1), block):
            part[...] = values


def holds(array: Array, block: Array) -> bool:
    """Whether an array consists of repetitions of a block, up to rounding (and that of a norm)."""
    return all(np.allclose(*pair, rtol=1e-4, atol=1e-4) for pair in parts(array.reshape(-1), block))
