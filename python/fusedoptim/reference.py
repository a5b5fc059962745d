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
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core

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


def rowwise_adagrad(w: Array, g: Array, v: Array, *, lr: float = 1e-2, eps: float = 1e-8) -> None:
    v[...] = in_double(v) + mean_square(g)
    w[...] = w - of_rows(lr / (np.sqrt(in_double(v)) + eps), w) * g


def rowwise_adam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    t: float = 1,
    weight_decay: float = 0.0,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * in_double(v) + (1 - beta2) * mean_square(g)
    step, unbias = lr / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    w[...] = (1 - lr * weight_decay) * w - of_rows(step / (np.sqrt(unbias * in_double(v)) + eps), w) * m


# Rows of a table.


def rows(rule: Callable[..., None]) -> Callable[..., None]:
    """`rule` on the rows of a table that a gradient touches. The gradients of one row are added in order of appearance."""

    def on_rows(w: Array, rows: NDArray[np.integer[Any]], g_rows: Array, *state: Array, **hyper: float) -> None:
        touched, first, place = np.unique(rows, return_index=True, return_inverse=True)
        g = g_rows[first]
        for k in np.setdiff1d(np.arange(len(rows)), first):
            g[place[k], ...] = g[place[k], ...] + g_rows[k]
        tables = [w, *state]
        parts = [table[touched] for table in tables]
        rule(parts[0], g, *parts[1:], **hyper)
        for table, part in zip(tables, parts, strict=True):
            table[touched] = part

    return on_rows


globals().update({f"{rule}_rows": rows(globals()[rule]) for rule in _core.rules_of_rows})

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., None]: ...


def mean_square(g: Array) -> NDArray[np.float64]:
    """Of each row; of a row without elements 0."""
    n = math.prod(g.shape[1:])
    return np.asarray(square_sum(g.reshape(*g.shape[:1], n)) / max(1, n))


def in_double(x: Array) -> NDArray[np.float64]:
    return np.asarray(x, np.float64)


def of_rows(factor: NDArray[np.float64], w: Array) -> Array:
    """A factor of each row of `w`, rounded once."""
    return factor.astype(w.dtype).reshape((*w.shape[:1], *(1,) * (w.ndim - 1)))


# What a step does around the rule.


def gradient(
    gs: Sequence[Array], w: Array, *, scale: float = 1.0, clip_value: float = math.inf, weight_decay: float = 0.0
) -> Array:
    """What a rule is given for the gradients of M minibatches: their mean, scaled, clipped, with the L2 penalty's own."""
    g = sum(gs) / len(gs) if len(gs) > 1 else gs[0]
    g = np.clip(scale * g, -clip_value, clip_value)
    return g + weight_decay * w if weight_decay > 0 else g


def norm(gs: Sequence[Array]) -> float:
    """The norm of several gradients together, of those in float32 first, each chunk after chunk."""
    total = 0.0
    for g in sorted(gs, key=lambda g: g.dtype.itemsize):
        for begin in range(0, g.size, 4096):
            total += square_sum(g.ravel()[begin : begin + 4096])
    return math.sqrt(total)


def square_sum(x: Array) -> Any:
    """The sum of squares along the last axis, in float64 and in a fixed order: 32 lanes over each chunk of 4096 elements,
    folded in halves, then chunk after chunk.
    """
    total = 0.0
    for begin in range(0, x.shape[-1], 4096):
        squares = np.square(np.asarray(x)[..., begin : begin + 4096], dtype=np.float64)
        padded = np.pad(squares, [(0, 0)] * (x.ndim - 1) + [(0, -squares.shape[-1] % 32)])
        lanes = np.add.reduce(padded.reshape(*x.shape[:-1], padded.shape[-1] // 32, 32), axis=-2)
        while lanes.shape[-1] > 1:
            lanes = lanes[..., : lanes.shape[-1] // 2] + lanes[..., lanes.shape[-1] // 2 :]
        total = total + lanes[..., 0]
    return total


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
