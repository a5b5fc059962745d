r"""The specification: every rule in NumPy, statement for statement what the kernels compute, to the bit.

Arrays are updated in place. Python numbers are computed in double and rounded once, where they meet an array: NumPy
gives ``float * float32 array`` in float32. Only :math:`+ - \times \div \sqrt{} |\cdot|`, max and sign touch an array, so
that every machine computes the same bits.

>>> import numpy as np
>>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
>>> sgd(w, g, lr=0.1)
>>> w
array([0.95, 2.05])
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def sgd(w: Array, g: Array, *, lr: float = 1e-2, weight_decay: float = 0.0) -> None:
    w[...] = (1 - lr * weight_decay) * w - lr * g


def sign_sgd(w: Array, g: Array, *, lr: float = 1e-3, weight_decay: float = 0.0) -> None:
    w[...] = (1 - lr * weight_decay) * w - lr * np.sign(g)


def window_sgd(w: Array, g: Array, ring: Array, *, lr: float = 1e-2, t: float = 1) -> None:
    window, newest = len(ring), int(t - 1) % len(ring)
    ring[newest] = g
    w[...] = w - lr / min(t, window) * sum(np.roll(ring, -1 - newest, axis=0))  # oldest first


def noisy_sgd(
    w: Array, g: Array, noise: Array, *, lr: float = 1e-2, eta: float = 0.01, gamma: float = 0.55, t: float = 1
) -> None:
    w[...] = w - lr * (g + math.sqrt(eta * t**-gamma) * noise)


def optimistic_gradient_descent(
    w: Array, g: Array, prev: Array, *, lr: float = 1e-2, optimism: float = 1.0, t: float = 1
) -> None:
    d = g - prev if t > 1 else np.zeros_like(g)
    w[...] = w - lr * (g + optimism * d)
    prev[...] = g


def momentum(w: Array, g: Array, m: Array, *, lr: float = 1e-2, beta: float = 0.9) -> None:
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * m


def nesterov(w: Array, g: Array, m: Array, *, lr: float = 1e-2, beta: float = 0.9) -> None:
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * (beta * m + (1 - beta) * g)


def signum(w: Array, g: Array, m: Array, *, lr: float = 1e-3, beta: float = 0.9, weight_decay: float = 0.0) -> None:
    m[...] = beta * m + (1 - beta) * g
    w[...] = (1 - lr * weight_decay) * w - lr * np.sign(m)


def lion(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    w[...] = (1 - lr * weight_decay) * w - lr * np.sign(beta1 * m + (1 - beta1) * g)
    m[...] = beta2 * m + (1 - beta2) * g


def rmsprop(
    w: Array, g: Array, v: Array, *, lr: float = 1e-2, beta: float = 0.99, eps: float = 1e-8, eps_root: float = 0.0
) -> None:
    v[...] = beta * v + (1 - beta) * (g * g)
    w[...] = w - lr * g / (np.sqrt(v + eps_root) + eps)


def adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    t: float = 1,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    step, unbias = lr / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    w[...] = w - step * m / (np.sqrt(unbias * v + eps_root) + eps)


def adamw(
    w: Array, g: Array, m: Array, v: Array, *, lr: float = 1e-3, weight_decay: float = 1e-2, **hyper: float
) -> None:
    w[...] = (1 - lr * weight_decay) * w
    adam(w, g, m, v, lr=lr, **hyper)


def nadamw(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    t: float = 1,
    weight_decay: float = 1e-4,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    lr_m, lr_g = lr * beta1 / (1 - power(beta1, t + 1)), lr * (1 - beta1) / (1 - power(beta1, t))
    unbias = 1 / (1 - power(beta2, t))
    w[...] = (1 - lr * weight_decay) * w - (lr_m * m + lr_g * g) / (np.sqrt(unbias * v + eps_root) + eps)


def adamaxw(
    w: Array,
    g: Array,
    m: Array,
    u: Array,
    *,
    lr: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    t: float = 1,
    weight_decay: float = 1e-4,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    u[...] = np.maximum(beta2 * u, np.abs(g) + eps)
    w[...] = (1 - lr * weight_decay) * w - lr / (1 - power(beta1, t)) * m / u


def amsgrad(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    t: float = 1,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    v_max[...] = np.maximum(v_max, 1 / (1 - power(beta2, t)) * v)
    w[...] = w - lr / (1 - power(beta1, t)) * m / (np.sqrt(v_max + eps_root) + eps)


def adabelief(
    w: Array,
    g: Array,
    m: Array,
    s: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-16,
    eps_root: float = 1e-16,
    t: float = 1,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    s[...] = beta2 * s + (1 - beta2) * ((g - m) * (g - m)) + eps_root
    w[...] = w - lr / (1 - power(beta1, t)) * m / (np.sqrt(1 / (1 - power(beta2, t)) * s) + eps)


def yogi(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-2,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-3,
    t: float = 1,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = v - (1 - beta2) * (np.sign(v - g * g) * (g * g))
    w[...] = w - lr / (1 - power(beta1, t)) * m / (np.sqrt(1 / (1 - power(beta2, t)) * v) + eps)


def adan(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    n: Array,
    prev: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.98,
    beta2: float = 0.92,
    beta3: float = 0.99,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    t: float = 1,
    weight_decay: float = 0.0,
) -> None:
    d = g - prev if t > 1 else np.zeros_like(g)
    ahead = g + beta2 * d
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * d
    n[...] = beta3 * n + (1 - beta3) * (ahead * ahead)
    lr_m, lr_v, unbias = lr / (1 - power(beta1, t)), lr * beta2 / (1 - power(beta2, t)), 1 / (1 - power(beta3, t))
    w[...] = 1 / (1 + lr * weight_decay) * (w - (lr_m * m + lr_v * v) / (np.sqrt(unbias * n + eps_root) + eps))
    prev[...] = g


def lamb(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-6,
    eps_root: float = 0.0,
    t: float = 1,
    weight_decay: float = 0.0,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    unbias1, unbias2 = 1 / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    u = unbias1 * m / (np.sqrt(unbias2 * v + eps_root) + eps) + weight_decay * w
    w[...] = w - lr * trust_ratio(w, u) * u


# What a step does around the rule.


def gradient(
    gs: Sequence[Array], w: Array, *, scale: float = 1.0, clip_value: float = math.inf, weight_decay: float = 0.0
) -> Array:
    """What a rule is given for the gradients of M minibatches: their mean, scaled, clipped, with the L2 penalty's own."""
    g = sum(gs) / len(gs) if len(gs) > 1 else gs[0]
    g = np.clip(scale * g, -clip_value, clip_value)
    return g + weight_decay * w if weight_decay > 0 else g


def norm(gs: Sequence[Array]) -> float:
    """The norm of several gradients together, of those in float32 first.

    In float64 and in a fixed order: 32 lanes over each chunk of 4096 elements, folded in halves, then chunk after chunk.
    """
    total = 0.0
    for g in sorted(gs, key=lambda g: g.dtype.itemsize):
        for begin in range(0, g.size, 4096):
            squares = np.square(np.asarray(g).ravel()[begin : begin + 4096], dtype=np.float64)
            lanes = np.add.reduce(np.pad(squares, (0, -squares.size % 32)).reshape(-1, 32), axis=0)
            while lanes.size > 1:
                lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
            total += float(lanes[0])
    return math.sqrt(total)


def trust_ratio(w: Array, u: Array) -> float:
    above, below = norm([w]), norm([u])
    return above / below if above > 0 and below > 0 else 1.0


def average(ema: Array, w: Array, *, decay: float) -> None:
    ema[...] = decay * ema + (1 - decay) * w


def power(base: float, exponent: float) -> float:
    """``base**exponent`` for ``base < 1``, by repeated squaring: unlike pow(), the same bits with every C library."""
    if exponent >= 2**63:
        return 0.0
    result, n = 1.0, int(exponent)
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result
