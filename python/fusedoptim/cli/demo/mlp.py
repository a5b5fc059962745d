"""A multilayer perceptron in plain NumPy.

Its parameters are a list of layers, each a dict of a matrix "w" and a vector "b"; so are its gradients.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Layers = list[dict[str, Array]]


def init(sizes: list[int], rng: np.random.Generator) -> Layers:
    """Layers of these sizes, from the inputs to the classes. sqrt(2 / inputs) keeps the signal's size (He 2015)."""
    return [
        {
            "w": (rng.standard_normal((n_in, n_out)) * np.sqrt(2 / n_in)).astype(np.float32),
            "b": np.zeros(n_out, np.float32),
        }
        for n_in, n_out in pairwise(sizes)
    ]


def forward(params: Layers, x: Array) -> list[Array]:
    """What goes into each layer, and last the logits that come out."""
    values = [x]
    for layer in params[:-1]:
        values.append(np.maximum(values[-1] @ layer["w"] + layer["b"], 0))  # ReLU
    values.append(values[-1] @ params[-1]["w"] + params[-1]["b"])
    return values


def softmax(logits: Array) -> Array:
    """The probability of each class; the largest logit is subtracted so that exp cannot overflow."""
    e: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    return e


def cross_entropy(logits: Array, y: NDArray[Any]) -> float:
    """The mean of -log(probability of the right class)."""
    p = softmax(logits)[np.arange(len(y)), y]
    return float(-np.log(np.maximum(p, np.finfo(p.dtype).tiny)).mean())


def backward(params: Layers, x: Array, y: NDArray[Any]) -> Layers:
    """The gradient of the mean cross-entropy: the chain rule, from the last layer to the first."""
    values = forward(params, x)
    error = softmax(values[-1])
    error[np.arange(len(y)), y] -= 1  # d loss / d logits, for each sample
    error /= len(y)
    grads: Layers = []
    for layer, value in zip(reversed(params), reversed(values[:-1]), strict=True):
        grads.insert(0, {"w": value.T @ error, "b": error.sum(axis=0)})
        error = (error @ layer["w"].T) * (value > 0)  # through the ReLU
    return grads


def accuracy(params: Layers, x: Array, y: NDArray[Any]) -> float:
    return float((forward(params, x)[-1].argmax(axis=1) == y).mean())
