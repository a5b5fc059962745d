import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import fusedoptim as fo
from fusedoptim.cli.gallery.scaling import BETA, LR, STEPS, Scaled
from fusedoptim.cli.gallery.surfaces import CURVATURES


def test_the_ravine_is_round(data: Scaled) -> None:
    assert CURVATURES[1] / CURVATURES[0] == 25
    assert all(data.condition(t) < 2.1 for t in range(STEPS))


def test_it_is_as_round_as_the_weights_are_equally_far() -> None:
    w = np.array([-2.0, 2.0])
    optimizer = fo.RMSProp(w, LR, beta=BETA, eps=0)
    for _ in range(STEPS):
        optimizer.step(np.array(CURVATURES) * w)
    curvatures = np.array(CURVATURES) / np.sqrt(optimizer.state["v"])
    assert curvatures.max() / curvatures.min() == pytest.approx(1)


@pytest.mark.parametrize("t", [0, STEPS // 2, STEPS - 1])
def test_a_step_is_one_of_sgd_in_these_coordinates(data: Scaled, t: int) -> None:
    before, after = (data.coordinates(data.path[i], t) for i in (t, t + 1))
    gradient = np.array(CURVATURES) / data.scales[t] * before
    np.testing.assert_allclose(after, before - LR * gradient, rtol=1e-12)


def test_it_moves_less_across_than_sgd(data: Scaled) -> None:
    across = [np.abs(np.diff(path[:, 1])).sum() for path in (data.path, data.sgd)]
    assert across[0] < across[1] / 4
