"""The digits, and a training run."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fusedoptim.cli.demo import mlp
from fusedoptim.cli.demo.optimizers import Make
from fusedoptim.cli.demo.twin import Twin

BATCH = 32
SIZES = [64, 128, 64, 10]


@dataclass
class Digits:
    """Images of handwritten digits, 8 x 8 pixels in 0 ... 1. A fifth is held out of training."""

    x: mlp.Array
    y: NDArray[Any]
    x_test: mlp.Array
    y_test: NDArray[Any]


@dataclass
class Run:
    """What a training run came to."""

    losses: list[float] = field(default_factory=list)  # on all training images: at the start, then after each epoch
    test_losses: list[float] = field(default_factory=list)  # on those held out
    test_accuracy: float = 0.0
    steps: int = 0
    seconds: float = 0.0  # in our optimizer
    reference_seconds: float = 0.0  # in the NumPy reference
    same_bits: bool = False


def digits(seed: int) -> Digits:
    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(
        (x / 16).astype(np.float32), y, test_size=0.2, stratify=y, random_state=seed
    )
    return Digits(x, y, x_test, y_test)


def train(make: Make, data: Digits, epochs: int, seed: int, progress: Callable[[], None]) -> Run:
    """One training run; for a seed, all optimizers start from the same weights and see the same minibatches."""
    rng = np.random.default_rng(seed)
    params = mlp.init(SIZES, rng)
    opt = make(params)
    twin = Twin(opt)
    run = Run(losses=[loss(params, data)], test_losses=[test_loss(params, data)])
    for _ in range(epochs):
        for grads in gradients(params, data, rng):
            begin = time.perf_counter()
            opt.step(grads)
            middle = time.perf_counter()
            twin.step(grads, opt.t)
            run.seconds += middle - begin
            run.reference_seconds += time.perf_counter() - middle
        run.losses.append(loss(params, data))
        run.test_losses.append(test_loss(params, data))
        progress()
    run.test_accuracy = mlp.accuracy(params, data.x_test, data.y_test)
    run.steps, run.same_bits = opt.t, twin.equals(opt)
    return run


def gradients(params: mlp.Layers, data: Digits, rng: np.random.Generator) -> Iterator[mlp.Layers]:
    """The gradient of each minibatch of an epoch, at the weights as they are when it is asked for."""
    order = rng.permutation(len(data.y))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        batch = order[start : start + BATCH]
        yield mlp.backward(params, data.x[batch], data.y[batch])


def loss(params: mlp.Layers, data: Digits) -> float:
    return mlp.cross_entropy(mlp.forward(params, data.x)[-1], data.y)


def test_loss(params: mlp.Layers, data: Digits) -> float:
    return mlp.cross_entropy(mlp.forward(params, data.x_test)[-1], data.y_test)
