"""What is checked, and the words of every refusal: which argument, what came, and what to do.

First the validators, each for all arguments of its kind; then the refusals that the compiled code calls by name.
"""

import difflib
import math
import operator
import os
from collections.abc import Iterator, Sequence, ValuesView
from numbers import Number
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core

MOST_THREADS = 1 << 30  # more than any machine has
IMPORTED_BY = os.getpid()


def shown(value: object) -> str:
    """What came, as a message has it: not at any length, and also where it cannot be printed."""
    try:
        words = repr(value)
    except Exception:  # noqa: BLE001 whatever it is
        if isinstance(value, int):  # of more digits than Python prints
            return f"a number of {value.bit_length()} bits"
        return f"a {type(value).__qualname__} that cannot be printed"
    return words if len(words) <= 1000 else f"{words[:1000]}…"


# -- validators: they return the value, or raise -----------------------------------------------------------------------


def flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def one_of(name: str, value: Any, choices: Sequence[str | None]) -> Any:
    if value not in choices:
        *others, last = (f'"{choice}"' if isinstance(choice, str) else repr(choice) for choice in choices)
        raise ValueError(f"{name} must be {', '.join(others)} or {last}, got {shown(value)}")
    return value


def whole(
    name: str, value: Any, least: int = 1, *, bits: int | None = None, otherwise: type[Exception] = ValueError
) -> int:
    """A whole number that is large enough, and fits into so many bits; `otherwise` is raised where it is not whole."""
    words = f"{name} must be a whole number >= {least}{f' and < 2**{bits}' if bits else ''}, got {shown(value)}"
    try:
        index = operator.index(value)
    except TypeError:
        raise otherwise(words) from None
    if isinstance(value, bool):
        raise otherwise(words)
    if index < least or (bits and index >= 1 << bits):
        raise ValueError(words)
    return index


def thread_count(name: str, value: Any) -> int:
    return min(whole(name, value), MOST_THREADS)


def number_or_nan(value: Any) -> float:
    """`value` if it is a number, else NaN, which no domain has."""
    try:
        return float(value) if isinstance(value, int | float | np.integer | np.floating) else math.nan
    except OverflowError:  # an int that no float can hold
        return math.nan


def number(name: str, value: Any, domain: str, *, otherwise: type[Exception] = TypeError, besides: str = "") -> float:
    """A number of one of the domains of the rules, by its name in `Domain` of table.hpp.

    `otherwise` is raised where it is none at all. The words have what may be given besides, as in ", or None".
    """
    if not isinstance(value, int | float | np.integer | np.floating):
        kind = ValueError if isinstance(value, np.number) else otherwise
        raise kind(f"{name} must be {_core.domain_words[domain]}{besides}, got {shown(value)}")
    return _core.check_number(name, value, domain, besides)


def rate(rule: str, lr: Any) -> None:
    """A learning rate of one step."""
    if callable(lr):
        raise TypeError(f"lr of one step must be a number, got {lr!r}; a schedule is set: opt.lr = …")
    _core.check_hyper(rule, "lr", lr)


def sequence(name: str, value: Any, n: int, words: str, *, otherwise: type[Exception] = TypeError) -> Any:
    """`n` of something, which the words describe."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or np.shape(value)[:1] != (n,):
        raise otherwise(f"{name} must be {words}, got {shown(value)}")
    return value


# What others call our keywords, where the names are not alike.
ELSEWHERE = {"learning_rate": "lr", "wd": "weight_decay", "b1": "betas", "b2": "betas", "max_norm": "clip_norm"}


def unknown_keyword(name: str, where: str, names: Sequence[str], see: str, for_all: Sequence[str] = ()) -> NoReturn:
    """Two lines: the nearest name, also of those `for_all` groups, and what there is and where it is documented."""
    near = [*difflib.get_close_matches(name, [*names, *for_all], 1), ELSEWHERE.get(name)][0]
    guess = f"; did you mean {near!r}?" if near in (*names, *for_all) else ""
    raise TypeError(f"unknown keyword {name!r} {where}{guess}\nit takes {', '.join(names)}: see {see}")


def unmasked(name: str, array: object) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; pass {name}.filled(0)")


def matrix(name: str, array: NDArray[Any]) -> None:
    if array.ndim != 2:
        raise ValueError(f"{name} must have two axes, got the shape {array.shape}; step it with AdamW or the like")


# -- refusals that the compiled code calls -----------------------------------------------------------------------------


# What to give in place of arrays that are not NumPy's, by the package of their type.
OF_OTHERS = {
    "cupy": "{0}.get()",
    "jax": "np.asarray({0})",
    "jaxlib": "np.asarray({0})",
    "pandas": "{0}.to_numpy()",
    "scipy": "{0}.toarray(), or a gradient of some rows as fusedoptim.RowGrad",
    "tensorflow": "{0}.numpy()",
    "torch": "{0}.detach().numpy(), which shares the memory of a tensor on the CPU",
}


def not_an_array(name: str, got: object, written: bool) -> NoReturn:
    unmasked(name, got)
    kind = f"{type(got).__module__}.{type(got).__qualname__}".removeprefix("builtins.")
    raise TypeError(f"{name} must be a numpy.ndarray, got {kind}; pass {_instead(name, got, written)}")


def _instead(name: str, got: object, written: bool) -> str:
    package = str(type(got).__module__).partition(".")[0]
    if written and package in ("jax", "jaxlib"):
        return f"np.array({name}): what JAX made is immutable, and would be updated in place"
    if package in OF_OTHERS:
        return OF_OTHERS[package].format(name)
    if isinstance(got, Iterator | ValuesView):
        return f"list({name})"
    if got is None and name.startswith("grads"):
        return "the array, or leave its parameter out of the steps: opt.freeze(…)"
    if isinstance(got, Number):
        return f"the array, which for a weight of shape () is np.array({name})"
    if isinstance(got, list | tuple):
        return f"the array: np.array({name})"
    if type(got).__qualname__ == "RowGrad":
        return "a RowGrad of the fusedoptim that made the optimizer: this process has imported it twice"
    return "the array itself"


def wrong_dtype(name: str, got: np.ndarray) -> NoReturn:
    given = f"{got.dtype}" if got.dtype.isnative else f"{got.dtype.str} (foreign byte order)"
    remedy = f"convert it: {name}.astype(np.float32)"
    if got.dtype in (np.complex64, np.complex128):
        remedy = f"step its real and imaginary parts: {name}.view(np.float{got.dtype.itemsize * 4})"
    raise TypeError(f"{name} must be float32 or float64, got {given}; {remedy}")


def other_dtype(name: str, got: np.ndarray, like_name: str, like: np.ndarray) -> NoReturn:
    raise TypeError(
        f"{name} must be {like.dtype} as {like_name} is, got {got.dtype}; convert it: {name}.astype(np.{like.dtype})"
    )


def dtype_of_rule(name: str, rule: str) -> NoReturn:
    raise TypeError(f"{name} must be float32 for {rule}, got float64; it measures the memory, for benchmarks")


def wrong_layout(name: str, got: np.ndarray, written: bool) -> NoReturn:
    given = "misaligned memory" if got.flags.c_contiguous else f"strides {got.strides} for shape {got.shape}"
    remedy = f"keep it as np.array({name}, order='C')" if written else f"pass np.array({name}, order='C')"
    raise ValueError(f"{name} must be C-contiguous and aligned, got {given}; {remedy}")


def read_only(name: str) -> NoReturn:
    raise ValueError(f"{name} is read-only and would be updated in place; pass a writeable array: {name}.copy()")


def other_shape(name: str, got: np.ndarray, like_name: str, like: np.ndarray, shape: str) -> NoReturn:
    wanted = str(_core.state_shape(shape, like.shape))
    if shape == "ring":
        wanted = f"(slots >= 1, *{like.shape})"
    elif shape == "row" and like.ndim == 0:
        wanted = "(rows,), and the weight an axis,"
    raise ValueError(f"{name} must have the shape {wanted} to go with {like_name}, got {got.shape}")


def wrong_index_dtype(name: str, got: np.ndarray) -> NoReturn:
    remedy = f"np.flatnonzero({name})" if got.dtype == bool else f"{name}.astype(np.int64)"
    raise TypeError(f"{name} must be int32 or int64, got {got.dtype}; convert it: {remedy}")


def wrong_index_shape(name: str, got: np.ndarray) -> NoReturn:
    raise ValueError(f"{name} must have one axis, got the shape {got.shape}; pass {name}.ravel()")


def other_rows(name: str, got: np.ndarray, like_name: str, like: np.ndarray, n: int) -> NoReturn:
    if like.ndim == 0:
        raise ValueError(f"{like_name} has no rows, so {name} can have none; pass a gradient of its shape ()")
    raise ValueError(f"{name} must have the shape {(n, *like.shape[1:])}, {n} rows of {like_name}, got {got.shape}")


def no_such_row(name: str, k: int, row: int, n_rows: int) -> NoReturn:
    raise IndexError(f"{name}[{k}] must be a row, in [0, {n_rows}), got {row}")


def needs_all_rows(name: str, rule: str) -> NoReturn:
    raise ValueError(f"{name} is a RowGrad, but {rule} cannot leave out rows; pass an array with the gradient of all")


def row_grad_with(name: str, what: str) -> NoReturn:
    raise ValueError(f"{name} is a RowGrad, which does not go with {what}; pass an array with the gradient of all rows")


def overlap(name: str, other: str) -> NoReturn:
    raise ValueError(f"{name} and {other} share memory; pass each array once, or a copy: {name}.copy()")


def moved(name: str) -> NoReturn:
    raise ValueError(f"the memory of {name} was resized or replaced; make a new optimizer for the new array")


def bad_number(name: str, value: Any, words: str) -> NoReturn:
    kind = ValueError if isinstance(value, int | float | np.number) else TypeError
    raise kind(f"{name} must be {words}, got {shown(value)}")


def not_finite(name: str, norm: float) -> NoReturn:
    what = f"{name} is not finite" if name else f"the norm of the gradients is {norm}"
    raise FloatingPointError(f"{what}; the step was not taken")


def updated_already(name: str) -> NoReturn:
    raise ValueError(f"{name} was updated in this step already")


def busy() -> NoReturn:
    if os.getpid() != IMPORTED_BY:
        raise RuntimeError(
            "another thread is inside a step of this optimizer, or was when this process was forked, and then arrays may be "
            "half updated: in a forked child make a new optimizer, and load a checkpoint into it"
        )
    raise RuntimeError("another thread is inside a step of this optimizer; step it from one thread at a time")


def not_bound() -> NoReturn:
    raise TypeError("step() without gradients needs bind(grads) first")


def too_many_arrays(signature: str, n: int) -> NoReturn:
    raise TypeError(f"{n} positional arguments are too many for {signature}")


def missing_array(signature: str, name: str) -> NoReturn:
    raise TypeError(f"the array {name} is missing in the call of {signature}")


def unknown_keyword_of_kernel(kernel: str, name: str, names: list[str]) -> NoReturn:
    if name in names:
        raise TypeError(f"repeated keyword {name!r} for kernels.{kernel}: its array was given by place")
    unknown_keyword(name, f"for kernels.{kernel}", names, see=f"help(fusedoptim.kernels.{kernel})")
