"""Functions of two weights, as (value, gradient), and the path that an optimizer takes over one.

They take numbers or arrays of them, so that a contour is one call.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fusedoptim as fo

Array = NDArray[np.float64]
Surface = Callable[[Any, Any], tuple[Any, tuple[Any, Any]]]
CURVATURES = (1.0, 25.0)  # of the ravine
FAR = 1e50  # a path that has come there diverges


def ravine(x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """25 times as steep across as along; the minimum is at (0, 0)."""
    along, across = CURVATURES
    return (along * x**2 + across * y**2) / 2, (along * x, across * y)


def rosenbrock(x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """A ravine along the curve y = x², to the minimum at (1, 1)."""
    value = (1 - x) ** 2 + 100 * (y - x**2) ** 2
    return value, (-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2))


def saddle(x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """Flat at (0, 0), from where y goes down to the minima, 0, at (0, ±√2)."""
    return 1 + x**2 - y**2 + y**4 / 4, (2 * x, -2 * y + y**3)


def hill(x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """Its top, where it is flat, is at (0, 0); around it lies a ring of minima, 0, of radius 1."""
    below = 1 - x**2 - y**2
    return below**2 / 4, (-x * below, -y * below)


def two_valleys(x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """A shallow one near x = -0.7 and, beyond a low pass, a deep one near x = 1.3."""
    value = x**4 / 4 - x**3 / 6 - x**2 / 2 - x / 10 + y**2 / 2
    return value, (x**3 - x**2 / 2 - x - 1 / 10, y)


def plateau(x: Any, y: Any) -> tuple[Any, tuple[Any, Any]]:
    """Nearly flat in x, but for a basin about the minimum, at (0, 0); steep in y."""
    basin = np.exp(-(x**2) / 2)
    return 1 - basin + 50 * y**2, (x * basin, 100 * y)


def descend(
    surface: Surface,
    make: Callable[[Array], fo.Optimizer],
    start: tuple[float, float],
    steps: int,
    noise: float = 0.0,
    seed: int = 0,
) -> Array:
    """The weights before the first step and after each, to where they are FAR; `noise` is the gradient's standard deviation."""
    rng = np.random.default_rng(seed)
    w = np.array(start, float)
    optimizer, path = make(w), [w.copy()]
    for _ in range(steps):
        _, gradient = surface(*w.tolist())
        optimizer.step(np.array(gradient) + noise * rng.standard_normal(2))
        path.append(w.copy())
        if abs(w).max() > FAR:
            break
    return np.array(path)
