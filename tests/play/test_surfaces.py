"""The surfaces and the way down them."""

import re

import numpy as np
import pytest

import fusedoptim as fo
import problems

from .browser import PLAY, Browser

SURFACES = re.findall(r"^  (\w+): {", (PLAY / "surfaces.js").read_text(), re.MULTILINE)

EVALUATE = """
const [name, points] = arguments, { value, gradient } = SURFACES[name];
return points.map((w) => [value(...w), gradient(...w)]);
"""
DESCEND = """
const [surface, optimizer, run] = arguments;
return descend(SURFACES[surface], OPTIMIZERS[optimizer], OPTIMIZERS[optimizer].hyper, run);
"""


def evaluated(scripts: Browser, name: str, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values, gradients = zip(*scripts.run(EVALUATE, name, points.tolist()), strict=True)
    return np.array(values), np.array(gradients)


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-2, 2, size=(50, 2))


@pytest.mark.parametrize("name", SURFACES)
def test_gradient_is_the_slope(scripts: Browser, name: str, points: np.ndarray) -> None:
    _, gradients = evaluated(scripts, name, points)
    for axis, step in enumerate(1e-5 * np.eye(2)):
        above, below = (evaluated(scripts, name, points + side * step)[0] for side in (1, -1))
        np.testing.assert_allclose(gradients[:, axis], (above - below) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", SURFACES)
def test_minima(scripts: Browser, name: str) -> None:
    minima = np.array(scripts.run("return SURFACES[arguments[0]].minima", name))
    values, gradients = evaluated(scripts, name, minima)
    assert values[0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(gradients, 0, atol=1e-12)


@pytest.mark.parametrize(("name", "problem", "scale"), [("rosenbrock", "ravine", 200), ("saddle", "saddle", 1)])
def test_the_same_as_in_the_benchmarks(
    scripts: Browser, name: str, problem: str, scale: int, points: np.ndarray
) -> None:
    values, gradients = evaluated(scripts, name, points)
    for value, gradient, w in zip(values, gradients, points, strict=True):
        theirs, its_gradient = problems.PROBLEMS[problem].surface(*w)
        assert value == pytest.approx(theirs / scale)
        assert gradient == pytest.approx(np.array(its_gradient) / scale)


def test_descent_without_noise(scripts: Browser) -> None:
    path = scripts.run(DESCEND, "saddle", "Adam", {"start": [1.0, 0.001], "steps": 40, "noise": 0, "seed": 1})
    w = np.array([1.0, 0.001])
    optimizer = fo.Adam(w, lr=0.1)
    for there in path:
        np.testing.assert_allclose(there, w, rtol=1e-6)
        optimizer.step(np.array(problems.PROBLEMS["saddle"].surface(*w)[1]))
    assert len(path) == 41


def test_noise_follows_from_its_seed(scripts: Browser) -> None:
    run = {"start": [1.0, 1.0], "steps": 20, "noise": 0.5, "seed": 1}
    first, again = (scripts.run(DESCEND, "ravine", "SGD", run) for _ in range(2))
    other = scripts.run(DESCEND, "ravine", "SGD", run | {"seed": 2})
    assert first == again != other


def test_noise_is_normal(scripts: Browser) -> None:
    drawn = np.array(scripts.run("const normal = normal_numbers(3); return Array.from({ length: 20000 }, normal)"))
    within = [np.mean(np.abs(drawn) < k) for k in (1, 2, 3)]
    assert np.mean(drawn) == pytest.approx(0, abs=0.02)
    assert within == pytest.approx([0.683, 0.954, 0.997], abs=0.01)


def test_a_run_that_diverges_ends(page: Browser) -> None:
    page.open("#with=SGD&SGD.lr=5&steps=500")
    path = page.paths()["SGD"]
    assert 2 < len(path) < 50
    assert np.isfinite(path).all()
    assert page.find("#card-SGD .loss").text == "diverged"
