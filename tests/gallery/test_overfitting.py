from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")
pytest.importorskip("sklearn", reason="sklearn is not installed")

import fusedoptim as fo
from fusedoptim.cli.gallery.overfitting import EPOCHS, SEEDS, Curves, run


def test_adam_is_more_aggressive(data: Curves) -> None:
    """In every run it has come sooner to where SGD ends, and ends far below."""
    for sgd, adam in zip(data.train["SGD"], data.train["Adam"], strict=True):
        assert np.argmax(adam < sgd[-1]) < EPOCHS / 2
        assert adam[-1] < sgd[-1] / 5


def test_adam_overfits_sooner(data: Curves) -> None:
    """Its test loss turns in less than two thirds of the epochs, and rises more from there."""
    assert 0 < data.best("Adam") < 2 / 3 * data.best("SGD") < 2 / 3 * EPOCHS
    rise = {name: test.mean(axis=0)[-1] - test.mean(axis=0).min() for name, test in data.test.items()}
    assert rise["Adam"] > 2 * rise["SGD"] > 0


@pytest.mark.parametrize(
    "make", [lambda params: fo.Adam(params, lr=1e-3), lambda params: fo.AdamW(params, lr=2e-3, weight_decay=0.3)]
)
def test_a_smaller_rate_or_weight_decay_delays_it(data: Curves, make: Callable[[Any], fo.Optimizer]) -> None:
    test = np.mean([run(make, seed)[:, 1] for seed in SEEDS], axis=0)
    assert test.argmin() > data.best("Adam")
    assert test[-1] < data.test["Adam"].mean(axis=0)[-1]


def test_stopped_early_adam_is_no_worse(data: Curves) -> None:
    least = {name: test.mean(axis=0).min() for name, test in data.test.items()}
    assert least["Adam"] < least["SGD"]
