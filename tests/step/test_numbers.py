"""Numbers come in by value, from any library, as Python's; what is no number is refused by name."""

import math
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from fusedoptim.numerics.numbers import plain_number, whole_number

from ..elsewhere import package


class Whole(IntEnum):
    THREE = 3


NUMBERS: list[tuple[Any, float]] = [
    (3, 3),
    (0.1, 0.1),
    (math.inf, math.inf),
    (Whole.THREE, 3),
    (Fraction(1, 3), 1 / 3),
    (Decimal("0.1"), 0.1),
    (np.float32(0.1), 0.10000000149011612),
    (np.float64(0.1), 0.1),
    (np.float16(0.5), 0.5),
    (np.uint8(200), 200),
    (np.array(0.1), 0.1),
    (np.array(3), 3),
    (np.array(Fraction(1, 2)), 0.5),
]


@pytest.mark.parametrize(("given", "number"), NUMBERS, ids=repr)
def test_a_number(given: Any, number: float) -> None:
    got = plain_number("x", given)
    assert got == number and type(got) is type(number)


@given(
    drawn.from_dtype(np.dtype(np.float32), allow_nan=False) | drawn.from_dtype(np.dtype(np.float64), allow_nan=False)
)
def test_no_number_of_numpy_changes(number: np.floating) -> None:
    got = plain_number("x", number)
    assert type(got) is float and got == number


@given(drawn.from_dtype(np.dtype(np.int64)) | drawn.from_dtype(np.dtype(np.uint64)) | st.integers(-(10**300), 10**300))
def test_no_whole_number_changes(number: Any) -> None:
    got = plain_number("x", number)
    assert type(got) is int and got == int(number)


def test_numbers_of_frameworks() -> None:
    torch, jax = package("torch"), package("jax")
    with_gradient = torch.tensor(0.1, requires_grad=True)
    for number in (torch.tensor(0.1), with_gradient, jax.numpy.float32(0.1), jax.numpy.asarray(0.1)):
        assert plain_number("x", number) == float(np.float32(0.1))
    for number in (torch.tensor(3), torch.tensor(3, dtype=torch.uint8), jax.numpy.asarray(3)):
        assert plain_number("x", number) == 3
    assert plain_number("x", jax.numpy.bfloat16(1.5)) == plain_number("x", torch.tensor(1.5).bfloat16()) == 1.5
    for number in (torch.ones(1), torch.tensor(True), torch.tensor(1j), jax.numpy.ones(1)):
        with pytest.raises(TypeError, match=r"^x must be a real number"):
            plain_number("x", number)


def test_it_is_taken_by_value() -> None:
    given = np.array(0.5)
    got = plain_number("x", given)
    given[...] = 7
    assert got == 0.5


NONE: list[Any] = [
    *[None, "0.1", b"1", True, np.True_, 1j, np.complex64(1), [0.1], {}, object(), float],
    *[np.ones(1), np.ones((1, 1)), np.array("0.1"), np.array(True), np.array(None)],
    *[np.longdouble("0.1"), np.array(np.longdouble("0.1")), np.clongdouble(1)],
    *[np.ma.masked, np.ma.array(1.0, mask=True), Decimal("sNaN")],
]


@pytest.mark.parametrize("value", NONE)
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(TypeError, match=r"(?s)^x must be a real number of at most double .*, got .*; pass float\(…\)"):
        plain_number("x", value)


@pytest.mark.parametrize("value", [10**5000, -(2**1024), Fraction(10**400)], ids=["10**5000", "-2**1024", "Fraction"])
def test_a_number_too_large(value: Any) -> None:
    for take in (plain_number, lambda name, value: whole_number(name, value, least=0)):
        with pytest.raises(ValueError, match=r"^x must be a number that a float can hold"):
            take("x", value)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError, RuntimeError])
def test_what_a_number_raises_goes_through(error: type[BaseException]) -> None:
    class Number:
        def __float__(self) -> float:
            raise error

    with pytest.raises(error):
        plain_number("x", Number())


@pytest.mark.parametrize("value", [0, 2, 2.0, np.float32(2), np.int8(2), np.array(2), Fraction(4, 2), 2**53])
def test_a_whole_number(value: Any) -> None:
    got = whole_number("x", value, least=0)
    assert type(got) is int and got == value


@pytest.mark.parametrize("value", [-1, 0.5, np.float32(1.5), math.nan, math.inf, -math.inf, 2**53 + 1, 10**300])
def test_what_is_not_whole(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^x must be a whole number from 0 to 2\*\*53, got"):
        whole_number("x", value, least=0)
