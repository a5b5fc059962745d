r"""The specification: every rule in NumPy, statement for statement what the kernels compute, to the bit.

Arrays are updated in place. Python numbers are computed in double and rounded once, where they meet an array: NumPy
gives ``float * float32 array`` in float32. Only :math:`+ - \times \div \sqrt{}` touch an array, so that every machine
computes the same bits. Hyper-parameters have the names and the defaults of the kernels, ``_core.rule_hypers``: the
names are written here again, the defaults are not.

>>> import numpy as np
>>> w, g = np.array([1.0, 2.0]), np.array([0.5, -0.5])
>>> sgd(w, g, lr=0.1)
>>> w
array([0.95, 2.05])
"""

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core
from fusedoptim.numerics import formats
from fusedoptim.numerics.elementary import power
from fusedoptim.numerics.newton_schulz import COEFFICIENTS, newton_schulz, size

__all__ = list(_core.rule_states) + [f"{rule}_rows" for rule in _core.rules_of_rows]
__all__ += ["average", "gradient", "norm", "power"]

Array = NDArray[np.floating[Any]]


def rule(formula: Callable[..., None]) -> Callable[..., None]:
    """`formula` with the kernel's defaults for what a caller leaves out, as its signature shows them.

    Arrays may lie in fewer bits where the kernel takes them: they are loaded before, and stored after.
    """
    defaults = _core.rule_hypers[formula.__name__]
    hypers = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=x) for name, x in defaults.items()]
    written = inspect.signature(formula).parameters.values()
    own = [p for p in written if p.name not in defaults and p.kind is not p.VAR_KEYWORD]
    exponents = _core.narrow_states.get(formula.__name__)
    if exponents is not None:
        hypers.append(inspect.Parameter("random", inspect.Parameter.KEYWORD_ONLY, default=None))
    exponent_of = [(exponents or {}).get(p.name) for p in own]

    @functools.wraps(formula)
    def filled(*arrays: Array, random: formats.Random | None = None, **hyper: Any) -> None:
        with formats.loaded(arrays, exponent_of, random) as numbers:
            formula(*numbers, **(defaults | hyper))

    filled.__signature__ = inspect.Signature(sorted(hypers + own, key=lambda p: p.kind))  # type: ignore[attr-defined]
    return filled


@rule
def sgd(w, g, *, lr, weight_decay):
    w[...] = w - (lr * weight_decay * w + lr * g)


@rule
def window_sgd(w, g, ring, *, lr, t):
    window, newest = len(ring), int(t - 1) % len(ring)
    ring[newest] = g
    w[...] = w - lr / min(t, window) * sum(np.roll(ring, -1 - newest, axis=0))  # oldest first


@rule
def momentum(w, g, m, *, lr, beta):
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * m


@rule
def rmsprop(w, g, v, *, lr, beta, eps, eps_root):
    v[...] = beta * v + (1 - beta) * (g * g)
    w[...] = w - lr * g / (np.sqrt(v + eps_root) + eps)


@rule
def adam(w, g, m, v, *, lr, beta1, beta2, eps, eps_root, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    step, unbias = lr / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    w[...] = w - step * m / (np.sqrt(unbias * v + eps_root) + eps)


@rule
def adamw(w, g, m, v, *, lr, weight_decay, **hyper):
    w[...] = w - (lr * weight_decay * w + step_of(adam, w, g, m, v, lr=lr, **hyper))


@rule
def grams(w, g, m, v, *, lr, weight_decay, **hyper):
    u = step_of(adam, w, g, m, v, lr=lr, **hyper)
    w[...] = w - (lr * weight_decay * w + np.sign(g) * np.abs(u))


@rule
def adopt(w, g, m, v, *, lr, beta1, beta2, eps, clip, t):
    limit = clip * math.sqrt(math.sqrt(t - 1)) if t > 1 else 0.0
    beta2 = beta2 if t > 1 else 0.0  # at first v is the square itself
    u = np.clip(g / np.maximum(np.sqrt(v), eps), -limit, limit)
    m[...] = beta1 * m + (1 - beta1) * u
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    w[...] = w - lr * m


@rule
def adabound(w, g, m, v, *, lr, beta1, beta2, eps, final_lr, gamma, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    rate = lr * math.sqrt(1 - power(beta2, t)) / (1 - power(beta1, t))
    lower, upper = final_lr * (1 - 1 / (gamma * t + 1)), final_lr * (1 + 1 / (gamma * t))
    w[...] = w - np.clip(rate / (np.sqrt(v) + eps), lower, upper) * m


@rule
def ademamix(w, g, m, v, m_slow, *, lr, beta1, beta2, beta3, alpha, eps, eps_root, t, weight_decay):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    m_slow[...] = beta3 * m_slow + (1 - beta3) * g
    unbias1, unbias2 = 1 / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    mixed = unbias1 * m + alpha * m_slow
    w[...] = w - (lr * weight_decay * w + lr * mixed / (np.sqrt(unbias2 * v + eps_root) + eps))


@rule
def fromage(w, g, *, lr, min_norm):
    shrink = 1 / math.sqrt(1 + lr * lr)
    w[...] = w - ((1 - shrink) * w + shrink * lr * trust_ratio(w, g, min_norm) * g)


@rule
def lars(w, g, m, *, lr, momentum, weight_decay, trust_coefficient, eps):
    u = g + weight_decay * w
    m[...] = momentum * m + lr * trust_ratio(w, u, 0, trust_coefficient, eps) * u
    w[...] = w - m


@rule
def nesterov_lars(w, g, m, *, lr, momentum, weight_decay, trust_coefficient, eps):
    u = g + weight_decay * w
    step = lr * trust_ratio(w, u, 0, trust_coefficient, eps) * u
    m[...] = momentum * m + step
    w[...] = w - (momentum * m + step)


@rule
def lamb(w, g, m, v, *, lr, beta1, beta2, eps, eps_root, t, weight_decay):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    unbias1, unbias2 = 1 / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    u = unbias1 * m / (np.sqrt(unbias2 * v + eps_root) + eps) + weight_decay * w
    w[...] = w - lr * trust_ratio(w, u) * u


@rule
def novograd(w, g, m, v, *, lr, beta1, beta2, eps, eps_root, t, weight_decay):
    beta2 = beta2 if t > 1 else 0.0  # at first v is the square itself
    v[...] = beta2 * float(v) + (1 - beta2) * square_sum([g])
    factor = 1 / (math.sqrt(float(v) + eps_root) + eps)
    m[...] = beta1 * m + (factor * g + weight_decay * w)
    w[...] = w - lr * m


@rule
def sm3(w, g, m, v, *, lr, momentum, eps_root):
    n = g * g + functools.reduce(np.minimum, of_axes(v, w.shape))
    m[...] = momentum * m + (1 - momentum) * (g / np.sqrt(np.where(np.asarray(n) > 0, n + eps_root, 1)))
    w[...] = w - lr * m
    for axis, most in enumerate(of_axes(v, w.shape) if w.size else []):
        others = tuple(k for k in range(w.ndim) if k != axis)
        most[...] = np.asarray(n).max(axis=others, keepdims=True)


@rule
def adafactor(w, g, row_var, col_var, *, lr, beta2_decay, eps1, eps2, d, weight_decay, t):
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
    w[...] = w - (lr * weight_decay * w + step / max(1.0, rms(u) / d) * u)


@rule
def muon(
    w,
    g,
    m,
    *,
    lr,
    momentum,
    weight_decay,
    nesterov=True,
    ns_coefficients=COEFFICIENTS,
    ns_steps=5,
    eps=1e-7,
    adjust_lr_fn=None,
):
    m[...] = momentum * m + (1 - momentum) * g
    u = (1 - momentum) * g + momentum * m if nesterov else m
    u = size(u.shape, adjust_lr_fn) * newton_schulz(u, ns_coefficients, ns_steps, eps)
    w[...] = w - (lr * weight_decay * w + lr * u)


@rule
def heavy_ball(w, g, m, *, lr, momentum, dampening, t):
    m[...] = momentum * m + (1 if t == 1 else 1 - dampening) * g
    w[...] = w - lr * m


@rule
def nesterov_momentum(w, g, m, *, lr, momentum):
    m[...] = momentum * m + g
    w[...] = w - lr * (g + momentum * m)


@rule
def asgd(w, g, ax, *, lr, lambd, slowdown, mu):
    eta = lr * slowdown
    w[...] = w - (lambd * eta * w + eta * g)
    ax[...] = ax + mu * (w - ax) if mu != 1 else w


@rule
def rprop(w, g, prev, step, *, lr, eta_minus, eta_plus, step_min, step_max):
    agree = np.sign(g) * np.sign(prev)
    step[...] = np.where(step == 0, lr, step)  # it begins
    step[...] = np.where(agree > 0, eta_plus * step, np.where(agree < 0, eta_minus * step, step))
    step[...] = np.minimum(np.maximum(step, step_min), step_max)
    prev[...] = np.where(agree < 0, 0, g)
    w[...] = w - step * np.sign(prev)


@rule
def adagrad(w, g, v, *, lr, lr_decay, eps, eps_root, t):
    v[...] = v + g * g
    w[...] = w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(v + eps_root) + eps)


@rule
def rmsprop_centered(w, g, v, m, *, lr, beta, eps, eps_root):
    v[...] = beta * v + (1 - beta) * (g * g)
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * g / (np.sqrt(np.maximum(v - m * m, 0) + eps_root) + eps)


@rule
def rmsprop_momentum(w, g, v, b, *, lr, beta, eps, eps_root, momentum):
    v[...] = beta * v + (1 - beta) * (g * g)
    b[...] = momentum * b + g / (np.sqrt(v + eps_root) + eps)
    w[...] = w - lr * b


@rule
def rmsprop_centered_momentum(w, g, v, m, b, *, lr, beta, eps, eps_root, momentum):
    v[...] = beta * v + (1 - beta) * (g * g)
    m[...] = beta * m + (1 - beta) * g
    b[...] = momentum * b + g / (np.sqrt(np.maximum(v - m * m, 0) + eps_root) + eps)
    w[...] = w - lr * b


@rule
def adadelta(w, g, v, d, *, lr, rho, eps):
    v[...] = rho * v + (1 - rho) * (g * g)
    step = np.sqrt(d + eps) / np.sqrt(v + eps) * g
    d[...] = rho * d + (1 - rho) * (step * step)
    w[...] = w - lr * step


@rule
def adam_amsgrad(w, g, m, v, v_max, *, lr, beta1, beta2, eps, eps_root, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    v_max[...] = np.maximum(v_max, v)
    step, unbias = lr / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    w[...] = w - step * m / (np.sqrt(unbias * v_max + eps_root) + eps)


@rule
def adamw_amsgrad(w, g, m, v, v_max, *, lr, weight_decay, **hyper):
    w[...] = w - (lr * weight_decay * w + step_of(adam_amsgrad, w, g, m, v, v_max, lr=lr, **hyper))


@rule
def adamax(w, g, m, u, *, lr, beta1, beta2, eps, t):
    m[...] = beta1 * m + (1 - beta1) * g
    u[...] = np.maximum(beta2 * u, np.abs(g) + eps)
    w[...] = w - lr / (1 - power(beta1, t)) * m / u


@rule
def nadam(w, g, m, v, *, lr, beta1, beta2, eps, mu_decay, mu_product, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    mu, mu_next = (beta1 * (1 - 0.5 * power(mu_decay, s)) for s in (t, t + 1))
    ahead, along = lr * (1 - mu) / (1 - mu_product * mu), lr * mu_next / (1 - mu_product * mu * mu_next)
    w[...] = w - (ahead * g + along * m) / (np.sqrt(1 / (1 - power(beta2, t)) * v) + eps)


@rule
def nadam_decoupled(w, g, m, v, *, lr, weight_decay, **hyper):
    w[...] = w - (lr * weight_decay * w + step_of(nadam, w, g, m, v, lr=lr, **hyper))


@rule
def radam(w, g, m, v, *, lr, beta1, beta2, eps, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    step, r = lr / (1 - power(beta1, t)), rectification(beta2, t)
    w[...] = w - (step * r * m / (np.sqrt(v) + eps) if r > 0 else step * m)


@rule
def radam_decoupled(w, g, m, v, *, lr, weight_decay, **hyper):
    w[...] = w - (lr * weight_decay * w + step_of(radam, w, g, m, v, lr=lr, **hyper))


@rule
def sign_sgd(w, g, *, lr, weight_decay):
    w[...] = w - (lr * weight_decay * w + lr * np.sign(g))


@rule
def noisy_sgd(w, g, noise, *, lr, eta, gamma, t):
    w[...] = w - lr * (g + math.sqrt(eta * power(t, -gamma)) * noise)


@rule
def optimistic_gradient_descent(w, g, prev, *, lr, optimism, t):
    d = g - prev if t > 1 else np.zeros_like(g)
    w[...] = w - lr * (g + optimism * d)
    prev[...] = g


@rule
def nesterov(w, g, m, *, lr, beta):
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - lr * (beta * m + (1 - beta) * g)


@rule
def signum(w, g, m, *, lr, beta, weight_decay):
    m[...] = beta * m + (1 - beta) * g
    w[...] = w - (lr * weight_decay * w + lr * np.sign(m))


@rule
def lion(w, g, m, *, lr, beta1, beta2, weight_decay):
    w[...] = w - (lr * weight_decay * w + lr * np.sign(beta1 * m + (1 - beta1) * g))
    m[...] = beta2 * m + (1 - beta2) * g


@rule
def nadamw(w, g, m, v, *, lr, beta1, beta2, eps, eps_root, t, weight_decay):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    lr_m, lr_g = lr * beta1 / (1 - power(beta1, t + 1)), lr * (1 - beta1) / (1 - power(beta1, t))
    unbias = 1 / (1 - power(beta2, t))
    w[...] = w - (lr * weight_decay * w + (lr_m * m + lr_g * g) / (np.sqrt(unbias * v + eps_root) + eps))


@rule
def adamaxw(w, g, m, u, *, lr, beta1, beta2, eps, t, weight_decay):
    m[...] = beta1 * m + (1 - beta1) * g
    u[...] = np.maximum(beta2 * u, np.abs(g) + eps)
    w[...] = w - (lr * weight_decay * w + lr / (1 - power(beta1, t)) * m / u)


@rule
def amsgrad(w, g, m, v, v_max, *, lr, beta1, beta2, eps, eps_root, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    v_max[...] = np.maximum(v_max, 1 / (1 - power(beta2, t)) * v)
    w[...] = w - lr / (1 - power(beta1, t)) * m / (np.sqrt(v_max + eps_root) + eps)


@rule
def adabelief(w, g, m, s, *, lr, beta1, beta2, eps, eps_root, t):
    m[...] = beta1 * m + (1 - beta1) * g
    s[...] = beta2 * s + (1 - beta2) * ((g - m) * (g - m)) + eps_root
    w[...] = w - lr / (1 - power(beta1, t)) * m / (np.sqrt(1 / (1 - power(beta2, t)) * s) + eps)


@rule
def yogi(w, g, m, v, *, lr, beta1, beta2, eps, t):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = v - (1 - beta2) * (np.sign(v - g * g) * (g * g))
    w[...] = w - lr / (1 - power(beta1, t)) * m / (np.sqrt(1 / (1 - power(beta2, t)) * v) + eps)


@rule
def adan(w, g, m, v, n, prev, *, lr, beta1, beta2, beta3, eps, eps_root, t, weight_decay):
    d = g - prev if t > 1 else np.zeros_like(g)
    ahead = g + beta2 * d
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * d
    n[...] = beta3 * n + (1 - beta3) * (ahead * ahead)
    lr_m, lr_v, unbias = lr / (1 - power(beta1, t)), lr * beta2 / (1 - power(beta2, t)), 1 / (1 - power(beta3, t))
    step = (lr_m * m + lr_v * v) / (np.sqrt(unbias * n + eps_root) + eps)
    w[...] = w - 1 / (1 + lr * weight_decay) * (lr * weight_decay * w + step)
    prev[...] = g


@rule
def cautious_lion(w, g, m, *, lr, beta1, beta2, weight_decay):
    u = np.sign(beta1 * m + (1 - beta1) * g)
    agree = (u * g > 0).astype(w.dtype)
    w[...] = w - (lr * weight_decay * w + lr * (caution(agree) * agree * u))
    m[...] = beta2 * m + (1 - beta2) * g


@rule
def cautious_adam(w, g, m, v, **hyper):
    u = step_of(adam, w, g, m, v, **hyper)
    agree = (m * g > 0).astype(w.dtype)
    w[...] = w - caution(agree) * agree * u


@rule
def cautious_adamw(w, g, m, v, *, lr, weight_decay, **hyper):
    w[...] = w - (lr * weight_decay * w + step_of(cautious_adam, w, g, m, v, lr=lr, **hyper))


@rule
def schedule_free_sgd(w, g, z, *, lr, momentum, z_weight):
    w[...] = w - (z_weight * (w - z) + lr * (1 - momentum * (1 - z_weight)) * g)
    z[...] = z - lr * g


@rule
def schedule_free_adamw(w, g, z, v, *, lr, beta1, z_weight, beta2, eps, t, weight_decay):
    v[...] = beta2 * v + (1 - beta2) * (g * g)
    u = g / (np.sqrt(1 / (1 - power(beta2, t)) * v) + eps) + weight_decay * w
    schedule_free_sgd(w, u, z, lr=lr, momentum=beta1, z_weight=z_weight)


@rule
def rowwise_adagrad(w, g, v, *, lr, eps):
    v[...] = in_double(v) + mean_square(g)
    w[...] = w - of_rows(lr / (np.sqrt(in_double(v)) + eps), w) * g


@rule
def rowwise_adam(w, g, m, v, *, lr, beta1, beta2, eps, t, weight_decay):
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * in_double(v) + (1 - beta2) * mean_square(g)
    step, unbias = lr / (1 - power(beta1, t)), 1 / (1 - power(beta2, t))
    w[...] = w - (lr * weight_decay * w + of_rows(step / (np.sqrt(unbias * in_double(v)) + eps), w) * m)


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
    """The norm of several gradients together, of those in float32 first, chunk after chunk of 4096 elements."""
    total = 0.0
    for g in sorted(gs, key=lambda g: g.dtype.itemsize):
        flat = np.asarray(g).reshape(-1)
        for begin in range(0, flat.size, 4096):
            total += norm_chunk(flat[begin : begin + 4096])
    return math.sqrt(total)


def norm_chunk(g: Array) -> float:
    """`square_sum`, but of float32 two rows of 32 squares are added in float32 first, unless it has no room for them."""
    n = g.size // 64 * 64 if g.dtype == np.float32 else 0
    with np.errstate(over="ignore", under="ignore"):
        squares = np.square(g[:n]).reshape(-1, 2, 32)
        squares = np.where(squares < np.finfo(np.float32).tiny, 0, squares)  # subnormal numbers count as zero
        pairs = squares[:, 0] + squares[:, 1]
    rest = np.pad(np.square(g[n:], dtype=np.float64), (0, (n - g.size) % 32)).reshape(-1, 32)
    total = float(fold(np.concatenate([pairs, rest])[np.newaxis])[0])
    return total if 2.0**-90 < total < 2.0**120 else square_sum([g])


def square_sum(gs: Sequence[Array]) -> float:
    """In float64 and in a fixed order: 32 lanes over each chunk of 4096 elements, folded in halves, then chunk after chunk."""
    total = 0.0
    for g in gs:
        for chunk in chunk_square_sums(np.asarray(g).reshape(1, -1)):
            total += float(chunk[0])
    return total


def fold(rows: Array) -> Array:
    """Adds rows of 32 numbers in order, then the lanes in halves; the first axis stays."""
    lanes: Array = np.add.reduce(rows, axis=1)
    while lanes.shape[1] > 1:
        lanes = lanes[:, : lanes.shape[1] // 2] + lanes[:, lanes.shape[1] // 2 :]
    return lanes[:, 0]


def chunk_square_sums(rows: Array) -> Iterator[Array]:
    """The sums of the squares of each row's first 4096 elements, of the next, and so on."""
    for begin in range(0, rows.shape[1], 4096):
        squares = np.square(rows[:, begin : begin + 4096], dtype=np.float64)
        padded = np.pad(squares, ((0, 0), (0, -squares.shape[1] % 32)))
        yield fold(padded.reshape(len(rows), padded.shape[1] // 32, 32))


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
    above, below = (max(math.sqrt(square_sum([x])), min_norm) for x in (w, u))
    return coefficient * above / (below + eps) if above > 0 and below > 0 else 1.0


def step_of(rule: Callable[..., None], w: Array, *arrays: Array, **hyper: float) -> Array:
    """What `rule` subtracts from a weight like `w`."""
    u = np.full_like(w, -0.0)  # less a step, it is the negative of that step, of 0 too
    rule(u, *arrays, **hyper)
    return -u


def average(ema: Array, w: Array, *, decay: float, t: float = math.inf) -> None:
    """The running average of the weights after update t; t = inf leaves out the bias correction."""
    weight = (1 - decay) / (1 - power(decay, t))
    ema[...] = ema + weight * (w - ema) if weight != 1 else w


def rectification(beta2: float, t: float) -> float:
    """RAdam's r √(1 - beta2^t), or 0 where v is not used yet."""
    rest, rho_inf = power(beta2, t), 2 / (1 - beta2) - 1
    rho = rho_inf - 2 * t * rest / (1 - rest)
    above, below = (rho - 4) * (rho - 2) * rho_inf, (rho_inf - 4) * (rho_inf - 2) * rho
    return math.sqrt(above / below * (1 - rest)) if rho > 5 else 0.0


def caution(agree: Array) -> float:
    return 1 / max(int(np.count_nonzero(agree)) / max(agree.size, 1), 1e-3)
