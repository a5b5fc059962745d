"""The whole step is the reference's, to the bit: mean, norm, scale, clip, L2 penalty, rule, average, and zeroing."""

import inspect
import math
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusedoptim as fo

from ..bits import assert_same_bits, flushed
from ..cases import KINDS, Case
from ..expected import EACH_ALONE_AND_ALL, Expected, Options
from ..nests import copied, gradients, normal, unchanged

PARALLEL = fo._core.parallel_threshold
BORDERS = [0, 1, 31, 32, 33, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193, 2 * 8192 + 1]


def takes_l2(case: Case) -> bool:
    """Whether the rule itself knows nothing of the decay that the optimizer has."""
    return (
        "weight_decay" in inspect.signature(case.optimizer).parameters
        and "weight_decay" not in case.hyper_at(1)
        and ("weight_decay" not in fo._core.rule_hypers[case.rule])
    )


def check(
    case: Case,
    options: Options,
    sizes: list[int],
    seed: int,
    l2: float = 0.0,
    isas: Iterable[str] | None = None,
    threads: Iterable[int | None] = (None,),
) -> None:
    """Three updates of two groups, of which the second has other hyper-parameters, float32 and float64 in turns.

    Of an optimizer for each instruction set and number of threads; the reference is computed once.
    """
    l2 = l2 if takes_l2(case) else 0.0
    dtypes = (np.float32, np.float64)
    params = [normal(seed + k, n, dtype=dtypes[k % 3 == 1]) for k, n in enumerate(sizes)]
    half = len(params) // 2
    other = replace(case, keywords=case.keywords | {"lr": 0.007}, hyper=case.named | {"lr": 0.007})
    expected = Expected([(case, l2, params[:half]), (other, 0.0, params[half:])], options)

    def make(num_threads: int | None) -> fo.Optimizer:
        first = {"params": copied(params[:half])} | ({"weight_decay": l2} if l2 else {})
        second = {"params": {"deep": [copied(params[half:])]}, "lr": 0.007}
        return case.make([first, second], **options.keywords, num_threads=num_threads)

    optimizers = [(isa, n, make(n)) for isa in isas or [fo.isa()] for n in threads]
    for t in range(1, 4):
        nests = [gradients(optimizers[0][-1].params, seed + 10 * (t - 1) + m) for m in range(options.accumulate)]
        expected.step(nests)
        for isa, n, optimizer in optimizers:
            with fo.use_isa(isa):
                expected.check(optimizer, nests, f"at t={t}, {isa}, {n} threads")


@pytest.mark.parametrize("options", EACH_ALONE_AND_ALL)
def test_options(kind: Case, options: str) -> None:
    for l2 in (0.0, 0.1) if takes_l2(kind) else (0.0,):
        check(kind, EACH_ALONE_AND_ALL[options], [5, 2049, 3, 0, 4097, 33], seed=1, l2=l2)


@pytest.mark.parametrize("options", ["clip_norm", "accumulate", "zero_grads", "all"])
def test_every_instruction_set_and_number_of_threads(kind: Case, options: str) -> None:
    sizes = [*BORDERS, PARALLEL // 2 - 1, PARALLEL // 2 + 77]
    ways: dict[str, Any] = {"isas": fo.available_isas(), "threads": (1, 2, 3)}
    check(kind, EACH_ALONE_AND_ALL[options], sizes, seed=2, l2=0.1, **ways)


@pytest.mark.parametrize("n", [PARALLEL - 1, PARALLEL, PARALLEL + 1])
def test_on_both_sides_of_the_parallel_threshold(kind: Case, n: int) -> None:
    check(kind, EACH_ALONE_AND_ALL["all"], [100, n - 100], seed=3, l2=0.1, threads=[2])


positive = st.floats(1e-3, 1e3)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    kind=st.sampled_from(KINDS),
    options=st.builds(
        Options,
        accumulate=st.sampled_from([1, 1, 2, 3, 5]),
        clip_norm=st.none() | positive,
        clip_value=st.none() | positive,
        ema=st.none() | st.floats(0, 0.999),
        ema_bias_correction=st.booleans(),
        maximize=st.booleans(),
        grad_scale=st.just(1.0) | positive,
        zero_grads=st.booleans(),
    ),
    sizes=st.lists(st.sampled_from(BORDERS) | st.integers(0, 300), max_size=6),
    l2=st.sampled_from([0.0, 0.1, 3.0]),
    isa=st.sampled_from(fo.available_isas()),
    seed=st.integers(0, 1000),
)
def test_any_combination(kind: Case, options: Options, sizes: list[int], l2: float, isa: str, seed: int) -> None:
    check(kind, options, sizes, seed, l2, isas=[isa])


def test_signs_of_zero(kind: Case, isa: str) -> None:
    """The mean of negative zeros."""
    w = np.full(40, -0.0, np.float32)
    wanted, g, state = w.copy(), w.copy(), kind.new_state(w)
    optimizer = kind.make(w, accumulate=2)
    with fo.use_isa(isa):
        for t in (1, 2):
            optimizer.step(g)
            optimizer.step(g)
            with np.errstate(invalid="ignore"):  # 0 / 0, without eps
                kind.reference(wanted, fo.reference.gradient([g, g], wanted), *state, **kind.hyper_at(t))
            assert_same_bits(w, wanted, f"t={t}")


# The norm


def step_norm(grads: Any, **keywords: Any) -> float | None:
    """The norm of these gradients, which a step tells."""
    optimizer = fo.SGD(
        fo.core.tree.map_leaves(np.zeros_like, grads), lr=0.0, clip_norm=math.inf, nonfinite="skip", **keywords
    )
    optimizer.step(grads)
    return optimizer.last_grad_norm


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_norm(isa: str, threads: int) -> None:
    """Of sizes around all borders, in both dtypes, of magnitudes whose order of summation shows."""
    rng = np.random.default_rng(0)
    grads = [
        (rng.normal(size=n) * 10.0 ** rng.uniform(-9, 9, n)).astype(dtype)
        for n in [*BORDERS, PARALLEL + 1]
        for dtype in (np.float64, np.float32)
    ]
    with fo.use_isa(isa):
        assert step_norm(grads, num_threads=threads) == fo.reference.norm(grads)
        for g in grads:
            assert step_norm(g, num_threads=threads) == fo.reference.norm([g])


SPECIAL = [0.0, 1e-40, 1e-23, 1e-20, 3e17, 1e18, 1.5e19, 3e38, math.inf, math.nan]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_norm_in_float32_and_beyond(isa: str, accumulate: int) -> None:
    """Where the rows of a pair, the chunk and what remains of it end; squares that float32 has room for, and others."""
    rng = np.random.default_rng(0)
    sizes = [n + k for n in (0, 32, 64, 96, 128, 4096, 4160, 8192) for k in (-1, 0, 1) if n + k >= 0]
    with fo.use_isa(isa):
        for n in sizes:
            for scale in [1.0, *SPECIAL[1:-2], 2.0**-45, 2.0**60]:
                gs = [(scale * rng.normal(size=n)).clip(-3.4e38, 3.4e38).astype(np.float32) for _ in range(accumulate)]
                optimizer = fo.SGD(np.zeros(n, np.float32), clip_norm=1.0, accumulate=accumulate)
                for g in gs:
                    optimizer.step(g)
                with np.errstate(over="ignore"):
                    mean = fo.reference.gradient([flushed(g) for g in gs], gs[0])
                assert optimizer.last_grad_norm == fo.reference.norm([flushed(mean)]), (n, scale)
            for at in {0, n // 2, n - 1} if n > 0 else ():
                for special in SPECIAL:  # among plain numbers
                    g = rng.normal(size=n).astype(np.float32)
                    g[at] = special
                    np.testing.assert_equal(step_norm(g), fo.reference.norm([flushed(g)]), str((n, at, special)))


@pytest.mark.parametrize("bound", [2.0**-90, 2.0**120])
def test_a_norm_at_the_bounds_of_float32(isa: str, bound: float) -> None:
    """Just within, a pair of squares is rounded to float32; at the bound and beyond, nothing is."""
    for factor, rounded in [(0.99, bound > 1), (1.0, False), (1.01, bound < 1)]:
        g = np.zeros(64, np.float32)
        g[0] = math.sqrt(bound * factor * (1 - 2.0**-20 if factor != 1.0 else 1))
        g[32] = g[0] * np.float32(1.2345e-3) if factor != 1.0 else 0
        with fo.use_isa(isa):
            assert step_norm(g) == fo.reference.norm([g])
        exact = math.sqrt(np.square(g, dtype=np.float64).sum())
        assert (step_norm(g) == exact) != rounded


def test_the_reference_norm_is_the_norm() -> None:
    grads = [normal(0, 5000), normal(1, 77, dtype=np.float64)]
    assert fo.reference.norm(grads) == pytest.approx(
        math.sqrt(sum(np.sum(g.astype(float) ** 2) for g in grads)), rel=2.0**-24
    )
    assert fo.reference.norm([np.array([3.0, 0.0, 4.0])]) == 5
    assert fo.reference.norm([]) == 0


def test_norm_of_very_large_and_very_small_numbers() -> None:
    """Squares of float32 do not overflow: they are summed in float64. Those of float64 do, as documented."""
    assert step_norm(np.full(4, 1e38, np.float32)) == 2 * float(np.float32(1e38))
    assert step_norm(np.full(4, 1e-30, np.float32)) == pytest.approx(2e-30, rel=1e-7)
    assert step_norm(np.full(4, 1e150)) == pytest.approx(2e150)
    assert step_norm(np.full(4, 1e200)) == math.inf
    assert step_norm([np.ones(3), np.array([np.inf])]) == math.inf
    assert math.isnan(step_norm([np.array([np.nan]), np.array([np.inf])]) or 0)
    assert step_norm([np.ones((0, 3)), np.zeros(2)]) == 0
    assert step_norm({}) == 0


def test_clipping_to_a_norm_of_gradients_that_are_all_zero(kind: Case) -> None:
    w = normal(0, 5)
    wanted, state = w.copy(), kind.new_state(w)
    kind.make(w, clip_norm=1.0).step(np.zeros_like(w))
    with np.errstate(invalid="ignore"):
        kind.reference(wanted, np.zeros_like(w), *state, **kind.hyper_at(1))
    assert_same_bits(w, wanted)


def test_an_infinite_norm_that_propagates() -> None:
    """What is finite is scaled to zero, what is infinite becomes NaN."""
    w = np.ones(3)
    fo.SGD(w, lr=1.0, clip_norm=1.0).step(np.array([1.0, np.inf, -1.0]))
    np.testing.assert_array_equal(w, [1, np.nan, 1])


def test_the_clipped_gradient_has_the_norm(dtype: type) -> None:
    """By hand: 3, 4 has norm 5, over two groups."""
    params = [{"params": np.zeros(1, dtype)}, {"params": np.zeros(1, dtype)}]
    optimizer = fo.SGD(params, lr=1.0, clip_norm=2.5)
    optimizer.step([np.array([3], dtype), np.array([4], dtype)])
    assert [w.item() for w in optimizer.params] == [-1.5, -2.0]
    assert optimizer.last_grad_norm == 5


def test_the_last_norm_is_that_of_the_last_step() -> None:
    optimizer = fo.SGD(np.zeros(2), clip_norm=1.0, accumulate=2)
    assert optimizer.last_grad_norm is None
    optimizer.step(np.array([3.0, 0.0]))
    assert optimizer.last_grad_norm is None
    optimizer.step(np.array([3.0, 8.0]))
    assert optimizer.last_grad_norm == 5


# Zeroing


def test_gradients_that_are_zeroed_must_be_apart(kind: Case) -> None:
    """One tensor's step would zero what the next has yet to read."""
    memory = normal(0, 10)
    params = {"a": normal(1, 6), "b": normal(2, 6), "none": normal(3, 0)}
    optimizer = kind.make(params)
    before = memory.tobytes()
    for a, b in ((memory[:6], memory[:6]), (memory[:6], memory[4:]), (memory[4:], memory[:6])):
        grads = {"a": a, "b": b, "none": memory[:0]}
        for refuses in (partial(optimizer.step, grads, zero_grads=True), partial(optimizer.bind, grads)):
            with (
                unchanged(optimizer),
                pytest.raises(ValueError, match=r'^grads\["[ab]"\] and grads\["[ab]"\] share memory'),
            ):
                refuses()
    assert before == memory.tobytes()
    optimizer.step({"a": memory[:6], "b": memory[4:], "none": memory[:0]})
    assert optimizer.t == 1


def test_zeroed_gradients_must_be_writeable(kind: Case) -> None:
    g, optimizer = normal(1, 3), kind.make({"w": normal(0, 3)})
    g.flags.writeable = False
    with unchanged(optimizer), pytest.raises(ValueError, match=r'^grads\["w"\] is read-only'):
        optimizer.step({"w": g}, zero_grads=True)


# grad_scale


@pytest.mark.parametrize("scale", [0, -1, 0.0, math.nan, math.inf, -math.inf, 10**400, "1", None, 1j], ids=str)
def test_grad_scale_outside(kind: Case, scale: Any) -> None:
    optimizer = kind.make(normal(0, 3))
    for _ in range(2):
        with unchanged(optimizer), pytest.raises(ValueError, match=r"^grad_scale must be a finite number > 0, got"):
            optimizer.step(normal(1, 3), grad_scale=scale)


def test_grad_scale_is_taken_by_value() -> None:
    """An array without axes that a program scales its loss with may change in place."""
    w, scale = np.zeros(1), np.array(2.0)
    optimizer = fo.SGD(w, lr=1.0)
    optimizer.step(np.ones(1), grad_scale=scale)
    scale[...] = 4.0
    optimizer.step(np.ones(1), grad_scale=scale)
    assert w == -0.75


def test_grad_scale_may_change_between_steps_but_not_within_an_accumulation(kind: Case) -> None:
    w, g = normal(0, 3), normal(1, 3)
    wanted, state = w.copy(), kind.new_state(w)
    optimizer = kind.make(w, accumulate=2)
    for t, scale in enumerate([4.0, 1.0, 0.5], start=1):
        optimizer.step(g, grad_scale=scale)
        for other in (2.0, 0.25):
            with pytest.raises(ValueError, match=rf"^grad_scale must stay {scale} until .* got {other}"):
                optimizer.step(g, grad_scale=other)
        optimizer.step(g, grad_scale=scale)
        kind.reference(wanted, fo.reference.gradient([g, g], w, scale=1 / scale), *state, **kind.hyper_at(t))
        assert_same_bits(w, wanted, f"t={t}")


def test_a_refused_step_does_not_set_the_scale(kind: Case) -> None:
    optimizer = kind.make(normal(0, 3), accumulate=2)
    with pytest.raises(TypeError, match="grads"):
        optimizer.step(1.0, grad_scale=8.0)
    optimizer.step(normal(1, 3))
    optimizer.step(normal(2, 3))
    assert optimizer.t == 1
