"""Bad input is refused with the argument's name, what came, and the fix; and then nothing has changed.

In a nest the bad array comes last, so that all before it are proven untouched.
"""

import copy
import inspect
import math
import pickle
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import DEFAULTS, Case, outside
from ..changes import setting, without
from ..failures import Failures
from ..nests import arrays, gradients, normal, snapshot

SHAPE = (4, 3)


def misaligned(a: np.ndarray) -> np.ndarray:
    raw = np.zeros(a.nbytes + 1, np.uint8)
    return np.ndarray(a.shape, a.dtype, raw.data, offset=1)


def read_only(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


# What is made of a good array, the error, and what its message says came, and how to mend it.
BAD_ARRAYS: dict[str, tuple[Callable[[np.ndarray], Any], type[Exception], str, str]] = {
    "int32": (lambda a: a.astype(np.int32), TypeError, "int32", "astype"),
    "bool": (lambda a: a.astype(bool), TypeError, "bool", "astype"),
    "int16": (lambda a: a.astype(np.int16), TypeError, "int16", "astype"),
    "complex64": (lambda a: a.astype(np.complex64), TypeError, "complex64", "view"),
    "longdouble": (lambda a: a.astype(np.longdouble), TypeError, "float128|longdouble", "astype"),
    "object": (lambda a: a.astype(object), TypeError, "object", "astype"),
    "foreign byte order": (lambda a: a.astype(a.dtype.newbyteorder()), TypeError, "foreign byte order", "astype"),
    "strided": (lambda a: np.repeat(a, 2, axis=0)[::2], ValueError, "strides", "order='C'"),
    "inner axis strided": (lambda a: np.repeat(a, 2, axis=-1)[..., ::2], ValueError, "strides", "order='C'"),
    "Fortran order": (lambda a: np.asfortranarray(a), ValueError, "strides", "order='C'"),
    "negative strides": (lambda a: a[::-1], ValueError, "strides", "order='C'"),
    "broadcast": (lambda a: np.broadcast_to(a[:1], a.shape), ValueError, "strides", "order='C'"),
    "misaligned": (misaligned, ValueError, "misaligned", "order='C'"),
    "masked": (lambda a: np.ma.MaskedArray(a, mask=a > 0), TypeError, "masked", "filled"),
    "None": (lambda a: None, TypeError, "NoneType", "pass the array"),
    "number": (lambda a: 1.0, TypeError, "float", "pass the array"),
    "scalar": (lambda a: a.dtype.type(1), TypeError, "numpy.float", "pass the array"),
    "buffer": (lambda a: memoryview(a), TypeError, "memoryview", "pass the array"),
}
BAD_LISTS = {"list": (lambda a: a.tolist(), TypeError, "list|float", "pass the array")}
BAD_WRITTEN = {"read-only": (read_only, ValueError, "read-only", "copy")}
BAD_BESIDE_W = {  # fine alone, but not beside the weight
    "other dtype": (lambda a: a.astype({4: np.float64, 8: np.float32}[a.itemsize]), TypeError, "got float", "astype"),
    "fewer rows": (lambda a: a[..., :-1, :].copy(), ValueError, "got", "shape"),
    "transposed": (lambda a: np.ascontiguousarray(a.swapaxes(-1, -2)), ValueError, "got", "shape"),
    "one axis more": (lambda a: a[..., None].copy(), ValueError, "got", "shape"),
    "flat": (lambda a: a.reshape(-1), ValueError, "got", "shape"),
    "empty": (lambda a: a[..., :0].copy(), ValueError, "got", "shape"),
}

ROLES = {
    "w": BAD_ARRAYS | BAD_LISTS | BAD_WRITTEN,
    "g": BAD_ARRAYS | BAD_LISTS | BAD_BESIDE_W,
    "state": BAD_ARRAYS | BAD_LISTS | BAD_WRITTEN | BAD_BESIDE_W,
}
# How many axes an array must have to be spoiled in this way; others take none.
AXES = {"strided": 1, "inner axis strided": 1, "negative strides": 1, "broadcast": 1, "empty": 1}
AXES |= {"Fortran order": 2, "fewer rows": 2, "transposed": 2, "flat": 2}
ROLES["state of rows"] = {bad: made for bad, made in ROLES["state"].items() if AXES.get(bad) != 2} | {
    "a row less": (lambda a: a[:-1].copy(), ValueError, "got", "shape")
}


def hostile(role: str) -> Any:
    return pytest.mark.parametrize("bad", ROLES[role])


@contextmanager
def refused(*said: str, error: Any = (TypeError, ValueError)) -> Iterator[None]:
    with pytest.raises(error) as caught:
        yield
    for pattern in said:
        assert re.search(pattern, str(caught.value)), f"{pattern} is not in: {caught.value}"


def refused_array(role: str, bad: str, name: str) -> Any:
    _, error, came, fix = ROLES[role][bad]
    return refused(f"^{re.escape(name)}", came, fix, error=error)


# Kernels


def kernel_arrays(case: Case, dtype: Any = np.float32) -> dict[str, np.ndarray]:
    names = ["w", "g", *(name for name, _ in fo._core.rule_states[case.rule])]
    shapes = [SHAPE, SHAPE, *case.state_shapes(SHAPE)]
    return {name: np.array(abs(normal(0, *shape, dtype=dtype))) for name, shape in zip(names, shapes, strict=True)}


def roles(case: Case) -> Iterator[tuple[str, str]]:
    """Each array of a kernel, and its role."""
    kinds = {name: "state of rows" if kind == "row" else "state" for name, kind in fo._core.rule_states[case.rule]}
    return ((name, kinds.get(name, name)) for name in kernel_arrays(case))


@contextmanager
def unchanged(arrays: Any) -> Iterator[None]:
    arrays = [array for array in arrays if isinstance(array, np.ndarray)]
    before = [array.tobytes() for array in arrays]
    yield
    assert [array.tobytes() for array in arrays] == before


def spoils(array: np.ndarray, bad: str, role: str) -> bool:
    """Not every change to the axes of a weight is one to a state of few axes, or of length 1."""
    if array.shape == SHAPE:
        return True
    if array.ndim < AXES.get(bad, 0):
        return False
    made = ROLES[role][bad][0](array.copy())
    same = type(made) is np.ndarray and (made.shape, made.dtype) == (array.shape, array.dtype)
    return bad in BAD_WRITTEN or not (same and made.flags.c_contiguous and made.flags.aligned)


def test_kernel_array(kind: Case) -> None:
    good, failures = kernel_arrays(kind), Failures()
    for name, role in roles(kind):
        for bad in (bad for bad in ROLES[role] if spoils(good[name], bad, role)):
            arrays = good | {name: ROLES[role][bad][0](good[name].copy())}
            with failures.of(name, bad), unchanged([*good.values(), *arrays.values()]):
                with refused_array(role, bad, name):
                    kind.kernel(*arrays.values())
                with refused_array(role, bad, name):
                    kind.kernel(**arrays)
    failures.show()


def test_kernel_arrays_that_overlap(kind: Case, dtype: type) -> None:
    failures = Failures()
    for one, two in permutations(kernel_arrays(kind), 2):
        with failures.of(one, two):
            overlap(kind, one, two, dtype)
    failures.show()


def overlap(case: Case, one: str, two: str, dtype: type) -> None:
    """By one element, or all; arrays that only touch are fine."""
    arrays = kernel_arrays(case, dtype)
    n, shapes = arrays[one].size, [arrays[one].shape, arrays[two].shape]
    for begin in (n, n - 1, 0):
        memory = np.ones(n + arrays[two].size, dtype)
        first, second = memory[:n], memory[begin : begin + arrays[two].size]
        overlapping = arrays | {one: first.reshape(shapes[0]), two: second.reshape(shapes[1])}
        if begin == n:
            case.kernel(*overlapping.values())
        else:
            with unchanged(overlapping.values()), refused(rf"\b{one}\b", rf"\b{two}\b", "share memory.*copy"):
                case.kernel(*overlapping.values())


def test_kernel_hyper_parameter(each: Case) -> None:
    arrays = kernel_arrays(each).values()
    failures = Failures()
    for name, value in outside(fo._core.rule_hypers[each.rule]):
        error = ValueError if isinstance(value, int | float | np.number) else TypeError
        said = (f"^{name} must be", re.escape(f"got {value!r}"))
        with failures.of(name, value), unchanged(arrays), refused(*said, error=error):
            each.kernel(*arrays, **{name: value})
    failures.show()


def test_kernel_call(kind: Case) -> None:
    arrays = kernel_arrays(kind)
    values = list(arrays.values())
    with unchanged(values):
        with refused("unknown.*'momentun'", re.escape(kind.rule), "lr", error=TypeError):
            kind.kernel(*values, momentun=0.9)
        with refused("repeated.*'w'", error=TypeError):
            kind.kernel(*values, w=values[0])
        with refused("array g is missing", error=TypeError):
            kind.kernel(values[0])
        with refused("positional.*too many", error=TypeError):
            kind.kernel(*values, 0.1)
        with pytest.raises(UnicodeEncodeError):
            kind.kernel(*values, **{"\ud800": 1})


def test_window_sgd_has_no_step_at_infinity() -> None:
    """Where Adam has one, there is no row of the ring for it."""
    arrays = [np.ones(4), np.ones(4), np.ones((2, 4))]
    with unchanged(arrays), refused("^t must be", "inf", error=ValueError):
        fo.kernels.window_sgd(*arrays, t=math.inf)
    with unchanged(arrays[:2]), refused("^ring must have", r"slots >= 1.*\(0, 4\)", error=ValueError):
        fo.kernels.window_sgd(*arrays[:2], np.ones((0, 4)))


# Construction


@hostile("w")
def test_params(kind: Case, bad: str) -> None:
    good = [normal(0, *SHAPE), normal(0, *SHAPE)]
    params = {"a": good[0], "deep": [{"b": good[1]}, {"z": ROLES["w"][bad][0](normal(0, *SHAPE))}]}
    with unchanged(good), refused_array("w", bad, 'params["deep"][1]["z"]'):
        kind.make(params)


@pytest.mark.parametrize("params", [None, 1.0, "w", {1, 2}, iter([]), np.float32(1)], ids=lambda x: type(x).__name__)
def test_params_that_are_no_nest(kind: Case, params: Any) -> None:
    with refused("^params must be a numpy.ndarray, got", error=TypeError):
        kind.make(params)


def test_weights_that_share_memory(kind: Case) -> None:
    memory = normal(0, 10)
    for one, two in ((memory, memory), (memory, memory[:]), (memory[:6], memory[5:]), (memory[2:3], memory)):
        with unchanged([memory]), refused(r'params\["a"\]', r'params\["b"\]', "share memory.*copy", error=ValueError):
            kind.make({"a": one, "x": normal(0, 3), "b": two})
    kind.make({"a": memory[:5], "b": memory[5:]})


def test_constructor_hyper_parameter(each: Case) -> None:
    names = [*inspect.signature(each.optimizer).parameters, *fo.Common.__annotations__]
    failures = Failures()
    for name, value in outside(names):
        argument = r"^beta(s|\d) must be" if name == "betas" else f"^{name} must be"
        with failures.of(name, value), refused(argument, "got"):
            each.make(normal(0, *SHAPE), **{name: value})
    failures.show()


def test_betas_of_another_count(kind: Case) -> None:
    betas = getattr(kind.make(normal(0, *SHAPE)).groups[0], "betas", ())
    for other in (betas[:-1], (*betas, 0.9)) if betas else ():
        with refused("^betas must be", re.escape(f"got {other!r}"), error=TypeError):
            kind.make(normal(0, *SHAPE), betas=other)


@pytest.mark.parametrize("keyword", ["learning_rate", "t", "params2"])
def test_unknown_keyword(kind: Case, keyword: str) -> None:
    with refused(f"unknown keyword '{keyword}'", kind.optimizer.__name__, "lr", error=TypeError):
        kind.make(normal(0, *SHAPE), **{keyword: 1})


# Steps


class Watched:
    """An optimizer in the middle of its run, and a twin that never sees anything bad."""

    def __init__(self, case: Case, accumulate: int = 1, **keywords: Any) -> None:
        self.params = {"a": normal(0, 2), "b": [normal(0, 5), normal(0, 0)], "z": normal(0, *SHAPE)}
        twin_params = copy.deepcopy(self.params)
        self.optimizer, self.twin = (
            case.make(params, accumulate=accumulate, **keywords) for params in (self.params, twin_params)
        )
        self.good_step(seed=1)

    def grads(self, seed: int = 2) -> Any:
        return gradients(self.params, seed)

    def good_step(self, seed: int) -> None:
        self.optimizer.step(self.grads(seed))
        self.twin.step(self.grads(seed))

    def snapshot(self) -> bytes:
        return pickle.dumps((self.params, self.optimizer.state_dict(), self.optimizer.state, self.optimizer.t))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing has changed afterwards, neither to the eye nor to the next steps."""
        before = self.snapshot()
        yield
        assert self.snapshot() == before
        for seed in (3, 4):
            self.good_step(seed)
        for name, got, wanted in zip(
            ("a", "b[0]", "b[1]", "z"), *map(arrays, (self.params, self.twin.params)), strict=True
        ):
            assert_same_bits(got, wanted, name)


@hostile("g")
@pytest.mark.parametrize("accumulate", [1, 3])
def test_grads(kind: Case, bad: str, accumulate: int) -> None:
    watched = Watched(kind, accumulate)
    grads = watched.grads()
    grads["z"] = ROLES["g"][bad][0](grads["z"])
    with watched.unchanged(), refused_array("g", bad, 'grads["z"]'):
        watched.optimizer.step(grads)


# What the nest of gradients becomes, and what is said.
BAD_NESTS: dict[str, tuple[Callable[[Any], Any], tuple[str, ...]]] = {
    "missing key": (lambda g: {"a": g["a"], "b": g["b"]}, ("^grads must have", r"missing: \['z'\]")),
    "extra key": (lambda g: g | {"zz": g["z"]}, ("^grads must have", r"not in params: \['zz'\]")),
    "other key": (lambda g: {"a": g["a"], "b": g["b"], "y": g["z"]}, ("^grads must have", "'z'.*'y'")),
    "other key of a defaultdict": (
        lambda g: defaultdict(list, {"a": g["a"], "b": g["b"], "y": g["z"]}),
        ("^grads must have", "'z'.*'y'"),
    ),
    "too short": (lambda g: g | {"b": g["b"][:1]}, (r'^grads\["b"\] must have 2', "got 1")),
    "too long": (lambda g: g | {"b": [*g["b"], g["a"]]}, (r'^grads\["b"\] must have 2', "got 3")),
    "a list for a dict": (lambda g: list(g.values()), ("^grads must be a dict", "'a', 'b', 'z'", "got list")),
    "a dict for a list": (lambda g: g | {"b": dict(enumerate(g["b"]))}, (r'^grads\["b"\] must be a list', "got dict")),
    "an array for a nest": (lambda g: g["z"], ("^grads must be a dict", "got ndarray")),
    "an array for a list": (lambda g: g | {"b": g["a"]}, (r'^grads\["b"\] must be a list', "got ndarray")),
    "a list for an array": (lambda g: g | {"z": [g["z"]]}, (r'^grads\["z"\] must be a numpy.ndarray', "got list")),
    "none": (lambda g: None, ("needs bind",)),
}


@pytest.mark.parametrize("bad", BAD_NESTS)
def test_grads_of_another_structure(kind: Case, bad: str) -> None:
    watched = Watched(kind)
    make, said = BAD_NESTS[bad]
    with watched.unchanged(), refused(*said):
        watched.optimizer.step(make(watched.grads()))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_grads_that_are_weights_or_state(kind: Case, accumulate: int) -> None:
    memory = normal(0, 30)
    params = {"a": memory[:12].reshape(SHAPE), "b": memory[12:24].reshape(SHAPE)}
    optimizer = kind.make(params, accumulate=accumulate)
    g = normal(1, *SHAPE)
    optimizer.step({"a": g, "b": g})  # gradients may share memory
    overlapping = {
        'params["b"]': [params["b"], memory[13:25].reshape(SHAPE), memory[18:].reshape(SHAPE)],
        'params["a"]': [params["a"], memory[1:13].reshape(SHAPE)],
    } | {
        f'{name}["{key}"]': [s.reshape(-1)[:12].reshape(SHAPE), s.reshape(-1)[-12:].reshape(SHAPE)]
        for name, nest in optimizer.state.items()
        for key, s in nest.items()
        if s.size >= 12  # a gradient does not fit into less
    }
    before = memory.tobytes(), pickle.dumps(optimizer.state_dict())
    for what, bads in overlapping.items():
        for bad in bads:
            with refused(r'^grads\["b"\]', re.escape(what), "share memory.*copy", error=ValueError):
                optimizer.step({"a": g, "b": bad})
    assert (memory.tobytes(), pickle.dumps(optimizer.state_dict())) == before


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_weight_that_became_read_only(kind: Case, accumulate: int) -> None:
    watched = Watched(kind, accumulate)
    with watched.unchanged():
        watched.params["z"].flags.writeable = False
        with refused(r'^params\["z"\] is read-only', "copy", error=ValueError):
            watched.optimizer.step(watched.grads())
        watched.params["z"].flags.writeable = True


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_weight_that_was_resized(kind: Case, accumulate: int) -> None:
    watched = Watched(kind, accumulate)
    before = snapshot(watched.optimizer)
    watched.params["z"].resize((1000, 3), refcheck=False)
    with refused(r'^the memory of params\["z"\] was resized', "new optimizer", error=ValueError):
        watched.optimizer.step(watched.grads())
    watched.params["z"].resize(SHAPE, refcheck=False)
    assert snapshot(watched.optimizer) == before


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("rate", [math.nan, math.inf, -1.0, "0.1", None])
def test_a_schedule_that_goes_wrong(kind: Case, rate: Any, accumulate: int) -> None:
    rates: dict[int, Any] = {}
    watched = Watched(kind, accumulate, lr=lambda t: rates.get(t, 0.5))
    for seed in range(3 * accumulate - 2):
        watched.good_step(seed)
    with watched.unchanged():
        rates[3] = rate
        for _ in range(2):
            with refused("^lr must be a finite number >= 0", re.escape(f"got {rate!r}")):
                watched.optimizer.step(watched.grads())
        watched.optimizer.load_state_dict(watched.optimizer.state_dict())
        del rates[3]


def test_a_schedule_that_raises(kind: Case) -> None:
    limit = [2]
    watched = Watched(kind, lr=lambda t: 1 / max(limit[0] - t, 0))
    with watched.unchanged():
        with pytest.raises(ZeroDivisionError):
            watched.optimizer.step(watched.grads())
        limit[0] = 100


# Between steps


@pytest.mark.parametrize(("name", "value"), [*outside(["lr"]), ("lr", lambda t: -1)], ids=lambda x: str(x)[:20])
def test_setting_lr(kind: Case, name: str, value: Any) -> None:
    watched = Watched(kind)
    lr = watched.optimizer.lr
    with watched.unchanged():
        with refused("^lr must be", "got"):
            watched.optimizer.lr = value
        assert watched.optimizer.lr is lr


BAD_STATE_DICTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no dict": (lambda saved: [saved], "the state dict must be a dict"),
    "extra key": (setting("extra", to=1), "the state dict must have the keys.*extra"),
    **{
        f"no {key}": (without(key), "the state dict must have the keys")
        for key in ("rule", "t", "accumulated", "grad_scale", "skipped", "groups", "state")
    },
    **{f"t={t!r}": (setting("t", to=t), '"t" must be.*got') for t in (-1, 1.5, math.nan, "1", None)},
    **{f"accumulated={n!r}": (setting("accumulated", to=n), "gradients summed") for n in (-1, 3, 0.5, None)},
    **{
        f"grad_scale={s!r}": (setting("grad_scale", to=s), '"grad_scale" must be') for s in (0, -1, math.inf, "1", None)
    },
    "another rule": (setting("rule", to="adamu"), "rule 'adamu'"),
    "groups is no list": (setting("groups", to=1), '"groups" must be a list of 1'),
    "another number of groups": (setting("groups", to=[]), '"groups" must be a list of 1'),
    "a group is no dict": (setting("groups", 0, to=1), '"groups" must be a dict'),
    "extra hyper": (setting("groups", 0, "extra", to=1.0), '"groups" must have the keys.*extra'),
    "lr": (setting("groups", 0, "lr", to=-1.0), "lr must be.*got -1.0"),
    "state is no dict": (setting("state", to=1), '"state" must be a dict'),
    "no grad_sum": (without("state", "grad_sum"), '1 gradients summed, but no "grad_sum"'),
    "extra state": (setting("state", "extra", to={}), '"state" must have the keys.*extra'),
    "structure": (setting("state", "grad_sum", "b", to=[]), r'grad_sum\["b"\] must have 2'),
    "shape": (
        setting("state", "grad_sum", "z", to=normal(0, 3, 4)),
        r'grad_sum\["z"\] must be an array of float32.*\(4, 3\)',
    ),
    "dtype": (setting("state", "grad_sum", "z", to=normal(0, *SHAPE, dtype=np.float64)), r'grad_sum\["z"\] must be'),
    "no array": (setting("state", "grad_sum", "z", to=None), r'grad_sum\["z"\] must be.*None'),
}


@pytest.mark.parametrize("bad", BAD_STATE_DICTS)
def test_load_state_dict(kind: Case, bad: str) -> None:
    make, said = BAD_STATE_DICTS[bad]
    watched = Watched(kind, accumulate=3)
    saved = watched.optimizer.state_dict()
    watched.good_step(seed=2)
    with watched.unchanged(), refused(said):
        watched.optimizer.load_state_dict(make(saved))


OTHERS = list(zip(DEFAULTS, DEFAULTS[1:] + DEFAULTS[:1], strict=True))


@pytest.mark.parametrize(("row", "other"), OTHERS, ids=lambda case: case.rule)
def test_load_state_dict_of_another_optimizer(row: Case, other: Case) -> None:
    watched, others = Watched(row), Watched(other)
    with watched.unchanged(), refused("rule"):
        watched.optimizer.load_state_dict(others.optimizer.state_dict())


def test_a_number_that_replaces_itself_is_there_while_it_is_printed() -> None:
    class Rate:
        def __init__(self) -> None:
            self.name = "x" * 500

        def __repr__(self) -> str:
            return self.name

        def __float__(self) -> float:
            values[0][0] = 0.5  # which frees this
            return math.nan

    optimizer = fo.SGD(np.ones(3))
    values: list[list[Any]] = [[Rate(), 0.0, 0.0]]
    with refused(f"^lr must be .*, got {'x' * 500}$", error=TypeError):
        optimizer._plan.step([np.ones(3)], values, optimizer._options)
    assert optimizer.t == 0 and np.array_equal(optimizer.params, np.ones(3))


@pytest.mark.parametrize("optimizer", [fo.Adam, fo.NAdam, fo.Muon])
def test_cohorts_of_no_parameters(optimizer: type[fo.Optimizer]) -> None:
    """A nest without arrays may have any number of them."""
    empty: Any = optimizer({})
    saved = empty.state_dict()
    for n in (0, 50, 0, 1):
        empty.load_state_dict(saved | {"cohorts": saved["cohorts"] * n})
        empty.step({})
        assert empty.t == 1
