"""Distributions of random numbers, for weights and gradients."""

from collections.abc import Callable

import numpy as np

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan]


def moderate(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.normal(size=n)


def wild(rng: np.random.Generator, n: int) -> np.ndarray:
    """Of all magnitudes, whose squares and averages leave the range of float32, with the special values among them."""
    x = rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-20, 20, n)
    return np.where(rng.random(n) < 0.05, rng.choice(SPECIAL, n), x)


def subnormal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Around the smallest normal number of float32 or float64, for float32 mostly below it."""
    exponents = rng.choice([-46, -40, -38, -37, -324, -310, -308, -307], n) + rng.random(n)
    return rng.choice([-1, 1], n) * 10.0**exponents


def draw(distribution: Callable, rng: np.random.Generator, n: int, dtype: type) -> np.ndarray:
    with np.errstate(under="ignore"):
        return distribution(rng, n).astype(dtype)
