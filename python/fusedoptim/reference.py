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

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core
from fusedoptim.numerics.elementary import power
from fusedoptim.numerics.newton_schulz import COEFFICIENTS, newton_schulz, size

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


def adabound(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    final_lr: float = 0.1,
    gamma: float = 1e-3,
    t: float = 1,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    rate = lr * math.sqrt(1 - power(beta2, t)) / (1 - power(beta1, t))
    lower, upper = final_lr * (1 - 1 / (gamma * t + 1)), final_lr * (1 + 1 / (gamma * t))
    w[...] = w - np.clip(rate / (np.sqrt(v) + eps), lower, upper) * m


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


def sm3(
    w: Array, g: Array, m: Array, v: Array, *, lr: float = 0.1, momentum: float = 0.9, eps_root: float = 1e-8
) -> None:
    n = g * g + functools.reduce(np.minimum, of_axes(v, w.shape))
    m[...] = momentum * m + (1 - momentum) * (g / np.sqrt(np.where(np.asarray(n) > 0, n + eps_root, 1)))
    w[...] = w - lr * m
    for axis, most in enumerate(of_axes(v, w.shape) if w.size else []):
        others = tuple(k for k in range(w.ndim) if k != axis)
        most[...] = np.asarray(n).max(axis=others, keepdims=True)


def adafactor(
    w: Array,
    g: Array,
    row_var: Array,
    col_var: Array,
    *,
    lr: float = 1e-2,
    beta2_decay: float = -0.8,
    eps1: float = math.inf,
    eps2: float = 1e-3,
    d: float = 1.0,
    weight_decay: float = 0.0,
    t: float = 1,
) -> None:
    if w.size == 0:
        return
    rest, eps1 = power(t, beta2_decay), eps1 if eps1 < math.inf else float(np.finfo(w.dtype).eps)
    step = min(lr, 1 / math.sqrt(t)) * max(eps2, rms(w))
    if w.ndim < 2:
        row_var[...] = v = (1 - rest) * row_var + rest * (g * g)
    else:
        row_var[...] = (1 - rest) * row_var + rest * (row_square_sums(g) / w.shape[-1]).astype(w.dtype)
        col_var[...] = (1 - rest) * col_var + rest * (column_square_sums(g) / w.shape[-2]).astype(w.dtype)
        mean = in_order(np.asarray(row_var, np.float64), axis=-2) / w.shape[-2]
        v = row_var / np.maximum(mean, eps1).astype(w.dtype) * col_var
    u = g / np.sqrt(np.maximum(v, eps1 * eps1))
    w[...] = (1 - lr * weight_decay) * w - step / max(1.0, rms(u) / d) * u


def muon(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float = 1e-3,
    momentum: float = 0.95,
    weight_decay: float = 0.1,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
    ns_steps: int = 5,
    eps: float = 1e-7,
    adjust_lr_fn: str | None = None,
) -> None:
    m[...] = momentum * m + (1 - momentum) * g
    u = (1 - momentum) * g + momentum * m if nesterov else m
    u = size(u.shape, adjust_lr_fn) * newton_schulz(u, ns_coefficients, ns_steps, eps)
    w[...] = (1 - lr * weight_decay) * w - lr * u


def heavy_ball(
    w: Array, g: Array, m: Array, *, lr: float = 1e-2, momentum: float = 0.9, dampening: float = 0.0, t: float = 1
) -> None:
    m[...] = momentum * m + (1 if t == 1 else 1 - dampening) * g
    w[...] = w - lr * m


def nesterov_momentum(w: Array, g: Array, m: Array, *, lr: float = 1e-2, momentum: float = 0.9) -> None:
    m[...] = momentum * m + g
    w[...] = w - lr * (g + momentum * m)


def asgd(
    w: Array, g: Array, ax: Array, *, lr: float = 1e-2, lambd: float = 1e-4, slowdown: float = 1.0, mu: float = 1.0
) -> None:
    eta = lr * slowdown
    w[...] = (1 - lambd * eta) * w - eta * g
    ax[...] = ax + mu * (w - ax) if mu != 1 else w


def rprop(
    w: Array,
    g: Array,
    prev: Array,
    step: Array,
    *,
    lr: float = 1e-2,
    eta_minus: float = 0.5,
    eta_plus: float = 1.2,
    step_min: float = 1e-6,
    step_max: float = 50.0,
) -> None:
    agree = np.sign(g) * np.sign(prev)
    step[...] = np.where(step == 0, lr, step)  # it begins
    step[...] = np.where(agree > 0, eta_plus * step, np.where(agree < 0, eta_minus * step, step))
    step[...] = np.minimum(np.maximum(step, step_min), step_max)
    prev[...] = np.where(agree < 0, 0, g)
    w[...] = w - step * np.sign(prev)


def adagrad(
    w: Array,
    g: Array,
    v: Array,
    *,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    eps_root: float = 0.0,
    t: float = 1,
) -> None:
    v[...] = v + g * g
    w[...] = w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(v + eps_root) + eps)


def rmsprop_centered(
    w: Array,
    g: Array,
    v: Array,
    m: Array,
    *,
    lr: float = 1e-2,
    beta: float = 0.99,
    eps: float = 1e-8,
    eps_root: float = 0.0,
) -> None:
    v[...] = beta * v + (1 - beta) * (g * g)
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * g / (np.sqrt(np.maximum(v - m * m, 0) + eps_root) + eps)


def rmsprop_momentum(
    w: Array,
    g: Array,
    v: Array,
    b: Array,
    *,
    lr: float = 1e-2,
    beta: float = 0.99,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    momentum: float = 0.9,
) -> None:
    v[...] = beta * v + (1 - beta) * (g * g)
    b[...] = momentum * b + g / (np.sqrt(v + eps_root) + eps)
    w[...] = w - lr * b


def rmsprop_centered_momentum(
    w: Array,
    g: Array,
    v: Array,
    m: Array,
    b: Array,
    *,
    lr: float = 1e-2,
    beta: float = 0.99,
    eps: float = 1e-8,
    eps_root: float = 0.0,
    momentum: float = 0.9,
) -> None:
    v[...] = beta * v + (1 - beta) * (g * g)
    m[...] = beta * m + (1 - beta) * g
    b[...] = momentum * b + g / (np.sqrt(np.maximum(v - m * m, 0) + eps_root) + eps)
    w[...] = w - lr * b


def adadelta(w: Array, g: Array, v: Array, d: Array, *, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6) -> None:
    v[...] = rho * v + (1 - rho) * (g * g)
    step = np.sqrt(d + eps) / np.sqrt(v + eps) * g
    d[...] = rho * d + (1 - rho) * (step * step)
    w[...] = w - lr * step


def adam_amsgrad(
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
    v_max[...] = np.maximum(v_max, v)
    step, unbias = lr / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    w[...] = w - step * m / (np.sqrt(unbias * v_max + eps_root) + eps)


def adamw_amsgrad(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    v_max: Array,
    *,
    lr: float = 1e-3,
    weight_decay: float = 1e-2,
    **hyper: float,
) -> None:
    w[...] = (1 - lr * weight_decay) * w
    adam_amsgrad(w, g, m, v, v_max, lr=lr, **hyper)


def adamax(
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
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    u[...] = np.maximum(beta2 * u, np.abs(g) + eps)
    w[...] = w - lr / (1 - power(beta1, t)) * m / u


def nadam(
    w: Array,
    g: Array,
    m: Array,
    v: Array,
    *,
    lr: float = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    mu_decay: float = 0.9998367253526753,
    mu_product: float = 1.0,
    t: float = 1,
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    mu, mu_next = (beta1 * (1 - 0.5 * power(mu_decay, s)) for s in (t, t + 1))
    ahead, along = lr * (1 - mu) / (1 - mu_product * mu), lr * mu_next / (1 - mu_product * mu * mu_next)
    w[...] = w - (ahead * g + along * m) / (np.sqrt(1 / (1 - power(beta2, t)) * v) + eps)


def nadam_decoupled(
    w: Array, g: Array, m: Array, v: Array, *, lr: float = 2e-3, weight_decay: float = 0.0, **hyper: float
) -> None:
    w[...] = (1 - lr * weight_decay) * w
    nadam(w, g, m, v, lr=lr, **hyper)


def radam(
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
) -> None:
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    step, r = lr / (1 - power(beta1, t)), rectification(beta2, t)
    w[...] = w - (step * r * m / (np.sqrt(v) + eps) if r > 0 else step * m)


def radam_decoupled(
    w: Array, g: Array, m: Array, v: Array, *, lr: float = 1e-3, weight_decay: float = 0.0, **hyper: float
) -> None:
    w[...] = (1 - lr * weight_decay) * w
    radam(w, g, m, v, lr=lr, **hyper)


def sign_sgd(w: Array, g: Array, *, lr: float = 1e-3, weight_decay: float = 0.0) -> None:
    w[...] = (1 - lr * weight_decay) * w - lr * np.sign(g)


def noisy_sgd(
    w: Array, g: Array, noise: Array, *, lr: float = 1e-2, eta: float = 0.01, gamma: float = 0.55, t: float = 1
) -> None:
    w[...] = w - lr * (g + math.sqrt(eta * power(t, -gamma)) * noise)


def optimistic_gradient_descent(
    w: Array, g: Array, prev: Array, *, lr: float = 1e-2, optimism: float = 1.0, t: float = 1
) -> None:
    d = g - prev if t > 1 else np.zeros_like(g)
    w[...] = w - lr * (g + optimism * d)
    prev[...] = g


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
        for chunk in chunk_square_sums(np.asarray(g).reshape(1, -1)):
            total += float(chunk[0])
    return total


def chunk_square_sums(rows: Array) -> Iterator[Array]:
    """The sums of the squares of each row's first 4096 elements, of the next, and so on."""
    for begin in range(0, rows.shape[1], 4096):
        squares = np.square(rows[:, begin : begin + 4096], dtype=np.float64)
        padded = np.pad(squares, ((0, 0), (0, -squares.shape[1] % 32)))
        lanes = np.add.reduce(padded.reshape(len(rows), padded.shape[1] // 32, 32), axis=1)
        while lanes.shape[1] > 1:
            lanes = lanes[:, : lanes.shape[1] // 2] + lanes[:, lanes.shape[1] // 2 :]
        yield lanes[:, 0]


def row_square_sums(x: Array) -> Array:
    """The sum of the squares of each row of the last axis, chunk after chunk."""
    total = np.zeros(x.shape[:-1])
    for chunk in chunk_square_sums(np.asarray(x).reshape(total.size, -1)) if x.size > 0 else ():
        total = total + chunk.reshape(total.shape)
    return total[..., np.newaxis]


def column_square_sums(x: Array) -> Array:
    """That of each column of the last two axes: in bands of 16384 elements, but at most 64 bands, one after the other."""
    rows, columns = x.shape[-2:]
    height = max(-(-16384 // columns), -(-rows // 64))
    squares = np.square(np.asarray(x), dtype=np.float64)
    bands = [in_order(squares[..., k : k + height, :], axis=-2) for k in range(0, rows, height)]
    return in_order(np.concatenate(bands, axis=-2), axis=-2)


def in_order(x: Array, axis: int) -> Array:
    """The sum along an axis, one number after the other: ``np.sum`` may add in pairs."""
    return np.take(np.cumsum(x, axis=axis), [-1], axis=axis)


def rms(x: Array) -> float:
    return math.sqrt(float(in_order(row_square_sums(x).ravel(), axis=0)[0]) / x.size)


def mean_square(g: Array) -> NDArray[np.float64]:
    """The mean square of each index of the first axis; 0 where it has no elements."""
    n = math.prod(g.shape[1:])
    return (row_square_sums(g.reshape(*g.shape[:1], n)) / max(1, n)).reshape(g.shape[:1])


def in_double(x: Array) -> NDArray[np.float64]:
    return np.asarray(x, np.float64)


def of_rows(factor: NDArray[np.float64], w: Array) -> Array:
    """A factor of each row of `w`, rounded once."""
    return factor.astype(w.dtype).reshape((*w.shape[:1], *(1,) * (w.ndim - 1)))


def of_axes(v: Array, shape: tuple[int, ...]) -> list[Array]:
    """What SM3 keeps for each axis, as it broadcasts to the weight."""
    ends = np.cumsum(shape or (1,), dtype=int)
    parts = np.split(v, ends[:-1])
    return [part.reshape([-1 if k == axis else 1 for k in range(len(shape))]) for axis, part in enumerate(parts)]


def trust_ratio(w: Array, u: Array, min_norm: float = 0.0, coefficient: float = 1.0, eps: float = 0.0) -> float:
    above, below = max(norm([w]), min_norm), max(norm([u]), min_norm)
    return coefficient * above / (below + eps) if above > 0 and below > 0 else 1.0


def average(ema: Array, w: Array, *, decay: float) -> None:
    ema[...] = decay * ema + (1 - decay) * w


def rectification(beta2: float, t: float) -> float:
    """RAdam's r √(1 - beta2^t), or 0 where v is not used yet."""
    rest, rho_inf = power(beta2, t), 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * rest / (1 - rest)
    above, below = (rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho
    return math.sqrt(above / below * (1 - rest)) if rho > 5 else 0.0


def caution(agree: Array) -> float:
    return 1 / max(int(np.count_nonzero(agree)) / max(agree.size, 1), 1e-3)
