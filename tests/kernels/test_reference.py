"""The reference against numbers worked out by hand, the lecture's formulas, and torch."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import CASES, ELSEWHERE, Case
from ..elsewhere import Elsewhere, assert_same_path, like_torch, run_of

ADAM = {"lr": 0.5, "beta1": 0.5, "beta2": 0.75, "eps": 1.0, "eps_root": 5.0}

# rule, hyper-parameters, and for each step: the gradient, then (w, *state) after it. One weight, all state zero at first.
BY_HAND: list[tuple[str, dict[str, float], float, list[tuple[float, tuple]]]] = [
    # (1 - 1/4 · 1/2) · 1 - 1/4 · 1/2 = 3/4;  7/8 · 3/4 + 1/4 = 29/32
    ("sgd", {"lr": 0.25, "weight_decay": 0.5}, 1.0, [(0.5, (0.75,)), (-1.0, (29 / 32,))]),
    # means: 1, (1 + 2) / 2, (2 + 4) / 2, (4 - 8) / 2
    (
        *("window_sgd", {"lr": 0.5}, 0.0),
        [
            *[(1.0, (-0.5, [1.0, 0.0])), (2.0, (-1.25, [1.0, 2.0]))],
            *[(4.0, (-2.75, [4.0, 2.0])), (-8.0, (-1.75, [4.0, -8.0]))],
        ],
    ),
    # m = 3/4 · 0 + 1/4 · 4 = 1, w = 1 - 1/2 · 1;  m = 3/4 · 1 + 1/4 · (-3) = 0;  m = 1/4 · 8 = 2, w = 1/2 - 1/2 · 2
    ("momentum", {"lr": 0.5, "beta": 0.75}, 1.0, [(4.0, (0.5, 1.0)), (-3.0, (0.5, 0.0)), (8.0, (-0.5, 2.0))]),
    # v = 1/4 · 4² = 4, w = 2 - 1/2 · 4 / (√(4 + 5) + 1) = 3/2;  v = 3/4 · 4 + 1/4 · 2² = 4, w = 3/2 - 1/2 · 2/4
    (
        *("rmsprop", {"lr": 0.5, "beta": 0.75, "eps": 1.0, "eps_root": 5.0}, 2.0),
        [(4.0, (1.5, 4.0)), (2.0, (1.25, 4.0))],
    ),
    # m = 1/2 · 2 = 1, m̂ = 1 / (1/2) = 2;  v = 1/4 · 2² = 1, v̂ = 1 / (1/4) = 4;  w = 1 - 1/2 · 2 / (√(4 + 5) + 1) = 3/4
    # m = 1/2 + 1 = 3/2, m̂ = 3/2 / (3/4) = 2;  v = 3/4 + 1 = 7/4, v̂ = 7/4 / (7/16) = 4;  w = 3/4 - 1/4
    ("adam", ADAM, 1.0, [(2.0, (0.75, 1.0, 1.0)), (2.0, (0.5, 1.5, 1.75))]),
    # the same m and v uncorrected: w = 1 - 1/2 · 1 / (√(1 + 8) + 1) = 7/8
    ("adam", ADAM | {"eps_root": 8.0, "t": math.inf}, 1.0, [(2.0, (0.875, 1.0, 1.0))]),
    # (1 - 1/2 · 1/2) · 1 = 3/4, then Adam's 1/4;  3/4 · 1/2 = 3/8, then 1/4
    ("adamw", ADAM | {"weight_decay": 0.5}, 1.0, [(2.0, (0.5, 1.0, 1.0)), (2.0, (0.125, 1.5, 1.75))]),
]


@pytest.mark.parametrize(("rule", "hyper", "w", "steps"), BY_HAND, ids=[row[0] for row in BY_HAND])
@pytest.mark.parametrize("layer", [fo.reference, fo.kernels], ids=["reference", "kernels"])
def test_by_hand(layer: Any, rule: str, hyper: dict[str, float], w: float, steps: list) -> None:
    arrays = [np.array([w]), *(np.zeros((*np.shape(state), 1)) for state in steps[0][1][1:])]
    moving_t = "t" in fo._core.rule_hypers[rule] and "t" not in hyper
    for t, (g, wanted) in enumerate(steps, start=1):
        getattr(layer, rule)(arrays[0], np.array([g]), *arrays[1:], **hyper, **({"t": t} if moving_t else {}))
        for got, want in zip(arrays, wanted, strict=True):
            np.testing.assert_allclose(got.ravel(), want, rtol=1e-15)


def test_every_rule_is_checked_by_others() -> None:
    """By hand, or by an implementation that nobody here wrote."""
    unchecked = {case.rule for case in CASES} - {row[0] for row in BY_HAND} - {case.rule for case in CASES if case.like}
    assert not unchecked


STEPS = 100


@pytest.mark.parametrize(
    ("row", "other"),
    [(case, other) for case in [*CASES, *ELSEWHERE] for other in case.others],
    ids=lambda x: getattr(x, "__name__", str(x)),
)
def test_same_as_elsewhere(row: Case, other: Elsewhere) -> None:
    """Two tensors, a hundred steps, in float64."""
    assert_same_path(row.make, other, *run_of([(20, 30), (40,)], STEPS))


def test_torch_momentum_from_its_own_first_step() -> None:
    """torch starts at m = g; here that is a first gradient 1 / (1 - beta) times as large."""
    start, steps = run_of([(1000,)], STEPS)
    theirs, beta = like_torch("SGD", lr=1e-2, momentum=0.75, dampening=0.75), 0.75
    scaled = [[g / (1 - beta) for g in steps[0]], *steps[1:]]
    assert_same_path(fo.Momentum, lambda w, _: theirs(w, steps), start, scaled, lr=1e-2, beta=beta)


# The lecture's systems, with its letters: d the gradient estimates of all steps so far, newest last; v the running average
# of the gradient and u that of its square. Each gives the direction of step t.
def averages(d: np.ndarray, beta: float, power: int = 1) -> np.ndarray:
    """The running average from its closed form, (1 - beta) Σ beta^(t-s) d_s."""
    ages = np.arange(len(d))[::-1]
    return (1 - beta) * (beta**ages @ d**power)


def adam(d: np.ndarray, t: int) -> np.ndarray:
    v, u = averages(d, 0.8), averages(d, 0.9, 2)
    return v / np.sqrt(u + 0.01) / math.sqrt(t / 50)


def adam_corrected(d: np.ndarray, t: int) -> np.ndarray:
    v, u = averages(d, 0.8) / (1 - 0.8**t), averages(d, 0.9, 2) / (1 - 0.9**t)
    return v / np.sqrt(u + 0.01) / math.sqrt(t / 50)


ANNEALED = {"lr": fo.schedules.inverse_sqrt(0.1, n=50), "betas": (0.8, 0.9), "eps": 0, "eps_root": 0.01}
LECTURE: dict[str, tuple[Callable[[np.ndarray, int], Any], type[fo.Optimizer], dict[str, Any]]] = {
    "sgd": (lambda d, t: d[-1], fo.SGD, {}),
    "uniform_average": (lambda d, t: d[-4:].mean(axis=0) if t % 4 == 0 else 0, fo.SGD, {"accumulate": 4}),
    "moving_window": (lambda d, t: d[-4:].mean(axis=0), fo.WindowSGD, {"window": 4}),
    "running_average": (lambda d, t: averages(d, 0.8), fo.Momentum, {"beta": 0.8}),
    "rmsprop": (
        lambda d, t: d[-1] / np.sqrt(averages(d, 0.9, 2) + 0.01),
        *(fo.RMSProp, {"beta": 0.9, "eps": 0, "eps_root": 0.01}),
    ),
    "adam": (adam, fo.Adam, ANNEALED | {"bias_correction": False}),
    "adam_corrected": (adam_corrected, fo.Adam, ANNEALED),
}


@pytest.mark.parametrize(("direction", "optimizer", "keywords"), LECTURE.values(), ids=LECTURE)
def test_lecture(direction: Callable, optimizer: type[fo.Optimizer], keywords: dict[str, Any]) -> None:
    rng = np.random.default_rng(2)
    grads, w = rng.normal(size=(STEPS, 10)), rng.uniform(25, 26, 10)
    ours = w.copy()
    system = optimizer(ours, **({"lr": 0.1} | keywords))
    for t in range(1, STEPS + 1):
        w = w - 0.1 * direction(grads[:t], t)
        system.step(grads[t - 1])
        np.testing.assert_allclose(ours, w, rtol=1e-12, err_msg=f"t={t}")
