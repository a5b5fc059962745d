"""Rules that keep numbers for rows and columns, on tensors of two and more axes: bits, other implementations, shapes."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import Flushing, assert_same_bits, flushed
from ..cases import CASES, Case, sm3, torch
from ..draws import draw, moderate, wild
from ..elsewhere import assert_same_path, run_of
from ..expected import EACH_ALONE_AND_ALL, Expected
from ..nests import gradients, normal

ROWS = [case for case in CASES if {"lines", "axes"} & {kind for _, kind in fo._core.rule_states[case.rule]}]

# Rows of one and of several chunks of 4096, matrices of one and of several bands of 16384 elements; more than two axes;
# empty ones.
SHAPES = [
    *[(1, 1), (1, 5), (5, 1), (33, 70), (3, 4097), (5, 8200), (16_385, 1), (700, 50)],
    *[(2, 3, 4), (3, 1, 5), (7, 1, 1), (2, 3, 2, 31), (40, 30, 3, 3), (2, 300, 100)],
    *[(0, 3), (3, 0), (2, 0, 3), (2, 3, 0)],
]

every_row = pytest.mark.parametrize("row", ROWS, ids=str)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def test_these_rules_are_here() -> None:
    assert {row.rule for row in ROWS} == {"adafactor", "sm3"}


def spread(rng: np.random.Generator, n: int) -> np.ndarray:
    """Of many magnitudes, whose order of summation shows, with zeros but nothing that makes all of a matrix NaN."""
    return rng.choice([-1, 0, 1], n, p=[0.45, 0.1, 0.45]) * 10.0 ** rng.uniform(-8, 8, n)


@every_row
@every_shape
@pytest.mark.parametrize("distribution", [moderate, spread, wild])
def test_kernel_equals_reference(row: Case, shape: tuple[int, ...], dtype: type, distribution: Any) -> None:
    check_kernel(row, shape, dtype, distribution)


def test_a_matrix_of_the_most_bands() -> None:
    """64, of three rows each here."""
    check_kernel(Case(fo.Adafactor), (130, 8192), np.float32, spread)


def check_kernel(
    row: Case, shape: tuple[int, ...], dtype: type, distribution: Any, like: type = Flushing, at: tuple = (1, 2, 3)
) -> None:
    """With every instruction set and number of threads; the reference on arrays of the class `like`."""
    rng, n = np.random.default_rng(0), int(np.prod(shape))
    start = moderate(rng, n).astype(dtype).reshape(shape)
    wanted = start.copy().view(like)
    states = [s.view(like) for s in row.new_state(start)]
    steps = []
    with np.errstate(all="ignore"):
        for t in at:
            g = draw(distribution, rng, n, dtype).reshape(shape)
            seen = flushed(g) if like is Flushing else g
            row.reference(wanted, seen.view(like), *states, **row.hyper_at(t))
            steps.append((t, g, [np.array(array) for array in (wanted, *states)]))
    for isa, threads in product(fo.available_isas(), (1, 2, 3)):
        fo.set_num_threads(threads)
        w, state = start.copy(), row.new_state(start)
        with fo.use_isa(isa):
            for t, g, want in steps:
                kept = g.tobytes()
                row.kernel(w, g, *state, **row.hyper_at(t))
                assert g.tobytes() == kept, "the gradient was written"
                for k, pair in enumerate(zip((w, *state), want, strict=True)):
                    assert_same_bits(*pair, f"array {k} at t={t}, {isa}, {threads} threads")


@every_row
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("name", EACH_ALONE_AND_ALL)
def test_the_whole_step_is_the_reference(row: Case, name: str, threads: int) -> None:
    """Tensors of all kinds in one step, float32 and float64."""
    options = EACH_ALONE_AND_ALL[name]
    shapes = [(), (5,), (3, 0), (300, 100), (4, 3, 3), (2, 9000), (33_000,), (50, 4)]
    params = [normal(k, *shape, dtype=(np.float32, np.float64)[k % 3 == 1]) for k, shape in enumerate(shapes)]
    expected = Expected([(row, 0.0, params)], options)
    optimizer = row.make(params, **options.keywords, num_threads=threads)
    for t in (1, 2):
        minibatches = [gradients(params, 10 * t + m) for m in range(options.accumulate)]
        expected.step(minibatches)
        expected.check(optimizer, minibatches, f"at t={t}")


DEEP = [(4, 5, 6), (3, 2, 3, 7), (5, 1)]
LIKE: list[tuple[Case, list[tuple[int, ...]]]] = [
    (Case(fo.Adafactor, like=[torch("Adafactor")]), [*DEEP, ()]),
    (Case(fo.SM3, {"lr": 0.3}, like=[sm3]), DEEP),
    (Case(fo.SM3, {"lr": 0.3, "momentum": 0.0, "eps_root": 0.0}, like=[sm3]), [(4, 6), (4, 5, 6), (7,)]),
]


@pytest.mark.parametrize(("row", "shapes"), LIKE)
def test_same_as_elsewhere(row: Case, shapes: list[tuple[int, ...]]) -> None:
    """With gradients that begin as zeros, in places for ever."""
    start, steps = run_of(shapes)
    for t, grads in enumerate(steps):
        for g in grads:
            if g.ndim > 0:
                g[..., : 1 if t < 50 else 0] = 0
                g[(0,) * g.ndim] = 0
    assert_same_path(row.make, *row.others, start, steps)


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (2, 3, 4)], ids=str)
def test_states_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    """The error tells the right one."""
    for row in (Case(fo.Adafactor), Case(fo.SM3)):
        w = np.ones(shape)
        for k, good in enumerate(row.new_state(w)):
            states = row.new_state(w)
            states[k] = np.zeros((*good.shape, 2))
            with pytest.raises(ValueError) as caught:
                row.kernel(w, w.copy(), *states)
            name, kind = fo._core.rule_states[row.rule][k]
            assert str(caught.value).startswith(f"{name} must have the shape {good.shape} to go with w"), kind
        assert (w == 1).all()


def test_memory() -> None:
    """A matrix costs its rows and columns."""
    w = np.zeros((300, 200))
    assert sum(s.size for s in fo.Adafactor(w).state.values()) == 500
    assert fo.SM3(w).state["v"].size == 500
