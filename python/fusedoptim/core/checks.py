"""What is checked, and the words of every refusal: which argument, what came, and what to do.

First the validators, each for all arguments of its kind; then the refusals that the compiled code calls by name.
"""

import math
import operator
import os
from collections.abc import Iterator, Sequence, ValuesView
from numbers import Number
from typing import Any, NoReturn, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core
from fusedoptim.core import tree
from fusedoptim.numerics.formats import dtype_name
from fusedoptim.numerics.numbers import plain_number, shown

MOST_THREADS = 1 << 30  # more than any machine has
IMPORTED_BY = os.getpid()


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


def by_value(name: str, value: Any) -> Any:
    """A hyper-parameter that nobody can change from outside: numbers as Python's, sequences as tuples."""
    if type(value) in (float, int, bool, str) or value is None or callable(value):
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 1):
        return tuple(by_value(name, each) for each in value)
    try:
        return plain_number(name, value)
    except TypeError:
        if isinstance(value, SupportsFloat | SupportsIndex):
            raise
        return value  # which no domain has


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
    if not isinstance(value, int | float):
        try:
            value = plain_number(name, value)
        except TypeError:
            kind = ValueError if isinstance(value, np.number) else otherwise
            raise kind(f"{name} must be {_core.domain_words[domain]}{besides}, got {shown(value)}") from None
    return _core.check_number(name, value, domain, besides)


def no_attribute(opt: Any, name: str) -> NoReturn:
    kind = type(opt).__name__
    if name in getattr(opt, "_arguments", {}):
        raise AttributeError(f"{kind} has no attribute {name!r}; a group has it: opt.groups[0].{name} = …", name=name)
    raise AttributeError(f"{kind} has no attribute {name!r} to be set", name=name)


def rate(rule: str, lr: Any) -> float:
    """A learning rate of one step."""
    if callable(lr):
        raise TypeError(f"lr of one step must be a number, got {lr!r}; a schedule is set: opt.lr = …")
    rate: float = by_value("lr", lr)
    _core.check_hyper(rule, "lr", rate)
    return rate


def as_before(name: str, array: NDArray[Any], before: NDArray[Any]) -> None:
    """An array in the place of another."""
    if (array.shape, array.dtype) != (before.shape, before.dtype):
        was, now = (f"{dtype_name(one.dtype)} of shape {one.shape}" for one in (before, array))
        raise ValueError(f"{name} must be {was} as before, got {now}")


def not_alike(name: str, got: NDArray[Any], dtype: np.dtype[Any]) -> NoReturn:
    remedy = f"pass its real part: {name}.real" if got.dtype.kind == "c" else "pass numbers"
    raise TypeError(f"{name} must be what {dtype} can stand for, got {got.dtype}; {remedy}")


def sequence(name: str, value: Any, n: int, words: str, *, otherwise: type[Exception] = TypeError) -> Any:
    """`n` of something, which the words describe."""
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str) or np.shape(value)[:1] != (n,):
        raise otherwise(f"{name} must be {words}, got {shown(value)}")
    return value


# What others call our keywords, where the names are not alike.
ELSEWHERE = {"learning_rate": "lr", "wd": "weight_decay", "b1": "betas", "b2": "betas", "max_norm": "clip_norm"}


def unknown_keyword(name: object, where: str, names: Sequence[str], see: str, for_all: Sequence[str] = ()) -> NoReturn:
    """Two lines: the nearest name, also of those `for_all` groups, and what there is and where it is documented."""
    import difflib  # milliseconds to import, for nothing but a mistake

    near = [*difflib.get_close_matches(str(name), [*names, *for_all], 1), ELSEWHERE.get(str(name))][0]
    guess = f"; did you mean {near!r}?" if near in (*names, *for_all) else ""
    raise TypeError(f"unknown keyword {name!r} {where}{guess}\nit takes {', '.join(names)}: see {see}")


def unmasked(name: str, array: object) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be ignored; pass {name}.filled(0)")


def matrix(name: str, array: NDArray[Any]) -> None:
    if array.ndim != 2:
        raise ValueError(f"{name} must have two axes, got the shape {array.shape}; step it with AdamW or the like")


def keys_of_a_file(place: tuple[Any, ...]) -> None:
    """Those of an array by which another process finds it in a file, or an error."""
    for key in place:
        if not _lasts(key):
            raise ValueError(
                f"the keys of params must be strings, bytes, numbers, None or tuples of them to be found in a file, "
                f"got {key!r} of {type(key).__name__}; a state_dict() has any"
            )


def _lasts(key: Any) -> bool:
    """Whether it prints alike wherever it is made, as what has its address in it does not."""
    if isinstance(key, tuple):
        return all(map(_lasts, key))
    if isinstance(key, int | float | np.integer | np.floating):
        return bool(key <= math.inf)  # NaN is not found by itself
    return key is None or isinstance(key, str | bytes)


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
    if got.dtype.names == ("bfloat16",):
        given, remedy = "bfloat16", f"convert it: ({name}.view(np.uint16).astype(np.uint32) << 16).view(np.float32)"
    if got.dtype in (np.complex64, np.complex128):
        remedy = f"step its real and imaginary parts: {name}.view(np.float{got.dtype.itemsize * 4})"
    raise TypeError(f"{name} must be float32 or float64, got {given}; {remedy}")


def other_dtype(name: str, got: np.ndarray, like_name: str, like: np.ndarray) -> NoReturn:
    wanted = like.dtype if like.dtype == np.float64 else "float32"
    raise TypeError(
        f"{name} must be {wanted} as {like_name} is, got {dtype_name(got.dtype)}; convert it: {name}.astype(np.{wanted})"
    )


def not_narrow(name: str, got: Any, rule: str, may_be_bfloat16: bool) -> NoReturn:
    own = ", bfloat16 or a pair (codes, scales)" if may_be_bfloat16 else ""
    given = "a pair" if isinstance(got, tuple) else dtype_name(got.dtype)
    raise TypeError(f"{name} of {rule} must be float32{own}, got {given}")


def not_split(name: str, got: np.ndarray) -> NoReturn:
    raise TypeError(
        f"{name}[0] must be bfloat16 where {name} is a pair, and {name}[1] its int16 rest, got {dtype_name(got.dtype)}"
    )


def wrong_companion(name: str, got: np.ndarray, dtype: str, shape: tuple[int, ...]) -> NoReturn:
    raise ValueError(
        f"{name} must have a part of {dtype} of shape {shape}, got {dtype_name(got.dtype)} of shape {got.shape}"
    )


def wider_than_weight(name: str, got: np.ndarray, weight: np.ndarray) -> NoReturn:
    wanted, given = dtype_name(weight.dtype), dtype_name(got.dtype)
    raise TypeError(f"{name} must not be wider than the weight, {wanted}, got {given}; convert it")


def no_copies(rule: str) -> NoReturn:
    raise ValueError(
        f"copy_to must be None for {rule}, which takes sums over whole tensors, got some; copy after the step"
    )


def not_a_copy(name: str, got: np.ndarray, weight: np.ndarray) -> NoReturn:
    raise TypeError(
        f"{name} must be bfloat16 or float16, and its weight float32, got {dtype_name(got.dtype)} of "
        f"{dtype_name(weight.dtype)}; give None where there is no copy"
    )


def needs_random(name: str) -> NoReturn:
    raise TypeError(f"{name} in 8 bits is rounded at random: pass random=(seed, t, number of the tensor)")


def bad_random(got: Any) -> NoReturn:
    raise TypeError(
        f"random must be (seed, t, number of the tensor), three whole numbers >= 0 below 2**64, got {shown(got)}"
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


def moved(name: str, got: np.ndarray, address: int, dtype: Any, shape: tuple[int, ...], written: bool) -> None:
    """Whether an array is another than it was when it was accepted, and refused then: if so, what has changed."""
    if got.ctypes.data != address or got.size != math.prod(shape):
        raise ValueError(f"the memory of {name} was resized or replaced; make a new optimizer for the new array")
    if got.dtype != dtype:
        raise TypeError(f"{name} was {dtype} and is {got.dtype} now; set it back, or make a new optimizer")
    if got.shape != shape:
        raise ValueError(f"{name} had the shape {shape} and has {got.shape} now; set it back, or make a new optimizer")
    if written and not got.flags.writeable:
        read_only(name)
    if not got.flags.c_contiguous or not got.flags.aligned:
        wrong_layout(name, got, True)


AGAIN = {"params": "rebind(params)", "grads": "bind(grads)"}  # what takes in others


def changed(path: str, container: Any, keys: list[Any], children: list[Any]) -> None:
    """Whether a nest holds other arrays than the optimizer steps; if so, which."""
    now = tree.contents(container, keys)
    for key, child in zip(keys, children, strict=True):
        if key not in now:
            raise ValueError(f"{path + tree.index(key)} is gone; put it back, or make a new optimizer")
        if now[key] is not child:
            place = path + tree.index(key)
            again = next((f", or call {call}" for name, call in AGAIN.items() if path.startswith(name)), "")
            raise ValueError(
                f"{place} is another object than the optimizer steps; write into that one, {place}[...] = …{again}"
            )
    known = set(keys)
    if more := [key for key in now if key not in known]:
        remedy = "add_group takes it in" if path.startswith("params") else "take it out again"
        raise ValueError(f"{path + tree.index(more[0])} is new; {remedy}")


def is_frozen(name: str) -> NoReturn:
    raise ValueError(f"{name} is frozen; thaw() takes it in again")


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


def no_rule_of_a_whole_step(name: str) -> NoReturn:
    import difflib  # milliseconds to import, for nothing but a mistake

    if name == "muon":
        raise ValueError(
            "rule must not be 'muon', which has matrix products; call fusedoptim.kernels.muon, or take Muon"
        )
    near = difflib.get_close_matches(name, list(_core.rule_states), 1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"rule must be the name of one of fusedoptim.kernels, got {name!r}{guess}")


def random_of_a_whole_step() -> NoReturn:
    raise TypeError(
        "random is for numbers of 16 and 8 bits, which whole_step does not take; a kernel does, and an optimizer"
    )


def unknown_keyword_of_kernel(kernel: str, name: str, names: list[str]) -> NoReturn:
    if name in names:
        raise TypeError(f"repeated keyword {name!r} for kernels.{kernel}: its array was given by place")
    unknown_keyword(name, f"for kernels.{kernel}", names, see=f"help(fusedoptim.kernels.{kernel})")
