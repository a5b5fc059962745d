"""A kernel has the bits of its reference: for every size, place in memory, instruction set and number of threads."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import Flushing, assert_same_bits, flushed
from ..cases import KINDS, Case
from ..draws import draw, moderate, subnormal, wild

PARALLEL = fo._core.parallel_threshold
SIZES = [*range(34), 127, 128, 129, 1000, PARALLEL - 1, PARALLEL, PARALLEL + 1, 100_003]
FEW_SIZES = [1, 17, 79, PARALLEL + 1]  # remainders and threads are the driver's, not the rule's
STEPS = [1, 2, 3, 1000]
OFFSETS = [0, 1, 3]
THREADS = [1, 2, 3]


def expected(case: Case, dtype: type, n: int, distribution: Callable, like: type) -> tuple:
    """(w, *state) at first, then gradients and (w, *state) after each step of the reference, on arrays of the class `like`."""
    rng = np.random.default_rng(n)
    w = draw(subnormal if distribution is subnormal else moderate, rng, n, dtype)
    start = [w, *case.new_state(w)]
    seen = flushed if like is Flushing else np.copy  # by what is not arithmetic on `like`: a norm
    w, *state = (seen(w).view(like), *(s.copy().view(like) for s in start[1:]))
    steps = []
    with np.errstate(all="ignore"):
        for t in STEPS:
            g = draw(distribution, rng, n, dtype)
            case.reference(w, seen(g).view(like), *state, **case.hyper_at(t))
            steps.append((g, [np.array(array) for array in (w, *state)]))
    return start, steps


class Guarded:
    """Memory for an array at any offset from a cache line, with sentinels before and after it."""

    PAD = 64

    def __init__(self, shape: tuple[int, ...], dtype: type) -> None:
        self.shape, self.n = shape, int(np.prod(shape))
        memory = np.empty(self.n + 3 * self.PAD, dtype)
        skip = -memory.ctypes.data % 64 // memory.itemsize
        self.memory = memory[skip : skip + self.n + 2 * self.PAD]

    def place(self, offset: int) -> np.ndarray:
        self.memory[:] = -7.25
        self.first = self.PAD // 2 + offset
        self.array = self.memory[self.first : self.first + self.n].reshape(self.shape)
        self.before, self.after = self.memory[: self.first].tobytes(), self.memory[self.first + self.n :].tobytes()
        return self.array

    def check(self, wanted: np.ndarray, its_bytes: bytes, what: str) -> None:
        """The array is as wanted, and all around it as before; in one look at the bytes where no NaN has another payload."""
        if self.memory.tobytes() != b"".join((self.before, its_bytes, self.after)):
            assert_same_bits(self.array, wanted, what)
            around = (self.memory[: self.first].tobytes(), self.memory[self.first + self.n :].tobytes())
            assert around == (self.before, self.after), f"{what}: written outside an array"


def threads(n: int) -> list[int]:
    return THREADS if n >= PARALLEL - 1 else [1]


@pytest.mark.parametrize(("distribution", "like"), [(moderate, np.ndarray), (wild, Flushing)], ids=["moderate", "wild"])
def test_kernel_equals_reference(case: Case, dtype: type, distribution: Callable, like: type) -> None:
    hypers = [case.hyper_at(t) for t in STEPS]
    for n in SIZES if case in KINDS else FEW_SIZES:
        start, steps = expected(case, dtype, n, distribution, like)
        after = [[(array, array.tobytes()) for array in (wanted[0], g, *wanted[1:])] for g, wanted in steps]
        guarded = [Guarded(shape, dtype) for shape in ((n,), (n,), *case.state_shapes((n,)))]
        for isa, offset, n_threads in product(fo.available_isas(), OFFSETS, threads(n)):
            fo.set_num_threads(n_threads)
            w, g, *state = (memory.place((k + 1) * offset % 16) for k, memory in enumerate(guarded))
            for array, first in zip((w, *state), start, strict=True):
                array[...] = first
            with fo.use_isa(isa):
                for t, hyper, (gradient, _), wanted in zip(STEPS, hypers, steps, after, strict=True):
                    g[...] = gradient
                    case.kernel(w, g, *state, **hyper)
                    for k, (memory, want) in enumerate(zip(guarded, wanted, strict=True)):
                        memory.check(*want, f"array {k}: {isa} n={n} offset={offset} threads={n_threads} t={t}")


def test_wild_gradients_are_what_they_claim() -> None:
    """The test above would prove nothing about overflow, underflow and NaN if these did not happen."""
    _, steps = expected(Case(fo.RMSProp), np.float32, 1000, wild, Flushing)
    (g, (w, v)), *_ = steps
    assert np.isnan(w).any() and np.isfinite(w).sum() > 500
    assert (np.isinf(v) & np.isfinite(g)).any() and ((v == 0) & (g != 0)).any()


def test_nan_stays_nan(case: Case, dtype: type) -> None:
    for isa in fo.available_isas():
        w, g = np.ones(40, dtype), np.ones(40, dtype)
        g[[3, 38]] = np.nan
        state = case.new_state(w)
        with fo.use_isa(isa):
            case.kernel(w, g, *state, **case.hyper_at(1))
        spoiled = np.flatnonzero(np.isnan(w)).tolist()
        if case.rule in fo._core.measured_rules:  # a norm may carry it to the whole tensor
            assert {3, 38} <= set(spoiled), isa
        else:
            assert spoiled == [3, 38], isa


def test_subnormal_numbers(case: Case, dtype: type) -> None:
    """They count as zero; with every instruction set and number of threads alike."""
    n = PARALLEL + 1 if case in KINDS else 1000
    plain_start, plain = expected(case, dtype, n, subnormal, np.ndarray)
    start, steps = expected(case, dtype, n, subnormal, Flushing)
    assert_same_bits(start[0], plain_start[0])
    bound = case.subnormal_bound(dtype)
    for isa, n_threads in product(fo.available_isas(), threads(n)):
        fo.set_num_threads(n_threads)
        w, *state = (array.copy() for array in start)
        with fo.use_isa(isa):
            for t, (g, wanted), (_, unflushed) in zip(STEPS, steps, plain, strict=True):
                case.kernel(w, g, *state, **case.hyper_at(t))
                for got, want, near in zip((w, *state), wanted, unflushed, strict=True):
                    assert_same_bits(got, want, f"{isa} threads={n_threads} t={t}")
                    assert case.discontinuous or np.abs(got - near).max() <= bound


@pytest.mark.parametrize("n", [16, PARALLEL + 1])
def test_the_floating_point_mode_is_restored(kind: Case, dtype: type, isa: str, n: int) -> None:
    w = np.ones(n, dtype)
    state = kind.new_state(w)
    small = np.array([np.finfo(dtype).tiny])
    with fo.use_isa(isa):
        kind.kernel(w, w.copy(), *state)
    assert (small * dtype(0.5) > 0).all() and (small * dtype(0.5) * dtype(2) == small).all()


@pytest.mark.parametrize("accumulate", [2, 3])
@pytest.mark.parametrize("n", [0, 1, 17, 1000, PARALLEL + 1])
def test_accumulate_is_the_reference_on_the_mean(kind: Case, dtype: type, n: int, accumulate: int) -> None:
    rng = np.random.default_rng(n)
    start = moderate(rng, n).astype(dtype)
    wanted = start.copy().view(Flushing)
    state = [s.view(Flushing) for s in kind.new_state(start)]
    names = [name for name, _ in fo._core.rule_states[kind.rule]]
    optimizers = {isa: kind.make(start.copy(), accumulate=accumulate, num_threads=2) for isa in fo.available_isas()}
    for t in (1, 2, 3):
        with np.errstate(all="ignore"):
            gs = [wild(rng, n).astype(dtype) for _ in range(accumulate)]
            total = sum(gs, start=np.zeros(n, dtype).view(Flushing))
            kind.reference(wanted, total / accumulate, *state, **kind.hyper_at(t))
        for isa, optimizer in optimizers.items():
            with fo.use_isa(isa):
                for g in gs:
                    optimizer.step(g)
            assert_same_bits(optimizer.params, np.array(wanted), f"{isa} t={t}")
            for name, want in zip(names, state, strict=True):
                assert_same_bits(optimizer.state[name], np.array(want), f"{isa} {name} t={t}")
            assert not optimizer.state["grad_sum"].any(), isa


HELPERS = {  # the rows of the table that are no optimizers, and what becomes of their arrays
    "accumulate": lambda w, g: [w + g],
    "traffic0": lambda w, g: [w + g],
    "traffic1": lambda w, g, a: [a, w + g],
    "traffic2": lambda w, g, a, b: [a, b, w + g],
    "traffic3": lambda w, g, a, b, c: [a, b, c, w + g],
    "traffic4": lambda w, g, a, b, c, d: [a, b, c, d, w + g],
    "traffic_ring": lambda w, g, a, b, c, d: [w + g + a + b + c, a, b, c, g],
    "traffic_read": lambda w, g: [w],
}


@pytest.mark.parametrize("name", [name for name in HELPERS if name != "accumulate"])
def test_traffic_is_of_float32(name: str) -> None:
    arrays = [np.ones(4) for _ in range(HELPERS[name].__code__.co_argcount)]
    with pytest.raises(TypeError, match=f"^w must be float32 for {name}, got float64"):
        getattr(fo._core, name)(*arrays)


@pytest.mark.parametrize(("name", "of"), [*((name, np.float32) for name in HELPERS), ("accumulate", np.float64)])
def test_helpers(name: str, of: type, isa: str) -> None:
    rng, formula = np.random.default_rng(0), HELPERS[name]
    n_arrays = formula.__code__.co_argcount
    with fo.use_isa(isa), np.errstate(all="ignore"):
        for n in SIZES:
            arrays = [wild(rng, n).astype(of).view(Flushing) for _ in range(n_arrays)]
            wanted = [np.array(array) for array in formula(*arrays)]
            w, g, *state = (np.array(array) for array in arrays)
            getattr(fo._core, name)(w, g, *state)
            for got, want in zip((w, *state), wanted, strict=True):
                assert_same_bits(got, want, f"n={n}")
