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

import fusedoptim as fo

Arrays = list[np.ndarray]
Elsewhere = Callable[[Arrays, list[Arrays]], Arrays]


def run_of(shapes: list[tuple[int, ...]], steps: int = 100) -> tuple[Arrays, list[Arrays]]:
    """Weights, away from zero, where a relative error means something, and the gradients of each step."""
    rng = np.random.default_rng(1)
    start = [rng.uniform(5, 6, shape) for shape in shapes]
    return start, [[np.asarray(rng.normal(size=shape)) for shape in shapes] for _ in range(steps)]


def assert_same_path(
    make: Callable[..., fo.Optimizer], other: Elsewhere, start: Arrays, steps: list[Arrays], **keywords: Any
) -> None:
    weights = [w.copy() for w in start]
    optimizer = make(weights, **keywords)
    for grads in steps:
        optimizer.step(grads)
    for w, want in zip(weights, other(start, steps), strict=True):
        np.testing.assert_allclose(w, want, rtol=1e-10)


def package(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name}, with which to compare, is not installed")


def like_torch(
    name: str,
    module: str = "torch.optim",
    before: Callable[..., None] | None = None,
    given: Callable[..., Any] = list,
    **keywords: Any,
) -> Any:
    """An optimizer with torch's interface, made of `given(params)`; `before(optimizer)` may change it before a step."""

    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        torch = package("torch")
        package(module.partition(".")[0])
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)  # of numbers it keeps as tensors, as ASGD's rate
        try:
            params = [torch.tensor(w, requires_grad=True) for w in start]
            optimizer = getattr(import_module(module), name)(given(params), **keywords)
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


def as_rows(arrays: Arrays) -> Arrays:
    return [array.reshape(len(array) if array.ndim else 1, -1) for array in arrays]


def like_adam_mini(**keywords: Any) -> Elsewhere:
    """Of the authors of Adam-mini, who keep one mean square for each row of an embedding."""
    like = like_torch(
        *("Adam_mini", "adam_mini"),
        given=lambda params: [(f"embed{k}", param) for k, param in enumerate(params)],
        verbose=False,
        **keywords,
    )

    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        end = like(as_rows(start), [as_rows(grads) for grads in steps])
        return [rows.reshape(w.shape) for rows, w in zip(end, start, strict=True)]

    run.__name__ = like.__name__
    return run


def like_rowwise_adagrad(*, lr: float, eps: float = 1e-8) -> Elsewhere:
    """Its closed form: nobody else has it in float64. test_rows.py has FBGEMM's in float32, and torch's Adagrad."""

    def run(start: Arrays, steps: list[Arrays]) -> Arrays:
        each = [np.array(gs) for gs in zip(*steps, strict=True)]
        squares = [np.mean(g**2, axis=tuple(range(2, g.ndim)), keepdims=True) for g in each]
        moves = [
            (lr * g / (np.sqrt(np.cumsum(square, axis=0)) + eps)).sum(axis=0)
            for g, square in zip(each, squares, strict=True)
        ]
        return [w - move for w, move in zip(start, moves, strict=True)]

    run.__name__ = "closed form"
    return run
