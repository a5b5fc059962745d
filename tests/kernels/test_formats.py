"""Numbers in 16 and 8 bits: a step of them has the bits of the reference, and rounding at random has no bias."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.numerics import formats

from ..bits import assert_same_bits
from ..cases import DEFAULTS, Case
from ..elsewhere import package

NARROW = fo._core.narrow_states
CASES = [case for case in DEFAULTS if case.rule in NARROW]
ADAM = next(case for case in CASES if case.rule == "adam")
PARALLEL = fo._core.parallel_threshold
BLOCK = formats.BLOCK

# What weights and gradients are, and states that may be narrow.
WEIGHTS = [
    ("float32", "float32"),
    ("float32", "bfloat16"),
    ("float32", "float16"),
    ("bfloat16", "bfloat16"),
    ("float16", "float16"),
    ("float16", "bfloat16"),
    ("split", "bfloat16"),
]
STATES = ["float32", "bfloat16", "codes"]
# Formats are the driver's, not the rule's: each rule has one of each kind, and Adam all of them together.
FEW = [("bfloat16", "bfloat16", "bfloat16"), ("split", "bfloat16", "float32"), ("float32", "float16", "codes")]
ALL = [(w, g, state) for (w, g), state in product(WEIGHTS, STATES)]


def stored(kind: str, x: np.ndarray, exponent: int = 4) -> Any:
    if kind == "bfloat16":
        return formats.bfloat16(formats.to_bfloat16(x))
    if kind == "split":
        high, low = formats.to_split(x)
        return formats.bfloat16(high), low
    if kind == "codes":
        return formats.to_codes(x, exponent)
    with np.errstate(over="ignore"):
        return x.astype(kind)


def tensor(case: Case, kinds: tuple[str, str, str], x: np.ndarray) -> list[Any]:
    """Weight and states, some of them in few bits; one of no other use is float32."""
    w, _, state = kinds
    arrays = [stored(w, x)]
    exponents = NARROW[case.rule]
    for (name, _), first in zip(fo._core.rule_states[case.rule], case.new_state(x), strict=True):
        arrays.append(stored(state, first, exponents[name]) if name in exponents else first)
    return arrays


def parts(arrays: list[Any]) -> list[np.ndarray]:
    flat = [part for array in arrays for part in (array if isinstance(array, tuple) else (array,))]
    return [part.view(np.uint16) if formats.is_bfloat16(part.dtype) else part for part in flat]


def copied(arrays: list[Any]) -> list[Any]:
    return [tuple(map(np.copy, array)) if isinstance(array, tuple) else array.copy() for array in arrays]


def numbers(seed: int, n: int, special: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n).astype(np.float32) * np.exp(3 * rng.normal(size=n)).astype(np.float32)
    if special and n > 600:
        x[[7, 300]], x[8], x[9], x[10], x[11] = np.inf, np.nan, 0, 3.4e38, -0.0
        x.view(np.uint32)[12:15] = 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800001  # of which half is infinity, or zero with a carry
    return x


def assert_steps_are_the_references(case: Case, kinds: tuple[str, str, str], n: int, random: bool) -> None:
    ours = tensor(case, kinds, numbers(n, n, special=case is ADAM))
    theirs = copied(ours)
    for t in (1, 2, 3):
        g = stored(kinds[1], numbers(100 * t + n, n, special=case is ADAM and t == 2))
        keywords: dict[str, Any] = case.hyper_at(t) | ({"random": (3, t, 5)} if random else {})
        case.kernel(ours[0], g, *ours[1:], **keywords)
        with np.errstate(all="ignore"):
            case.reference(theirs[0], g, *theirs[1:], **keywords)
        for k, (own, wanted) in enumerate(zip(parts(ours), parts(theirs), strict=True)):
            assert_same_bits(own, wanted, (kinds, n, t, k))


@pytest.mark.parametrize("random", [True, False], ids=["at random", "to nearest"])
@pytest.mark.parametrize("row", CASES, ids=str)
def test_each_rule(row: Case, isa: str, random: bool) -> None:
    with fo.use_isa(isa):
        for kinds, n in product(FEW, (1, 700)):
            if random or kinds[2] != "codes":
                assert_steps_are_the_references(row, kinds, n, random)


@pytest.mark.parametrize("random", [True, False], ids=["at random", "to nearest"])
@pytest.mark.parametrize("kinds", ALL, ids="-".join)
def test_each_format(kinds: tuple[str, str, str], isa: str, random: bool) -> None:
    if kinds[2] == "codes" and not random:
        pytest.skip("codes without a sign are rounded at random")
    with fo.use_isa(isa):
        for n in (0, 1, 63, 64, 65, 255, 256, 257, 700, 9563):
            assert_steps_are_the_references(ADAM, kinds, n, random)


@pytest.mark.parametrize("kinds", FEW, ids="-".join)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads(kinds: tuple[str, str, str], threads: int) -> None:
    fo.set_num_threads(threads)
    for n in (PARALLEL + 1, 2 * PARALLEL + 77):
        assert_steps_are_the_references(ADAM, kinds, n, random=True)


def moved(array: Any, offset: int) -> Any:
    """The same, from another byte of a cache line on: codes from any, the others from where their numbers may begin."""
    if isinstance(array, tuple):
        return tuple(moved(part, offset) for part in array)
    memory = np.zeros(array.nbytes + 128, np.uint8)
    begin = -memory.ctypes.data % 64 + offset // array.itemsize * array.itemsize
    view = memory[begin : begin + array.nbytes].view(array.dtype)
    view[...] = array
    return view


@pytest.mark.parametrize("kinds", FEW, ids="-".join)
@pytest.mark.parametrize("offset", [1, 2, 7, 34, 63])
def test_arrays_that_begin_within_a_line(kinds: tuple[str, str, str], offset: int, isa: str) -> None:
    ours = [moved(array, offset) for array in tensor(ADAM, kinds, numbers(0, 700))]
    theirs = copied(ours)
    g = stored(kinds[1], numbers(1, 700))
    keywords: dict[str, Any] = ADAM.hyper_at(1) | {"random": (3, 1, 5)}
    with fo.use_isa(isa):
        ADAM.kernel(ours[0], moved(g, offset + 4), *ours[1:], **keywords)
    with np.errstate(all="ignore"):  # some are infinite as float16
        ADAM.reference(theirs[0], g, *theirs[1:], **keywords)
    for own, wanted in zip(parts(ours), parts(theirs), strict=True):
        assert_same_bits(own, wanted)


def test_a_matrix_is_its_elements_in_order() -> None:
    x, g = numbers(0, 600), numbers(1, 600)
    flat, matrix = (tensor(ADAM, ("split", "bfloat16", "float32"), each) for each in (x, x.reshape(20, 30)))
    for arrays, shape in ((flat, 600), (matrix, (20, 30))):
        fo.kernels.adam(arrays[0], stored("bfloat16", g).reshape(shape), *arrays[1:], t=1)
    for one, other in zip(parts(flat), parts(matrix), strict=True):
        assert_same_bits(other.ravel(), one)


# -- formats -----------------------------------------------------------------------------------------------------------


def every_pattern() -> np.ndarray:
    """Each sign, exponent and upper half of a mantissa, with ties and what is next to them below."""
    upper = np.arange(2**16, dtype=np.uint32) << 16
    return np.concatenate([upper | low for low in (0, 1, 0x1000, 0x7FFF, 0x8000, 0x8001, 0xFFFF)]).view(np.float32)


def test_bfloat16_is_that_of_ml_dtypes() -> None:
    ml_dtypes = package("ml_dtypes")
    x = every_pattern()
    with np.errstate(all="ignore"):
        assert_same_bits(
            formats.bfloat16(formats.to_bfloat16(x)).view(ml_dtypes.bfloat16).astype(np.float32),
            x.astype(ml_dtypes.bfloat16).astype(np.float32),
        )
    w, g = np.ones(5, ml_dtypes.bfloat16), np.full(5, 0.5, ml_dtypes.bfloat16)
    fo.kernels.sgd(w, g, lr=0.5)
    assert w.astype(float).tolist() == [0.75] * 5


@pytest.mark.parametrize("half", ["bfloat16", "float16", "split"])
def test_what_is_stored_is_loaded(half: str, isa: str) -> None:
    """A step of nothing leaves what it finds; a split one is the float32 that it was, to the bit."""
    x = every_pattern()
    x = x[(np.abs(x) >= np.finfo(np.float32).tiny) | (x == 0)]  # what is less counts as zero
    w = stored(half, x)
    before = formats.load(w)
    if half == "split":
        assert_same_bits(before, x)
    with fo.use_isa(isa):
        fo.kernels.momentum(w, stored("bfloat16", np.zeros_like(x)), np.zeros_like(x))
    normal = (np.abs(before) >= np.finfo(np.float32).tiny) | (before == 0) | np.isnan(before)
    assert_same_bits(formats.load(w)[normal], before[normal])


@pytest.mark.parametrize(("exponent", "error"), [(4, 2**-4), (5, 2**-3)])
def test_errors_of_codes(exponent: int, error: float) -> None:
    """Relative to each number, as far down as the exponents reach, below which an average with a sign is 0."""
    x = np.abs(numbers(0, 100 * BLOCK)) if exponent == 5 else numbers(0, 100 * BLOCK)
    bits = formats.random_bits(x.size, 0, 1, 2) & 0xFFFF
    codes, scale = formats.to_codes(x, exponent, bits if exponent == 5 else None)
    loaded = formats.load_codes(codes, scale, exponent)
    reach = np.repeat(scale, BLOCK) * 2.0 ** (2 - 2**exponent)
    within = np.abs(x) > reach
    assert within.mean() > 0.5
    assert np.all(np.abs(loaded - x)[within] <= error * np.abs(x)[within])
    assert np.all(np.abs(loaded)[~within] <= 2 * reach[~within])
    assert exponent == 4 or np.all((loaded > 0) == (x > 0))


def test_a_block_that_is_not_finite_is_nan_and_a_block_of_zeros_zero() -> None:
    x = np.zeros(3 * BLOCK, np.float32)
    x[0], x[2 * BLOCK] = np.inf, 1
    codes, scale = formats.to_codes(x, 4)
    loaded = formats.load_codes(codes, scale, 4)
    assert np.isnan(loaded[:BLOCK]).all() and not codes[:BLOCK].any()
    assert_same_bits(loaded[BLOCK:], x[BLOCK:])


# -- random bits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_rounding_at_random_has_no_bias(place: int) -> None:
    """The mean of 10⁷ roundings at each of several distances from the number below is within 4 σ of it."""
    n = 10_000_000 // 5
    for distance in (1, 77, 0x4000, 0x8000, 0xFFFF):
        x = np.full(n, 0x3F800000 + distance, np.uint32).view(np.float32)
        bits = formats.sixteen(place, n, (0, distance, 1))
        up = np.count_nonzero(formats.to_bfloat16(x, bits) != 0x3F80)
        p = distance / 2**16
        assert abs(up - n * p) <= 4 * math.sqrt(n * p * (1 - p))


def test_float16_at_random_has_no_bias() -> None:
    n = 1_000_000
    for x in (1 + 2**-12, 0.3, 2.0**-17 * 1.3, 2.0**-24 * 0.37):
        value = np.float32(x)
        halves = formats.to_float16(np.full(n, value), formats.sixteen(0, n, (1, 2, 3))).view(np.float16)
        below, above = np.unique(halves).astype(np.float64)
        p = (float(value) - below) / (above - below)
        up = np.count_nonzero(halves > below)
        assert abs(up - n * p) <= 4 * math.sqrt(n * p * (1 - p)) + n * 2.0**-13  # of which 13 bits are random


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """In units of its standard deviation, were they independent."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).mean() / (a.std() * b.std()) * math.sqrt(a.size))


def test_random_bits_of_neighbours_steps_tensors_and_seeds_are_independent() -> None:
    n = 1_000_000
    first = formats.sixteen(0, n, (0, 1, 2)).astype(float)
    others = {random: formats.sixteen(0, n, random).astype(float) for random in ((0, 2, 2), (0, 1, 3), (1, 1, 2))}
    assert abs(first.mean() - 32767.5) <= 4 * 65536 / math.sqrt(12 * n)
    assert abs(correlation(first[1:], first[:-1])) < 4
    assert abs(correlation(first[256:], first[:-256])) < 4
    assert abs(correlation(first, formats.sixteen(1, n, (0, 1, 2)).astype(float))) < 4
    for random, other in others.items():
        assert abs(correlation(first, other)) < 4, random


def test_a_stuck_average_goes_on() -> None:
    """To nearest, an average with a decay of 0.999 stays where it is; at random it follows."""
    n, steps = 4096, 2000
    averages = {}
    for random in (False, True):
        w, m = np.zeros(n, np.float32), stored("bfloat16", np.ones(n, np.float32))
        for t in range(1, steps + 1):
            more = {"random": (0, t, 0)} if random else {}
            fo.kernels.momentum(w, np.zeros(n, np.float32), m, beta=0.999, **more)
        averages[random] = float(formats.load(m).mean())
    assert averages[False] == 1
    assert averages[True] == pytest.approx(0.999**steps, rel=0.02)


# -- refusals ----------------------------------------------------------------------------------------------------------

BF16 = stored("bfloat16", np.ones(300, np.float32))
HALF, SINGLE, DOUBLE = (np.ones(300, dtype) for dtype in (np.float16, np.float32, np.float64))
CODES = stored("codes", np.ones(300, np.float32))


@pytest.mark.parametrize(
    ("arrays", "keywords", "error", "words"),
    [
        ((BF16, SINGLE, SINGLE, SINGLE), {}, TypeError, "g must not be wider than the weight, .*, got float32"),
        ((SINGLE, BF16, SINGLE, HALF), {}, TypeError, "v of adam must be float32, bfloat16 or a pair .*, got float16"),
        ((SINGLE, SINGLE, SINGLE, CODES), {}, TypeError, "v in 8 bits is rounded at random: pass random="),
        ((SINGLE, SINGLE, CODES[:1] * 2, SINGLE), {}, ValueError, r"m must have a part of float32 of shape \(2,\)"),
        ((SINGLE, SINGLE, (CODES[0][1:], CODES[1]), SINGLE), {}, ValueError, r"m must have a part of uint8 of shape"),
        (((BF16, SINGLE), BF16, SINGLE, SINGLE), {}, ValueError, "w must have a part of int16"),
        (((HALF, SINGLE), BF16, SINGLE, SINGLE), {}, TypeError, r"w\[0\] must be bfloat16 where w is a pair"),
        ((DOUBLE, HALF, DOUBLE, DOUBLE), {}, TypeError, "g must be float32 or float64, got float16; convert it"),
        ((DOUBLE, DOUBLE, CODES, DOUBLE), {}, TypeError, "m must be a numpy.ndarray, got tuple"),
        ((BF16, BF16, SINGLE[1:], SINGLE), {}, ValueError, "m must have the shape"),
        (
            (BF16, BF16, SINGLE, SINGLE),
            {"random": (1, 2)},
            TypeError,
            r"random must be \(seed, t, number of the tensor",
        ),
        ((BF16, BF16, SINGLE, SINGLE), {"random": (1, 2, -3)}, TypeError, "random must be"),
        ((BF16, BF16, SINGLE, SINGLE), {"random": (1, 2, 2**64)}, TypeError, "random must be"),
        ((BF16[::2], BF16, SINGLE, SINGLE), {}, ValueError, "w must be C-contiguous"),
        ((BF16, BF16[:200], SINGLE, SINGLE), {}, ValueError, "g must have the shape"),
    ],
)
def test_refused(arrays: tuple[Any, ...], keywords: dict[str, Any], error: type, words: str) -> None:
    given = copied(list(arrays))
    before = [part.tobytes() for part in parts(given)]
    if not arrays[0][0].flags.c_contiguous if isinstance(arrays[0], tuple) else not arrays[0].flags.c_contiguous:
        given[0] = BF16.copy()[::2]
        before = [part.tobytes() for part in parts(given)]
    with pytest.raises(error, match=words):
        fo.kernels.adam(*given, **keywords)
    assert [part.tobytes() for part in parts(given)] == before


@pytest.mark.parametrize("array", [np.ones(3, np.float32), [1, 2], None, np.float64(1)], ids=repr)
def test_what_is_not_of_16_bits_is_no_bfloat16(array: Any) -> None:
    with pytest.raises(TypeError, match=r"^array must be an array of 16 bits a number, got "):
        fo.bfloat16(array)


@pytest.mark.parametrize("rule", ["adagrad", "amsgrad", "rprop", "rmsprop_centered"])
def test_a_state_that_must_be_exact_is_refused(rule: str) -> None:
    names = [name for name, _ in fo._core.rule_states[rule]]
    exact = next(name for name in names if name not in NARROW[rule])
    states = [BF16.copy() if name == exact else np.zeros(300, np.float32) for name in names]
    with pytest.raises(TypeError, match=f"^{exact} of {rule} must be float32, got "):
        getattr(fo.kernels, rule)(BF16.copy(), BF16.copy(), *states)


@pytest.mark.parametrize("rule", sorted(set(fo._core.rule_states) - set(NARROW)))
def test_a_rule_that_needs_sums_takes_whole_numbers(rule: str) -> None:
    shape = (20, 15)
    states = [np.zeros(fo._core.state_shape(kind, shape), np.float32) for _, kind in fo._core.rule_states[rule]]
    with pytest.raises(TypeError, match=r"^w must be float32 or float64, got"):
        getattr(fo.kernels, rule)(BF16.reshape(shape).copy(), BF16.reshape(shape).copy(), *states)


def test_parts_that_overlap() -> None:
    memory = np.zeros(600, np.uint16)
    w = formats.bfloat16(memory[:300])
    for low in (memory[:300].view(np.int16), memory[299:599].view(np.int16)):
        with pytest.raises(ValueError, match=r"^w and w share memory"):
            fo.kernels.sgd((w, low), BF16)
    scales = np.zeros(600, np.float32)
    with pytest.raises(ValueError, match=r"^m and w share memory"):
        fo.kernels.momentum(scales[:300], BF16, (CODES[0].copy(), scales[299:301]), random=(0, 1, 2))
