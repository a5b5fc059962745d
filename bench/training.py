"""A whole training loop that somebody else wrote: scikit-learn's MLPClassifier with its own Adam, or with ours instead.

Where scikit-learn is not installed, the same network in NumPy.
"""

import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim import reference
from fusedoptim.reference import Array

HIDDEN, BATCH, CLASSES, FEATURES = (512, 256), 32, 10, 64
LR, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
WHOSE = "scikit-learn" if find_spec("sklearn") else "textbook NumPy"


def train(ours: bool, samples: int, iterations: int) -> tuple[float, float, int]:
    """The seconds that it took, the loss at the end, and the number of weights."""
    return (_sklearn if find_spec("sklearn") else _numpy)(ours, samples, iterations)


def _sklearn(ours: bool, samples: int, iterations: int) -> tuple[float, float, int]:
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier, _multilayer_perceptron

    theirs = _multilayer_perceptron.AdamOptimizer

    class Ours(theirs):  # type: ignore[misc, valid-type]
        def __init__(self, params: list[Array], *args: Any) -> None:
            super().__init__([], *args)
            betas = self.beta_1, self.beta_2
            self.optimizer = fo.Adam(params, self.learning_rate_init, betas=betas, eps=self.epsilon)

        def update_params(self, params: list[Array], grads: list[Array]) -> None:
            self.optimizer.step(grads)

    x, y = load_digits(return_X_y=True)
    network = MLPClassifier(HIDDEN, batch_size=BATCH, max_iter=iterations, random_state=0)
    _multilayer_perceptron.AdamOptimizer = Ours if ours else theirs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            begin = time.perf_counter()
            network.fit(x[:samples] / 16, y[:samples])
            seconds = time.perf_counter() - begin
    finally:
        _multilayer_perceptron.AdamOptimizer = theirs
    return seconds, float(network.loss_), sum(w.size for w in network.coefs_ + network.intercepts_)


def _numpy(ours: bool, samples: int, iterations: int) -> tuple[float, float, int]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((samples, FEATURES))
    y = np.argmax(x @ rng.standard_normal((FEATURES, CLASSES)), axis=1)
    sizes = (FEATURES, *HIDDEN, CLASSES)
    params = [rng.normal(0, n**-0.5, (n, m)) for n, m in pairwise(sizes)]
    params += [np.zeros(m) for m in sizes[1:]]
    update = fo.Adam(params, LR).step if ours else _textbook(params)
    begin = time.perf_counter()
    for _ in range(iterations):
        order, total = rng.permutation(samples), 0.0
        for start in range(0, samples, BATCH):
            batch = order[start : start + BATCH]
            loss, grads = _backpropagate(params, x[batch], y[batch])
            update(grads)
            total += loss
    return time.perf_counter() - begin, total / samples, sum(w.size for w in params)


def _backpropagate(params: list[Array], x: Array, y: Array) -> tuple[float, list[Array]]:
    """The sum of the losses, and the gradients of their mean: of a network with ReLU and softmax."""
    layers = len(params) // 2
    weights, biases = params[:layers], params[layers:]
    inputs = [x]
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        inputs.append(np.maximum(inputs[-1] @ w + b, 0))
    outputs = inputs[-1] @ weights[-1] + biases[-1]
    error = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    error /= error.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = -float(np.log(error[rows, y]).sum())
    error[rows, y] -= 1
    error /= len(y)
    of_weights, of_biases = [], []
    for w, before in zip(weights[::-1], inputs[::-1], strict=True):
        of_weights.append(before.T @ error)
        of_biases.append(error.sum(axis=0))
        error = error @ w.T * (before > 0)
    return loss, of_weights[::-1] + of_biases[::-1]


def _textbook(params: list[Array]) -> Callable[[list[Array]], None]:
    moments = [np.zeros((2, *w.shape)) for w in params]
    t = 0

    def update(grads: list[Array]) -> None:
        nonlocal t
        t += 1
        for w, g, (m, v) in zip(params, grads, moments, strict=True):
            reference.adam(w, g, m, v, lr=LR, beta1=BETA1, beta2=BETA2, eps=EPS, t=t)

    return update
