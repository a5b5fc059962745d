import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from fusedoptim.cli.gallery.adam_parts import BETAS, FIRST, Parts, in_the_end, momentum, narrow


@pytest.mark.parametrize(("part", "factor"), [("momentum", 1.5), ("RMSProp", 4), ("decay", 4), ("correction", 1)])
def test_each_part_left_out_makes_it_worse_in_the_end(data: Parts, part: str, factor: float) -> None:
    """In the narrow, noisy bowl, by at least this factor of the loss."""
    assert in_the_end(data.without[part]) > factor * in_the_end(data.adam)


def test_without_the_correction_the_first_steps_are_too_long(data: Parts) -> None:
    """The loss rises beyond where it began, which it does not with it."""
    assert data.without["correction"].max() > 1.5 * data.adam[0]
    assert data.adam.argmax() == 0


@pytest.mark.parametrize("eta", [0.0005, 0.001, 0.005, 0.01])
def test_without_rmsprop_no_rate_is_as_good(data: Parts, eta: float) -> None:
    other = in_the_end(narrow(lambda w: momentum(w, eta)))
    assert other > in_the_end(data.without["RMSProp"]) > 4 * in_the_end(data.adam)


def test_first_steps(data: Parts) -> None:
    """Along a gradient that stays, they are η long with the correction, and follow the averages' zeros without."""
    t = np.arange(1, FIRST + 1)
    np.testing.assert_allclose(data.first_steps[True], 1, rtol=1e-6)
    expected = (1 - BETAS[0] ** t) / np.sqrt(1 - BETAS[1] ** t)
    np.testing.assert_allclose(data.first_steps[False], expected, rtol=1e-6)
    assert data.first_steps[False].min() > 3


def test_a_decay_is_as_quick_as_a_large_rate_and_as_quiet_as_a_small_one(data: Parts) -> None:
    large, small, decay = data.rates.values()
    steps = [int(np.argmax(losses < losses[0] / 100)) for losses in (large, small, decay)]
    assert 0 < steps[2] <= 1.2 * steps[0] < steps[1] / 5
    assert in_the_end(decay) <= 1.2 * in_the_end(small) < in_the_end(large) / 5
