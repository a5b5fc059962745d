r"""The specification: every rule in NumPy, statement for statement what the kernels compute, to the bit.

Arrays are updated in place. Python numbers are computed in double and rounded once, where they meet an array: NumPy
gives ``float * float32 array`` in float32. Only :math:`+ - \times \div \sqrt{}` touch an array, so that every machine
computes the same bits.

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


def window_sgd(w: Array, g: Array, ring: Array, *, lr: float = 1e-2, t: float = 1) -> None:
    window, newest = len(ring), int(t - 1) % len(ring)
    ring[newest] = g
    w[...] = w - lr / min(t, window) * sum(np.roll(ring, -1 - newest, axis=0))  # oldest first


def momentum(w: Array, g: Array, m: Array, *, lr: float = 1e-2, beta: float = 0.9) -> None:
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * m


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


def cautious_lion(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    u = np.sign(beta1 * m + (1 - beta1) * g)
    agree = (u * g > 0).astype(w.dtype)
    w[...] = (1 - lr * weight_decay) * w - lr * (caution(agree) * agree * u)
    m[...] = beta2 * m + (1 - beta2) * g


def cautious_adam(w: Array, g: Array, m: Array, v: Array, **hyper: float) -> None:
    u = np.zeros_like(w)
    adam(u, g, m, v, **hyper)
    agree = (m * g > 0).astype(w.dtype)
    w[...] = w + caution(agree) * agree * u


def cautious_adamw(
    w: Array, g: Array, m: Array, v: Array, *, lr: float = 1e-3, weight_decay: float = 1e-2, **hyper: float
) -> None:
    w[...] = (1 - lr * weight_decay) * w
    cautious_adam(w, g, m, v, lr=lr, **hyper)


def grams(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    **hyper: float,
) -> None:
    u = np.zeros_like(w)
    adam(u, g, m, v, lr=lr, eps=eps, **hyper)
    w[...] = (1 - lr * weight_decay) * w - np.sign(g) * np.abs(u)


def schedule_free_sgd(
    w: Array, g: Array, z: Array, *, lr: float = 1.0, momentum: float = 0.9, z_weight: float = 1.0
) -> None:
    w[...] = (1 - z_weight) * w + z_weight * z - lr * (1 - momentum * (1 - z_weight)) * g
    z[...] = z - lr * g


def schedule_free_adamw(
    w: Array,
    g: Array,
    z: Array,
    v: Array,
    *,
    lr: float = 2.5e-3,
    beta1: float = 0.9,
    z_weight: float = 1.0,
    beta2: float = 0.999,
    eps: float = 1e-8,
    t: float = 1,
    weight_decay: float = 0.0,
) -> None:
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    u = g / (np.sqrt(1 / (1 - power(beta2, t)) * v) + eps) + weight_decay * w
    schedule_free_sgd(w, u, z, lr=lr, momentum=beta1, z_weight=z_weight)


def adopt(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.9999,
    eps: float = 1e-6,
    clip: float = 1.0,
    t: float = 1,
) -> None:
    limit = clip * math.sqrt(math.sqrt(t - 1)) if t > 1 else 0.0
    beta2 = beta2 if t > 1 else 0.0  # at first v is the square itself
    u = np.clip(g / np.maximum(np.sqrt(v), eps), -limit, limit)
    m[...] = beta1 * m + (1 - beta1) * u
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    w[...] = w - lr * m


def ademamix(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    m_slow: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    beta3: float = 0.9999,
    alpha: float = 5.0,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    t: float = 1,
    weight_decay: float = 0.0,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    m_slow[...] = beta3 * m_slow + (1 - beta3) * g
    unbias1, unbias2 = 1 / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    mixed = unbias1 * m + alpha * m_slow
    w[...] = (1 - lr * weight_decay) * w - lr * mixed / (np.sqrt(unbias2 * v + eps_root) + eps)


def fromage(w: Array, g: Array, *, lr: float = 1e-2, min_norm: float = 1e-6) -> None:
    shrink = 1 / math.sqrt(1 + lr * lr)
    w[...] = shrink * w - shrink * lr * trust_ratio(w, g, min_norm) * g


def lars(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float = 1e-2,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust_coefficient: float = 1e-3,
    eps: float = 0.0,
) -> None:
    u = g + weight_decay * w
    m[...] = momentum * m + lr * trust_ratio(w, u, 0, trust_coefficient, eps) * u
    w[...] = w - m


def nesterov_lars(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float = 1e-2,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust_coefficient: float = 1e-3,
    eps: float = 0.0,
) -> None:
    u = g + weight_decay * w
    step = lr * trust_ratio(w, u, 0, trust_coefficient, eps) * u
    m[...] = momentum * m + step
    w[...] = w - (momentum * m + step)


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


def novograd(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.25,
    eps: float = 1e-6,
    eps_root: float = 0.0,
    t: float = 1,
    weight_decay: float = 0.0,
) -> None:
    beta2 = beta2 if t > 1 else 0.0  # at first v is the square itself
    v[...] = beta2 * float(v) + (1 - beta2) * square_sum([g])
    factor = 1 / (math.sqrt(float(v) + eps_root) + eps)
    m[...] = beta1 * m + (factor * g + weight_decay * w)
    w[...] = w - lr * m


# What a step does around the rule.


def gradient(
    gs: Sequence[Array], w: Array, *, scale: float = 1.0, clip_value: float = math.inf, weight_decay: float = 0.0
) -> Array:
    """What a rule is given for the gradients of M minibatches: their mean, scaled, clipped, with the L2 penalty's own."""
    g = sum(gs) / len(gs) if len(gs) > 1 else gs[0]
    g = np.clip(scale * g, -clip_value, clip_value)
    return g + weight_decay * w if weight_decay > 0 else g


def norm(gs: Sequence[Array]) -> float:
    """The norm of several gradients together, of those in float32 first."""
    return math.sqrt(square_sum(sorted(gs, key=lambda g: g.dtype.itemsize)))


def square_sum(gs: Sequence[Array]) -> float:
    """In float64 and in a fixed order: 32 lanes over each chunk of 4096 elements, folded in halves, then chunk after chunk."""
    total = 0.0
    for g in gs:
        for begin in range(0, g.size, 4096):
            squares = np.square(np.asarray(g).ravel()[begin : begin + 4096], dtype=np.float64)
            lanes = np.add.reduce(np.pad(squares, (0, -squares.size % 32)).reshape(-1, 32), axis=0)
            while lanes.size > 1:
                lanes = lanes[: lanes.size // 2] + lanes[lanes.size // 2 :]
            total += float(lanes[0])
    return total


def trust_ratio(w: Array, u: Array, min_norm: float = 0.0, coefficient: float = 1.0, eps: float = 0.0) -> float:
    above, below = max(norm([w]), min_norm), max(norm([u]), min_norm)
    return coefficient * above / (below + eps) if above > 0 and below > 0 else 1.0


def caution(agree: Array) -> float:
    return 1 / max(int(np.count_nonzero(agree)) / max(agree.size, 1), 1e-3)


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
