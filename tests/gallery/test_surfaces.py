"""Needs nothing but NumPy: the problems of bench/ are these surfaces too."""

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.cli.gallery import surfaces
from fusedoptim.cli.gallery.surfaces import Surface

MINIMA = {
    surfaces.ravine: [(0, 0)],
    surfaces.rosenbrock: [(1, 1)],
    surfaces.saddle: [(0, 2**0.5), (0, -(2**0.5))],
    surfaces.hill: [(1, 0), (0.6, -0.8)],
    surfaces.two_valleys: [(1.31697315, 0), (-0.7100319, 0)],
    surfaces.plateau: [(0, 0)],
}


@pytest.mark.parametrize("surface", MINIMA)
def test_the_gradient_is_that_of_the_value(surface: Surface) -> None:
    x, y = np.random.default_rng(0).uniform(-2, 2, (2, 50))
    step = 1e-6
    _, gradient = surface(x, y)
    numeric = [
        (surface(x + dx, y + dy)[0] - surface(x - dx, y - dy)[0]) / (2 * step) for dx, dy in ((step, 0), (0, step))
    ]
    np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("surface", MINIMA)
def test_minima_are_where_the_docstrings_say(surface: Surface) -> None:
    for x, y in MINIMA[surface]:
        value, gradient = surface(x, y)
        np.testing.assert_allclose(gradient, 0, atol=1e-7)
        around = [surface(x + 0.01 * np.cos(a), y + 0.01 * np.sin(a))[0] for a in np.linspace(0, 6, 13)]
        assert min(around) > value - 1e-6


def test_a_path_ends_where_it_diverges() -> None:
    path = surfaces.descend(surfaces.plateau, lambda w: fo.SGD(w, 1), (-4, 1), 300)
    assert len(path) < 100
    assert surfaces.FAR < abs(path[-1]).max() < np.inf
