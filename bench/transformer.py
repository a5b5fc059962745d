"""A small transformer that guesses the next character, in plain NumPy: forward, and backward by hand.

Pre-norm with RMSNorm (Zhang & Sennrich 2019), causal attention in several heads (Vaswani et al. 2017), ReLU; no biases. All in
the dtype of the parameters, a dict of arrays; x is (batch, length, width), a weight (inputs, outputs).
"""

from typing import Any

import numpy as np

from fusedoptim.reference import Array

Params = dict[str, Array]

LAYERS, HEADS, WIDTH, LENGTH = 2, 4, 64, 64
EPS = 1e-5


def init(symbols: int, rng: np.random.Generator, width: int = WIDTH, length: int = LENGTH) -> Params:
    def normal(*shape: int, scale: float) -> Array:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    params = {"symbol": normal(symbols, width, scale=0.1), "place": normal(length, width, scale=0.1)}
    for k in range(LAYERS):
        for name, n, m in (("qkv", 1, 3), ("out", 1, 1), ("up", 1, 4), ("down", 4, 1)):
            params[f"{name}{k}"] = normal(n * width, m * width, scale=(n * width) ** -0.5)
        params |= {f"{name}{k}": np.ones(width, np.float32) for name in ("norm_a", "norm_b")}
    return params | {"norm": np.ones(width, np.float32), "head": normal(width, symbols, scale=width**-0.5)}


def loss(params: Params, x: Any, y: Any) -> float:
    """The mean cross-entropy of the characters that follow."""
    p, _ = _forward(params, x)
    return float(-np.log(np.take_along_axis(p, y[..., None], axis=-1)).mean())


def gradient(params: Params, x: Any, y: Any) -> Params:
    """Of that loss."""
    error, kept = _forward(params, x)
    grads: Params = {}
    np.put_along_axis(error, y[..., None], np.take_along_axis(error, y[..., None], axis=-1) - 1, axis=-1)
    error /= y.size
    error = _linear_back(params, grads, "head", kept, error)
    error = _norm_back(params, grads, "norm", kept, error)
    for k in reversed(range(LAYERS)):
        error = error + _mlp_back(params, grads, k, kept, error)
        error = error + _attention_back(params, grads, k, kept, error)
    grads["place"] = np.zeros_like(params["place"])
    grads["place"][: x.shape[1]] = error.sum(axis=0)
    grads["symbol"] = np.zeros_like(params["symbol"])
    np.add.at(grads["symbol"], x, error)
    return grads


Kept = dict[str, Any]  # what the way back needs of the way there


def _forward(params: Params, x: Any) -> tuple[Array, Kept]:
    """The probabilities of what follows."""
    kept: Kept = {}
    h = params["symbol"][x] + params["place"][: x.shape[1]]
    for k in range(LAYERS):
        h = h + _attention(params, k, kept, h)
        h = h + _mlp(params, k, kept, h)
    return _softmax(_linear(params, "head", kept, _norm(params, "norm", kept, h))), kept


def _softmax(x: Array) -> Array:
    e: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    e /= e.sum(axis=-1, keepdims=True)
    return e


def _linear(params: Params, name: str, kept: Kept, x: Array) -> Array:
    kept[name] = x
    return np.asarray(x @ params[name])


def _linear_back(params: Params, grads: Params, name: str, kept: Kept, error: Array) -> Array:
    x, w = kept[name], params[name]
    grads[name] = x.reshape(-1, x.shape[-1]).T @ error.reshape(-1, error.shape[-1])
    return np.asarray(error @ w.T)


def _norm(params: Params, name: str, kept: Kept, x: Array) -> Array:
    scale = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(EPS))
    kept[name] = x * scale, scale
    return np.asarray(x * scale * params[name])


def _norm_back(params: Params, grads: Params, name: str, kept: Kept, error: Array) -> Array:
    unit, scale = kept[name]
    grads[name] = (error * unit).sum(axis=(0, 1))
    error = error * params[name]
    return np.asarray(scale * (error - unit * (error * unit).mean(axis=-1, keepdims=True)))


def _mlp(params: Params, k: int, kept: Kept, x: Array) -> Array:
    hidden = _linear(params, f"up{k}", kept, _norm(params, f"norm_b{k}", kept, x))
    return _linear(params, f"down{k}", kept, np.maximum(hidden, 0))


def _mlp_back(params: Params, grads: Params, k: int, kept: Kept, error: Array) -> Array:
    error = _linear_back(params, grads, f"down{k}", kept, error) * (kept[f"down{k}"] > 0)
    return _norm_back(params, grads, f"norm_b{k}", kept, _linear_back(params, grads, f"up{k}", kept, error))


def _attention(params: Params, k: int, kept: Kept, x: Array) -> Array:
    q, key, value = _heads(_linear(params, f"qkv{k}", kept, _norm(params, f"norm_a{k}", kept, x)), 3)
    length, size = q.shape[-2:]
    future = np.triu(np.full((length, length), -np.inf, x.dtype), 1)
    p = _softmax(q @ key.swapaxes(-1, -2) * x.dtype.type(size**-0.5) + future)
    kept[f"attention{k}"] = q, key, value, p
    return _linear(params, f"out{k}", kept, _together([p @ value]))


def _attention_back(params: Params, grads: Params, k: int, kept: Kept, error: Array) -> Array:
    q, key, value, p = kept[f"attention{k}"]
    (error,) = _heads(_linear_back(params, grads, f"out{k}", kept, error), 1)
    of_p = error @ value.swapaxes(-1, -2)
    of_scores = p * (of_p - (of_p * p).sum(axis=-1, keepdims=True)) * p.dtype.type(q.shape[-1] ** -0.5)
    parts = [of_scores @ key, of_scores.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ error]
    return _norm_back(params, grads, f"norm_a{k}", kept, _linear_back(params, grads, f"qkv{k}", kept, _together(parts)))


def _heads(x: Array, parts: int) -> list[Array]:
    """(batch, length, parts · width) as so many arrays (batch, heads, length, width / heads)."""
    batch, length, _ = x.shape
    return list(x.reshape(batch, length, parts, HEADS, -1).transpose(2, 0, 3, 1, 4))


def _together(parts: list[Array]) -> Array:
    """The other way round."""
    batch, _, length, _ = parts[0].shape
    return np.stack(parts).transpose(1, 3, 0, 2, 4).reshape(batch, length, -1)
