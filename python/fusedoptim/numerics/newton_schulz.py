"""A matrix of about the same singular vectors, whose singular values are all about 1: what Muon steps along."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

COEFFICIENTS = (3.4445, -4.775, 2.0315)  # steepest at zero: five steps take singular values of 0.003 … 1 to 0.68 … 1.21


def newton_schulz(x: Array, coefficients: tuple[float, float, float], steps: int, eps: float) -> Array:
    """`steps` times ``x ← a·x + b·(x xᵀ) x + c·(x xᵀ)² x``, of ``x / max(‖x‖, eps)``.

    >>> q = newton_schulz(np.array([[30.0, 0.0], [0.0, 50.0]]), COEFFICIENTS, steps=5, eps=1e-7)
    >>> q.round(1)
    array([[0.7, 0. ],
           [0. , 1. ]])
    """
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    norm = math.sqrt(np.square(x, dtype=np.float64).sum())  # of float32 too, whose squares would overflow
    y = (x.T if tall else x) / max(norm, eps)  # of the two Gram matrices the smaller
    for _ in range(steps):
        gram = y @ y.T
        y = a * y + (b * gram + c * (gram @ gram)) @ y
    return y.T if tall else y


def size(shape: tuple[int, ...], adjust_lr_fn: str | None) -> float:
    """What the orthogonal matrix is multiplied by, so that one learning rate fits all shapes."""
    rows, columns = (max(1, n) for n in shape)
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
