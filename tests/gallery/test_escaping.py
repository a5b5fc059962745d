import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import fusedoptim as fo
from fusedoptim.cli.gallery.escaping import VALLEYS_LR, VALLEYS_START, VALLEYS_STEPS, Escapes
from fusedoptim.cli.gallery.surfaces import descend, hill, saddle, two_valleys


def test_a_saddle_is_left_by_noise_and_not_without(data: Escapes) -> None:
    quiet, *noisy = data.from_saddle
    np.testing.assert_allclose(quiet[-1], 0, atol=1e-9)
    assert all(saddle(*path[-1])[0] < 0.1 < saddle(0, 0)[0] for path in noisy)
    assert {np.sign(path[-1, 1]) for path in noisy} == {-1, 1}


def test_a_local_maximum_is_left_by_noise_and_not_without(data: Escapes) -> None:
    quiet, *noisy = data.from_top
    assert not quiet.any()
    assert all(hill(*path[-1])[0] < 0.05 < hill(0, 0)[0] for path in noisy)


def test_a_shallow_valley_is_passed_with_momentum_and_not_without(data: Escapes) -> None:
    ends = {name: path[-1, 0] for name, path in data.over_valleys.items()}
    assert ends["SGD"] == pytest.approx(-0.71, abs=0.01)
    assert ends["Momentum"] == pytest.approx(1.317, abs=0.05)
    assert two_valleys(ends["Momentum"], 0)[0] < two_valleys(ends["SGD"], 0)[0] - 0.5


@pytest.mark.parametrize("lr", [0.02, 0.05, 0.1, 0.2, 0.3])
def test_sgd_stays_in_the_shallow_valley_at_smaller_and_at_larger_rates(lr: float) -> None:
    path = descend(two_valleys, lambda w: fo.SGD(w, lr), VALLEYS_START, 5 * VALLEYS_STEPS)
    assert path[-1, 0] == pytest.approx(-0.71, abs=0.01)


def test_momentum_has_to_be_fast_enough_and_sgd_can_jump() -> None:
    slow = descend(two_valleys, lambda w: fo.Momentum(w, VALLEYS_LR / 2), VALLEYS_START, 5 * VALLEYS_STEPS)
    long = descend(two_valleys, lambda w: fo.SGD(w, 4 * VALLEYS_LR), VALLEYS_START, VALLEYS_STEPS)
    assert slow[-1, 0] == pytest.approx(-0.71, abs=0.01)
    assert long[-1, 0] == pytest.approx(1.317, abs=0.01)
