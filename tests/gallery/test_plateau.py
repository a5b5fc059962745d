import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

from fusedoptim.cli.gallery.plateau import RATES, SHOWN, START, Crossings
from fusedoptim.cli.gallery.surfaces import plateau


@pytest.mark.parametrize("name", ["SGD", "Momentum"])
def test_one_rate_for_all_does_not_cross(data: Crossings, name: str) -> None:
    """Any of the rates either diverges in the steep direction or leaves the weights on the plateau."""
    ends = data.ends[name][:, 0]
    diverges = np.isnan(ends)
    assert diverges.any() and not diverges.all()
    assert (ends[~diverges] < START[0] + 0.3).all()
    assert SHOWN[name] < RATES[diverges].min()


@pytest.mark.parametrize("name", ["RMSProp", "Adam"])
def test_a_rate_for_each_component_crosses(data: Crossings, name: str) -> None:
    ends = data.ends[name][:, 0]
    assert not np.isnan(ends).any()
    assert (abs(ends) < 0.6 * RATES)[RATES > 0.02].all()
    assert plateau(*data.paths[name][-1])[0] < 0.01


def test_momentum_diverges_later(data: Crossings) -> None:
    """By (1 + β)/(1 - β) = 19, and that is not enough."""
    ratio = RATES[data.largest_rate("Momentum")] / RATES[data.largest_rate("SGD")]
    assert ratio == pytest.approx(19, rel=0.2)
