"""A model's tensors and what steps on them have to come to: a competitor is made on them, checked, then timed."""

from functools import partial
from math import prod, sqrt
from timeit import Timer

import numpy as np

from fusedoptim import _core, reference
from fusedoptim.cli.bench.blocks import BLOCK, fill, holds
from fusedoptim.cli.bench.competitors import LIMIT, MismatchError
from fusedoptim.cli.bench.timing import interleave
from fusedoptim.core.arena import allocate
from models import VARIANTS, shapes
from peers import LR, OURS, PEERS, Competitor

MOST_CALLS = 256  # in a sample after which gradients are zero: more would let the averages decay into subnormals
FACTORS = (1.0, 0.25, 3.0)  # of the gradients in the steps of a check: Adam would not notice a constant factor
NORM = 2.0  # of all gradients together, so that these steps are clipped, not clipped, clipped


class Field:
    """The tensors of a model, whoever steps on them, and what each step has to come to."""

    def __init__(self, model: str, variant: str) -> None:
        self.model, self.name, self.variant = model, variant, VARIANTS[variant]
        sizes = [prod(shape) for shape in shapes(model)]
        self.total = sum(sizes)
        self.weights, self.grads = [[np.empty(shape, np.float32) for shape in shapes(model)] for _ in range(2)]
        self.w, self.g = np.random.default_rng(0).standard_normal((2, BLOCK), np.float32)  # what each begins with
        squares = np.concatenate([[0], np.cumsum(np.square(self.g, dtype=np.float64))])
        self.g *= np.float32(NORM / sqrt(sum(n // BLOCK * squares[-1] + squares[n % BLOCK] for n in sizes)))

    def make(self, name: str) -> Competitor:
        fill(self.w, *self.weights)
        fill(self.g, *self.grads)
        return (OURS | PEERS)[name](self.weights, self.grads, self.variant)

    def check(self, name: str, competitor: Competitor) -> float:
        """Raises MismatchError unless it does the update of the reference; returns the relative error of its norm."""
        norm = competitor.norm() or NORM
        fill(self.w, *self.weights)
        for factor in FACTORS:
            fill(np.float32(factor) * self.g, *self.grads)
            competitor.load(self.grads)
            competitor.step()
        weights, averages = competitor.result()
        w, ema = self.expected(norm)
        same = partial(np.allclose, rtol=1e-4, atol=1e-4)  # up to rounding, and that of a norm
        right = len(averages) == (len(weights) if self.variant.ema is not None else 0)
        right = right and holds(w, *weights, same=same) and holds(ema, *averages, same=same)
        if not right or (self.variant.zero and any(g.any() for g in competitor.grads)):
            raise MismatchError(f"{name} computes another step than the reference on {self.model}")
        return norm / NORM - 1 if self.variant.clip is not None else 0.0

    def expected(self, norm: float) -> tuple[np.ndarray, np.ndarray]:
        """The block of the weights, and of their average, after the steps of a check, clipped by such a norm."""
        v, adam = self.variant, self.variant.pick(reference.adam, reference.adamw)
        w, ema, *moments = self.w.copy(), self.w.copy(), *np.zeros((2, BLOCK), np.float32)
        for t, factor in enumerate(FACTORS, start=1):
            scale = 1.0 if v.clip is None else min(1.0, v.clip / (factor * norm))
            adam(w, reference.gradient([factor * self.g], w, scale=scale), *moments, lr=LR, t=t)
            if v.ema is not None:
                reference.average(ema, w, decay=v.ema)
        return w, ema

    def limit(self) -> Timer:
        """A loop with the loads and stores of a plain step, over one buffer in place of each kind of array."""
        buffers = [allocate([((self.total,), np.dtype(np.float32))], slot)[0] for slot in range(4)]
        fill(self.g, *buffers)
        return Timer(partial(_core.traffic2, *buffers))

    def time(self, competitors: dict[str, Competitor], repetitions: int, limit: bool) -> dict[str, list[float]]:
        def reset(name: str) -> None:
            if (self.variant.zero or self.variant.clip is not None) and name in competitors:
                fill(self.g, *self.grads)
                competitors[name].load(self.grads)

        timers = {name: Timer(competitor.step) for name, competitor in competitors.items()}
        if limit:
            timers[LIMIT] = self.limit()
        return interleave(timers, repetitions, reset, MOST_CALLS)
