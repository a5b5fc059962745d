import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from fusedoptim.cli.gallery.averaging import BETA, MINIBATCHES, PREDICTED, M, Spread

# The sum of the squared correlations of one estimate with all: by how much those that overlap say less.
REPEATED = {
    "SGD": 1.0,
    "accumulate": 1.0,
    "WindowSGD": (2 * M**2 + 1) / (3 * M),
    "Momentum": (1 + BETA**2) / (1 - BETA**2),
}


@pytest.mark.parametrize("name", PREDICTED)
def test_variance_is_as_predicted(data: Spread, name: str) -> None:
    """Within four standard deviations of the variance of so many normal numbers."""
    independent = MINIBATCHES / (M if name == "accumulate" else 1) / REPEATED[name]
    deviation = np.sqrt(2 / independent)
    assert deviation < 0.05
    assert data.variance(name) == pytest.approx(PREDICTED[name], rel=4 * deviation)


@pytest.mark.parametrize("name", PREDICTED)
def test_estimates_are_spread_around_the_full_gradient(data: Spread, name: str) -> None:
    """Their mean is that of nearly all minibatches, whatever the averaging."""
    deviation = np.sqrt(np.diag(data.covariance) / MINIBATCHES)
    np.testing.assert_allclose(data.estimates[name].mean(axis=0), data.full, atol=float(5 * deviation.max()))
