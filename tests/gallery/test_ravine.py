import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from fusedoptim.cli.gallery.ravine import (
    BETAS,
    LEARNING_RATES,
    PROBES,
    SETTINGS,
    Ravine,
    best,
    largest_rate,
    spectral_radius,
)


@pytest.mark.parametrize("probe", PROBES)
def test_runs_converge_as_fast_as_the_spectral_radius_says(data: Ravine, probe: tuple[float, float]) -> None:
    assert data.measured[probe] == pytest.approx(spectral_radius(*probe), rel=2e-3)


def test_it_converges_below_the_largest_rate(data: Ravine) -> None:
    """In every point of the picture, and in the runs."""
    below = largest_rate(BETAS)[:, None] > LEARNING_RATES
    np.testing.assert_array_equal(data.radius < 1, below)
    assert 0.2 < below.mean() < 0.9
    for (lr, beta), measured in data.measured.items():
        assert (measured < 1) == (lr < largest_rate(beta))


def test_the_best_is_the_smallest_of_the_picture(data: Ravine) -> None:
    smallest = spectral_radius(*best())
    assert smallest == pytest.approx(2 / 3)  # (5 - 1) / (5 + 1), the root of the condition number being 5
    assert smallest <= data.radius.min() + 1e-6
    assert data.radius.min() < smallest + 0.03


def test_momentum_dampens_the_oscillation(data: Ravine) -> None:
    """It moves less across the ravine, at a rate with which SGD diverges, and is at the minimum sooner."""
    assert SETTINGS["SGD"][0] < largest_rate(0) < SETTINGS["Momentum"][0]
    across = {name: np.abs(np.diff(path[:, 1])).sum() for name, path in data.paths.items()}
    assert across["Momentum"] < across["SGD"] / 4
    left = {name: np.hypot(*path[-1]) for name, path in data.paths.items()}
    assert left["Momentum"] < 1e-4
    assert left["SGD"] > 1e-2
