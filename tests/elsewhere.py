"""Implementations that nobody here wrote, to compare with: torch's, optax's, or the authors' own package.

Each is a function of the weights and the gradients of each step, lists of float64 arrays, that gives the weights at the
end. A package that is not installed is a skip.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

Arrays = list[np.ndarray]
Elsewhere = Callable[[Arrays, list[Arrays]], Arrays]


def package(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name}, with which to compare, is not installed")


def like_torch(
    name: str, module: str = "torch.optim", before: Callable[..., None] | None = None, **keywords: Any
) -> Any:
    """An optimizer with torch's interface; `before(optimizer)` may change it before the first step."""

    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        torch = package("torch")
        package(module.partition(".")[0])
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)  # of numbers it keeps as tensors, as ASGD's rate
        try:
            params = [torch.tensor(w, requires_grad=True) for w in start]
            optimizer = getattr(import_module(module), name)(params, **keywords)
            if before is not None:
                before(optimizer)
            for grads in steps:
                for param, g in zip(params, grads, strict=True):
                    param.grad = torch.tensor(g)
                optimizer.step()
        finally:
            torch.set_default_dtype(default)
        return [param.detach().numpy() for param in params]

    run.__name__ = f"{module}.{name}"
    return run


def like_timm(name: str, module: str, **keywords: Any) -> Any:
    """One of `like_torch` from a file of timm, without timm's models, which need a package that goes with few of torch."""
    like = like_torch(name, f"timm.optim.{module}", **keywords)

    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        package("torch")
        found = find_spec("timm")
        if found is None or found.origin is None:
            pytest.skip("timm, with which to compare, is not installed")
        with pytest.MonkeyPatch.context() as patch:
            for bare in ("timm", "timm.optim"):
                patch.setitem(sys.modules, bare, ModuleType(bare))
                patch.setattr(
                    sys.modules[bare],
                    "__path__",
                    [str(Path(found.origin).parents[1] / bare.replace(".", "/"))],
                    raising=False,
                )
            return like(start, steps)

    run.__name__ = like.__name__
    return run


def like_optax(name: str, module: str = "optax", **keywords: Any) -> Any:
    """One of optax's, or of its `module`."""
    run = like_optax_chain((name, keywords), module=module)
    run.__name__ = f"{module}.{name}"
    return run


def like_optax_chain(*parts: tuple[str, dict[str, Any]], module: str = "optax") -> Any:
    """Several transformations, one after the other."""

    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        jax, optax = package("jax"), package("optax")
        with jax.enable_x64(True):
            source = import_module(module)
            rule = optax.chain(*(getattr(source, name)(**keywords) for name, keywords in parts))
            params = [jax.numpy.array(w) for w in start]
            state = rule.init(params)
            update = jax.jit(rule.update)
            for grads in steps:
                updates, state = update([jax.numpy.array(g) for g in grads], state, params)
                params = optax.apply_updates(params, updates)
            return [np.asarray(param) for param in params]

    run.__name__ = ",".join(name for name, _ in parts)
    return run


# Nobody else has the row-wise rules in float64: these are their closed forms over all steps at once. test_rows.py has
# FBGEMM's, in float32.


def mean_squares(g: np.ndarray) -> np.ndarray:
    """Of each row, at each step."""
    return np.mean(g**2, axis=tuple(range(2, g.ndim)), keepdims=True)


def running_average(x: np.ndarray, beta: float) -> np.ndarray:
    """Σ (1 - beta) beta^(t-s) x_s / (1 - beta^t) over s up to t, for each step t."""
    ages = np.subtract.outer(np.arange(len(x)), np.arange(len(x)))
    weights = np.where(ages >= 0, beta ** np.maximum(ages, 0.0), 0)
    return np.tensordot(weights / weights.sum(axis=1, keepdims=True), x, axes=1)


def like_rowwise_adagrad(*, lr: float, eps: float = 1e-8) -> Elsewhere:
    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        each = [np.array(gs) for gs in zip(*steps, strict=True)]
        moves = [(lr * g / (np.sqrt(np.cumsum(mean_squares(g), axis=0)) + eps)).sum(axis=0) for g in each]
        return [w - move for w, move in zip(start, moves, strict=True)]

    run.__name__ = "closed form"
    return run


def like_rowwise_adam(
    *, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0
) -> Elsewhere:
    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        each = [np.array(gs) for gs in zip(*steps, strict=True)]
        keep = (1 - lr * weight_decay) ** np.arange(len(steps) + 1.0)[::-1]
        moves = [
            lr * running_average(g, beta1) / (np.sqrt(running_average(mean_squares(g), beta2)) + eps) for g in each
        ]
        return [keep[0] * w - np.tensordot(keep[1:], move, axes=1) for w, move in zip(start, moves, strict=True)]

    run.__name__ = "closed form"
    return run
