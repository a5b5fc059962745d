"""Powers and waves of our own: as right as their comments say, and the same bits in the kernels."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusedoptim as fo
from fusedoptim.numerics.elementary import exp, half_wave, log, power

from ..bits import assert_same_bits


def exact(function: str, x: float, y: float = 1.0) -> float:
    """`function` of x, to the power y."""
    with localcontext() as context:
        context.prec = 50
        base = {"log": Decimal.ln, "exp": Decimal.exp, "power": Decimal}[function](Decimal(x))
        return float(base if y == 1 else (base.ln() * Decimal(y)).exp())


@given(st.floats(1e-300, 1e300))
def test_log(x: float) -> None:
    assert log(x) == pytest.approx(exact("log", x), rel=1e-15, abs=1e-16)


@given(st.floats(-700, 700))
def test_exp(x: float) -> None:
    assert exp(x) == pytest.approx(exact("exp", x), rel=2e-16 * (4 + abs(x)))


@given(st.floats(1e-6, 1e9), st.floats(-3, 3))
def test_power(x: float, y: float) -> None:
    assert power(x, y) == pytest.approx(exact("power", x, y), rel=6e-16 * (2 + abs(y * math.log(x))))


@given(st.floats(0, 1))
def test_half_wave(share: float) -> None:
    assert half_wave(share) == pytest.approx((1 + math.cos(math.pi * share)) / 2, rel=1e-15, abs=2e-16)
    assert half_wave(0.0) == 1 and half_wave(1.0) == 0


def test_special_powers() -> None:
    """Of one and nought, whole and infinite ones."""
    assert [power(x, 0.3) for x in (0.0, 1.0, math.inf)] == [0, 1, math.inf]
    assert [power(x, math.inf) for x in (0.5, 1.0, 2.0)] == [0, 1, math.inf]
    assert [power(x, 0) for x in (0.0, 0.5, 7)] == [1, 1, 1]
    assert [power(3, y) for y in (1, 2, 5, -1)] == [3, 9, 243, 1 / 3]
    assert power(2, 1e9) == math.inf  # at once, and not as a whole number of 10^9 digits
    assert power(10, -400) == 0 == exp(-math.inf)
    assert exp(math.inf) == math.inf


@given(st.integers(1, 10**12), st.floats(0, 4))
def test_kernels_have_the_same_powers(t: int, gamma: float) -> None:
    """w <- 0 - (0 + sqrt(1 t^-gamma) 1)"""
    weights = [np.zeros(1), np.zeros(1)]
    for layer, w in zip((fo.kernels, fo.reference), weights, strict=True):
        layer.noisy_sgd(w, np.zeros(1), np.ones(1), lr=1.0, eta=1.0, gamma=gamma, t=t)
    assert_same_bits(*weights)
    assert weights[0][0] == pytest.approx(-(float(t) ** (-gamma / 2)), rel=1e-14)
