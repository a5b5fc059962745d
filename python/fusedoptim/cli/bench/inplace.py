"""The rules as a careful NumPy user would write them: ``out=`` everywhere, scratch ``a`` and ``b`` allocated once.

Not the reference's bits: what can be merged is. Hyper-parameters have the kernels' defaults.
"""

import numpy as np

from fusedoptim.reference import Array

BETA1, BETA2, EPS = 0.9, 0.999, 1e-8


def sgd(w: Array, g: Array, a: Array, b: Array, *, lr: float = 1e-2) -> None:
    np.multiply(g, lr, out=a)
    np.subtract(w, a, out=w)


def window_sgd(w: Array, g: Array, ring: Array, a: Array, b: Array, *, lr: float = 1e-2, t: int = 1) -> None:
    ring[(t - 1) % len(ring)] = g
    np.add.reduce(ring, axis=0, out=a)
    np.multiply(a, lr / min(t, len(ring)), out=a)
    np.subtract(w, a, out=w)


def momentum(w: Array, g: Array, m: Array, a: Array, b: Array, *, lr: float = 1e-2, beta: float = 0.9) -> None:
    _average(m, g, beta, a)
    np.multiply(m, lr, out=a)
    np.subtract(w, a, out=w)


def rmsprop(w: Array, g: Array, v: Array, a: Array, b: Array, *, lr: float = 1e-2, beta: float = 0.99) -> None:
    np.multiply(g, g, out=b)
    _average(v, b, beta, a)
    np.sqrt(v, out=a)
    np.add(a, EPS, out=a)
    np.divide(g, a, out=a)
    np.multiply(a, lr, out=a)
    np.subtract(w, a, out=w)


def adam(w: Array, g: Array, m: Array, v: Array, a: Array, b: Array, *, lr: float = 1e-3, t: int = 1) -> None:
    _average(m, g, BETA1, a)
    np.multiply(g, g, out=b)
    _average(v, b, BETA2, a)
    root = (1 - BETA2**t) ** 0.5  # of both sides of the division, which spares the correction of v
    np.sqrt(v, out=a)
    np.add(a, EPS * root, out=a)
    np.divide(m, a, out=a)
    np.multiply(a, lr * root / (1 - BETA1**t), out=a)
    np.subtract(w, a, out=w)


def adamw(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    a: Array,
    b: Array,
    *,
    lr: float = 1e-3,
    weight_decay: float = 1e-2,
    t: int = 1,
) -> None:
    np.multiply(w, 1 - lr * weight_decay, out=w)
    adam(w, g, m, v, a, b, lr=lr, t=t)


def _average(average: Array, x: Array, beta: float, a: Array) -> None:
    """The running average, moved on by x."""
    np.multiply(average, beta, out=average)
    np.multiply(x, 1 - beta, out=a)
    np.add(average, a, out=average)
