import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from fusedoptim.cli.gallery.windows import BEFORE, BETA, STEPS, M, Responses

AGES = np.arange(STEPS)


def test_weights(data: Responses) -> None:
    np.testing.assert_allclose(data.weights["WindowSGD"], np.where(AGES < M, 1 / M, 0), atol=1e-15)
    np.testing.assert_allclose(data.weights["Momentum"], (1 - BETA) * BETA**AGES, rtol=1e-9)


def test_after_a_jump(data: Responses) -> None:
    """The one is there after M steps, the other comes closer by the same factor for ever."""
    window, running = (data.after_jump[name] for name in ("WindowSGD", "Momentum"))
    assert not window[:BEFORE].any() and not running[:BEFORE].any()
    np.testing.assert_allclose(window[BEFORE:], np.minimum((AGES + 1) / M, 1), rtol=1e-9)
    np.testing.assert_allclose(running[BEFORE:], 1 - BETA ** (AGES + 1), rtol=1e-9)


def test_both_are_as_steady_and_as_old() -> None:
    """So that what they differ in is the shape of the weights alone."""
    assert pytest.approx(1 / M) == (1 - BETA) / (1 + BETA)
    assert pytest.approx((M - 1) / 2) == BETA / (1 - BETA)
