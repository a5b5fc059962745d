"""Numbers of any library as Python's, by value: what becomes of the object that was given changes nothing later.

Their refusals are worded here, not in ``core/checks.py``, for schedules, which are below ``core``, need them too.
"""

import operator
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

MOST_STEPS = 2**53  # a float has every whole number up to this


def shown(value: object) -> str:
    """What came, as a message has it: not at any length, and also where it cannot be printed."""
    try:
        words = repr(value)
    except Exception:  # noqa: BLE001 whatever it is
        if isinstance(value, int):  # of more digits than Python prints
            return f"a number of {value.bit_length()} bits"
        return f"a {type(value).__qualname__} that cannot be printed"
    return words if len(words) <= 1000 else f"{words[:1000]}…"


def plain_number(name: str, value: Any) -> int | float:
    """An int where it is one by its type, else a float, which may be infinite or NaN.

    Of NumPy, torch or JAX it is a scalar, or an array without axes. A `numpy.longdouble` is refused, for no float has its
    value. What else a number's own methods raise, as KeyboardInterrupt or MemoryError, goes through.
    """
    try:
        number = value.item() if getattr(value, "shape", None) == () and not _is_masked(value) else value
        if not _is_plain(number):
            raise TypeError
        plain = operator.index(number) if isinstance(number, SupportsIndex) else float(number)
        float(plain)
    except OverflowError:
        raise ValueError(f"{name} must be a number that a float can hold, got one that is too large") from None
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a real number of at most double precision, got {shown(value):.99}; pass float(…) of it"
        ) from None
    return plain


def whole_number(name: str, value: Any, least: int) -> int:
    """A number that is whole by its value, from `least` to `MOST_STEPS`."""
    if type(value) is int and least <= value <= MOST_STEPS:
        return value
    number = plain_number(name, value)
    if not least <= number <= MOST_STEPS or number != int(number):
        raise ValueError(f"{name} must be a whole number from {least} to 2**53, got {shown(value):.99}")
    return int(number)


def _is_masked(value: Any) -> bool:
    return isinstance(value, np.ma.MaskedArray)


def _is_plain(number: Any) -> bool:
    """No bool, no array of several, and none of NumPy's numbers that Python has not."""
    is_number = isinstance(number, SupportsIndex | SupportsFloat)
    return is_number and not isinstance(number, bool) and not hasattr(number, "shape")
