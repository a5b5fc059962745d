"""Optimizers whose weights, states or copies are of 16 or 8 bits."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.numerics import formats

from ..bits import assert_same_bits
from ..cases import DEFAULTS, Case
from ..elsewhere import package
from ..nests import bits, normal

NARROW = [case for case in DEFAULTS if case.make(np.ones((2, 2))).rule in fo._core.narrow_states]
OTHERS = [case for case in DEFAULTS if case not in NARROW]
ADAM = next(case for case in NARROW if case.rule == "adam")
SIZES = {"a": (), "b": (255,), "c": (64, 64), "d": (5000,)}


def bfloat16(x: np.ndarray) -> np.ndarray:
    return formats.bfloat16(formats.to_bfloat16(x))


def float16(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float16)


Half = Callable[[np.ndarray], np.ndarray]
HALVES = [bfloat16, float16]


def params(half: Half | None = None) -> dict[str, Any]:
    numbers = {name: normal(k, *shape) for k, (name, shape) in enumerate(SIZES.items())}
    return {name: x if half is None else half(x) for name, x in numbers.items()}


def meant(nest: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: formats.load(x) if formats.is_stored(x) else x.copy() for name, x in nest.items()}


def gradients(t: int, half: Half) -> dict[str, Any]:
    return {name: half(normal(10 * t + k, *shape)) for k, (name, shape) in enumerate(SIZES.items())}


def all_bits(optimizer: fo.Optimizer) -> bytes:
    return b"".join(x.tobytes() for nest in (optimizer.params, *optimizer.state.values()) for x in nest.values())


# -- the exact ones: what a float32 optimizer does ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords",
    [
        {},
        {"clip_norm": 0.5, "ema": 0.9},
        {"accumulate": 2, "clip_norm": 0.5, "clip_value": 0.01},
        {"nonfinite": "skip", "maximize": True, "num_threads": 3, "ema": 0.5},
    ],
    ids=lambda keywords: ",".join(keywords) or "none",
)
@pytest.mark.parametrize("way", ["split", "copy_to"])
@pytest.mark.parametrize("row", [*NARROW, Case(fo.Momentum, {"weight_decay": 0.1})], ids=str)
def test_a_split_weight_and_one_with_a_copy_are_exact(row: Case, keywords: dict[str, Any], way: str) -> None:
    """All that surrounds a rule is, to the bit, that of float32; a copy is its weight, rounded."""
    narrow = params(bfloat16)
    wide = meant(narrow)
    expected = row.make(meant(narrow), **keywords)
    own = row.make(narrow, **keywords) if way == "split" else row.make(wide, copy_to=narrow, **keywords)
    for t in range(1, 6):
        grads = gradients(t, bfloat16)
        expected.step(meant(grads), zero_grads=t > 3)
        own.step(grads, zero_grads=t > 3)
        assert own.last_grad_norm == expected.last_grad_norm
        assert t <= 3 or not any(g["bfloat16"].any() for g in grads.values())
    own.flush(), expected.flush()
    assert bits(own.state_as_float("params")) == bits(expected.params)
    for name in expected.state:
        assert bits(own.state_as_float(name)) == bits(expected.state[name])
    for name, x in narrow.items():
        high = (
            formats.to_split(expected.params[name])[0] if way == "split" else formats.to_bfloat16(expected.params[name])
        )
        assert_same_bits(x["bfloat16"], high)


def test_in_blocks_groups_and_where_some_are_frozen() -> None:
    narrow = params(bfloat16)
    others = params(float16)
    own = fo.AdamW([{"params": narrow}, {"params": others, "lr": 0.1}], ema=0.9, seed=3)
    expected = fo.AdamW(meant(narrow), ema=0.9)
    own.freeze((0, "c")), expected.freeze("c")
    for t in (1, 2, 3):
        grads = gradients(t, bfloat16)
        with own.stepping(), expected.stepping():
            for name in ("d", "a"):
                own.update((0, name), grads[name])
                expected.update(name, formats.load(grads[name]))
        own.step([grads, gradients(t, float16)])
        expected.step(meant(grads))
    assert bits(own.state_as_float("params")[0]) == bits(expected.params)
    assert bits(own.ema_params[0]) == bits(expected.ema_params)
    assert own.state["w_low"][1]["d"].size == 0 and own.state["w_low"][0]["d"].shape == (5000,)


# -- those that are rounded: what the reference does -------------------------------------------------------------------

# The dtype of the weights, that of their gradients, and the keywords.
KINDS: dict[str, tuple[Half | None, Half | None, dict[str, Any]]] = {
    "all bfloat16": (bfloat16, bfloat16, {"rounding": "stochastic", "state_dtype": "bfloat16"}),
    "float16": (float16, float16, {}),
    "nearest": (bfloat16, bfloat16, {"rounding": "nearest"}),
    "8 bits": (None, bfloat16, {"state_dtype": "float8"}),
    "split, 8 bits": (bfloat16, bfloat16, {"state_dtype": "float8"}),
}


def stored_states(case: Case, weight: np.ndarray, dtype: str | None) -> list[Any]:
    """States as an optimizer begins with them."""
    made: list[Any] = []
    exponents = fo._core.narrow_states[case.rule]
    x = formats.load(weight) if formats.is_stored(weight) else weight
    for (name, _), state in zip(fo._core.rule_states[case.rule], case.new_state(x), strict=True):
        if dtype == "bfloat16" and name in exponents:
            made.append(bfloat16(state))
        elif dtype == "float8" and name in exponents:
            made.append(formats.to_codes(state, exponents[name]))
        else:
            made.append(state)
    return made


def parts(array: Any) -> list[np.ndarray]:
    """The arrays of a stored one, as bits."""
    both = array if isinstance(array, tuple) else (array,)
    return [part.view(np.uint16) if part.dtype.itemsize == 2 else part for part in both]


@pytest.mark.parametrize("storage", KINDS)
@pytest.mark.parametrize("row", NARROW, ids=str)
def test_a_step_is_that_of_the_reference(row: Case, storage: str) -> None:
    half, half_grad, keywords = KINDS[storage]
    dtype = keywords.get("state_dtype")
    if dtype is not None and not fo._core.narrow_states[row.rule]:
        pytest.skip("no state of this rule may be narrow")
    own = params(half)
    optimizer = row.make(own, seed=7, **keywords)
    model = {}
    for name, w in params(half).items():
        is_split = half is bfloat16 and "rounding" not in keywords
        stored: Any = (w, np.zeros(w.shape, np.int16)) if is_split else w
        model[name] = (stored, stored_states(row, w, dtype))
    for t in (1, 2, 3):
        grads = gradients(t, half_grad) if half_grad else params()
        optimizer.step(grads)
        for k, (name, (w, states)) in enumerate(model.items()):
            weight, rest = (w, None) if not isinstance(w, tuple) else w
            at_random = keywords.get("rounding") != "nearest" or dtype is not None
            more = {"random": (7, t, k)} if at_random else {}
            row.reference(w, grads[name], *states, **row.hyper_at(t), **more)
            assert_same_bits(*(x.view(np.uint16) if x.itemsize == 2 else x for x in (own[name], weight)))
            if rest is not None:
                assert_same_bits(optimizer.state["w_low"][name], rest)
            for (of, _), state in zip(fo._core.rule_states[row.rule], states, strict=True):
                given = [optimizer.state[of][name]]
                given += [optimizer.state[f"{of}_scale"][name]] if isinstance(state, tuple) else []
                for got, wanted in zip(given, parts(state), strict=True):
                    assert_same_bits(got.view(wanted.dtype), wanted, (of, name, t))


def run(steps: int = 3, **keywords: Any) -> fo.Optimizer:
    optimizer = fo.Adam(
        params(bfloat16), rounding="stochastic", state_dtype={"m": "bfloat16", "v": "float8"}, **keywords
    )
    for t in range(1, steps + 1):
        optimizer.step(gradients(t, bfloat16))
    return optimizer


def test_the_bits_are_those_of_the_seed_alone(isa: str) -> None:
    """Not of the number of threads, the instruction set, nor of how the parameters are grouped."""
    wanted = all_bits(run())
    with fo.use_isa(isa):
        for threads in (1, 2, 3):
            assert all_bits(run(num_threads=threads)) == wanted
    assert all_bits(run(seed=1)) != wanted
    own = params(bfloat16)
    grouped = fo.Adam(
        [{"params": {name: w}} for name, w in own.items()],
        rounding="stochastic",
        state_dtype={"m": "bfloat16", "v": "float8"},
    )
    for t in (1, 2, 3):
        grouped.step([{name: g} for name, g in gradients(t, bfloat16).items()])
    assert bits(own) == bits(run().params)


@pytest.mark.parametrize("way", ["state_dict", "save", "deepcopy", "pickle"])
def test_a_run_goes_on(way: str, tmp_path: Path) -> None:
    whole, again = run(6), run(3, ema=0.5)
    if way == "state_dict":
        others = {name: w.copy() for name, w in again.params.items()}
        fresh = fo.Adam(others, rounding="stochastic", state_dtype={"m": "bfloat16", "v": "float8"}, ema=0.5)
        fresh.load_state_dict(again.state_dict())
    elif way == "save":
        package("ml_dtypes")
        again.save(tmp_path / "run.safetensors")
        fresh = run(0, ema=0.5)
        fresh.load(tmp_path / "run.safetensors")
    else:
        fresh = copy.deepcopy(again) if way == "deepcopy" else pickle.loads(pickle.dumps(again))
    for t in (4, 5, 6):
        fresh.step(gradients(t, bfloat16))
    assert bits(fresh.params) == bits(whole.params)
    assert [bits(fresh.state[name]) for name in whole.state] == [bits(whole.state[name]) for name in whole.state]


# -- rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [fo.SGD, fo.Adam, fo.Lion], ids=lambda make: make.__name__)
def test_rows_of_a_split_table_are_those_of_float32(make: Any) -> None:
    narrow = bfloat16(normal(0, 50, 33))
    own, expected = make(narrow), make(formats.load(narrow))
    for t in (1, 2, 3):
        rows = np.array([7, 3, 7, 41, 0, 7]) + t
        values = bfloat16(normal(t, 6, 33))
        own.step(fo.RowGrad(rows, values)), expected.step(fo.RowGrad(rows, formats.load(values)))
    assert_same_bits(own.state_as_float("params"), expected.params)


def test_rows_are_rounded_as_in_a_step_of_all() -> None:
    tables = [bfloat16(normal(0, 50, 33)) for _ in range(2)]
    lazy, dense = (fo.Adam(table, rounding="stochastic", state_dtype="bfloat16", lr=0.1) for table in tables)
    before = tables[0].copy()
    rows = np.array([3, 9, 49])
    g = np.zeros((50, 33), np.float32)
    g[rows] = formats.load(bfloat16(normal(1, 3, 33)))
    lazy.step(fo.RowGrad(rows, bfloat16(g[rows]))), dense.step(bfloat16(g))
    assert tables[0][rows].tobytes() == tables[1][rows].tobytes() != before[rows].tobytes()
    others = np.setdiff1d(np.arange(50), rows)
    assert tables[0][others].tobytes() == before[others].tobytes()


def test_rows_and_a_copy() -> None:
    table, narrow = normal(0, 50, 33), bfloat16(np.zeros((50, 33), np.float32))
    optimizer = fo.Adam(table, lr=0.1, copy_to=narrow)
    optimizer.step(fo.RowGrad(np.array([3, 9, 49]), bfloat16(normal(1, 3, 33))))
    assert_same_bits(narrow["bfloat16"], formats.to_bfloat16(table))


# -- averages, copies, and what a state means --------------------------------------------------------------------------


def test_using_ema() -> None:
    narrow, wide = params(bfloat16), params()
    copies = params(bfloat16)
    own, with_copy = fo.Adam(narrow, ema=0.5), fo.Adam(wide, ema=0.5, copy_to=copies)
    for t in (1, 2):
        own.step(gradients(t, bfloat16)), with_copy.step(gradients(t, bfloat16))
    before = all_bits(own), all_bits(with_copy), bits(copies)
    averages = {name: x.copy() for name, x in with_copy.ema_params.items()}
    with own.using_ema(), with_copy.using_ema():
        for name in SIZES:
            assert_same_bits(narrow[name]["bfloat16"], formats.to_bfloat16(own.ema_params[name]))
            assert_same_bits(wide[name], averages[name])
            assert_same_bits(copies[name]["bfloat16"], formats.to_bfloat16(averages[name]))
    assert (all_bits(own), all_bits(with_copy), bits(copies)) == before


def test_averaged_of_schedule_free() -> None:
    narrow = bfloat16(normal(0, 700))
    own, expected = fo.ScheduleFreeAdamW(narrow), fo.ScheduleFreeAdamW(formats.load(narrow))
    for t in (1, 2, 3):
        g = bfloat16(normal(t, 700))
        own.step(g), expected.step(formats.load(g))
    with own.averaged(), expected.averaged():
        assert_same_bits(narrow["bfloat16"], formats.to_bfloat16(expected.params))
    assert_same_bits(own.state_as_float("params"), expected.params)


def test_copies_are_written_from_the_beginning_and_where_weights_are_loaded(tmp_path: Path) -> None:
    wide, narrow = params(), params(float16)
    narrow["a"][...] = 9
    optimizer = fo.AdamW(wide, copy_to=narrow | {"b": None})
    assert narrow["a"] == np.float16(wide["a"])
    optimizer.step(gradients(1, bfloat16)), optimizer.save(tmp_path / "run.safetensors")
    after = bits(narrow)
    again = params(float16)
    other = fo.AdamW(params(), copy_to=again | {"b": None})
    other.load(tmp_path / "run.safetensors")
    assert bits(again | {"b": narrow["b"]}) == after
    more, copied = np.full(3, 0.1, np.float32), np.zeros(3, np.float16)
    other.add_group({"params": more}, copy_to=copied)
    assert_same_bits(copied, more.astype(np.float16))
    with pytest.raises(ValueError, match="copy_to must be given of all groups or of none"):
        other.add_group({"params": np.zeros(3, np.float32)})


def test_state_as_float() -> None:
    optimizer = run()
    floats = optimizer.state_as_float("m")
    assert_same_bits(floats["c"], formats.load(optimizer.state["m"]["c"]))
    exponent = fo._core.narrow_states["adam"]["v"]
    pair = optimizer.state["v"]["d"], optimizer.state["v_scale"]["d"]
    assert_same_bits(optimizer.state_as_float("v")["d"], formats.load(pair, exponent, floats["d"]))
    with pytest.raises(KeyError, match="no state has the name 'u'; there are"):
        optimizer.state_as_float("u")
    wide = fo.Adam(np.ones(3))
    assert wide.state_as_float("m").dtype == np.float64
    assert not np.shares_memory(wide.state_as_float("m"), wide.state["m"])


def test_states_of_ml_dtypes_are_of_its_bfloat16() -> None:
    ml_dtypes = package("ml_dtypes")
    w = np.ones(5, ml_dtypes.bfloat16)
    optimizer = fo.Momentum(w, lr=0.5, state_dtype="bfloat16")
    optimizer.step(np.ones(5, ml_dtypes.bfloat16))
    assert optimizer.state["m"].dtype == ml_dtypes.bfloat16
    again = copy.deepcopy(optimizer)
    assert again.state["m"].tobytes() == optimizer.state["m"].tobytes()


def test_memory() -> None:
    """Of a million weights, in bytes each: w, m and v, and a scale for 256."""
    w = np.zeros(1 << 20, np.float32)

    def states(**keywords: Any) -> float:
        return float(sum(x.nbytes for x in fo.Adam(w, **keywords).state.values()) / w.size)

    assert states() == 8
    assert states(state_dtype="bfloat16") == 4
    assert states(state_dtype="float8") == 2 + 8 / 256
    split = fo.Adam(bfloat16(w))
    assert sum(x.nbytes for x in split.state.values()) == 10 * w.size


# -- bad input ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda w: fo.Adam(w, state_dtype="float16"),
            ValueError,
            'state_dtype must be "float32", "bfloat16", "float8" or',
        ),
        (lambda w: fo.Adam(w, state_dtype={"m": "int8"}), ValueError, r"state_dtype\['m'\] must be "),
        (
            lambda w: fo.Adam(w, state_dtype={"u": "float8"}),
            ValueError,
            r"of the states of adam \['m', 'v'\] may be narrow",
        ),
        (
            lambda w: fo.AMSGrad(w, state_dtype={"v_max": "bfloat16"}),
            ValueError,
            "state_dtype has 'v_max', and of the states of amsgrad",
        ),
        (lambda w: fo.SGD(w, state_dtype="bfloat16"), ValueError, "the rule sgd has no state that may be narrow"),
        (lambda w: fo.LAMB(w, state_dtype="bfloat16"), ValueError, "the rule lamb has no state that may be narrow"),
        (lambda w: fo.Adam(w.astype(float), state_dtype="float8"), ValueError, r"params is float64; leave it out"),
        (lambda w: fo.Adam(w, rounding="up"), ValueError, 'rounding must be "split", "stochastic", "nearest" or None'),
        (lambda w: fo.Adam(w.astype(np.float16), rounding="split"), ValueError, "params is float16; give"),
        (lambda w: fo.LAMB(w, copy_to=bfloat16(w)), ValueError, "copy_to must be None for lamb, which takes sums"),
        (lambda w: fo.LAMB(bfloat16(w)), TypeError, "params must be float32 or float64, got bfloat16"),
        (lambda w: fo.Adam(w, seed=-1), ValueError, "seed must be a whole number >= 0"),
        (lambda w: fo.Adam(w, seed=1.5), TypeError, "seed must be a whole number >= 0"),
        (
            lambda w: fo.Adam(w, copy_to=w.copy()),
            TypeError,
            "copy_to must be bfloat16 or float16, .*got float32 of float32",
        ),
        (lambda w: fo.Adam(bfloat16(w), copy_to=bfloat16(w)), TypeError, "copy_to must be .* of bfloat16; give None"),
        (lambda w: fo.Adam(w, copy_to=bfloat16(w)[:100]), ValueError, "copy_to must have the shape"),
        (lambda w: fo.Adam(w, copy_to=w.view(np.float16)[: w.size]), ValueError, "copy_to and params share memory"),
        (lambda w: fo.Adam(w, copy_to=[bfloat16(w)]), TypeError, "copy_to must be a numpy.ndarray, got list"),
        (lambda w: fo.Adam([w], copy_to=bfloat16(w)), TypeError, "copy_to must be a list or tuple of 1, got ndarray"),
        (
            lambda w: fo.Adam([{"params": w}], copy_to={}),
            TypeError,
            "copy_to must be a list of 1 nests, as there are groups",
        ),
    ],
)
def test_refused(make: Callable[[np.ndarray], Any], error: type, words: str) -> None:
    w = normal(0, 300)
    with pytest.raises(error, match=words):
        make(w)
    assert_same_bits(w, normal(0, 300))


@pytest.mark.parametrize("row", OTHERS, ids=str)
def test_a_rule_that_needs_sums_takes_whole_weights(row: Case) -> None:
    with pytest.raises(TypeError, match="must be float32 or float64, got bfloat16"):
        row.make(bfloat16(normal(0, 6, 5)))


@pytest.mark.parametrize("half", HALVES, ids=lambda half: half.__name__)
def test_a_gradient_wider_than_its_weight_is_refused(half: Half) -> None:
    w = half(normal(0, 6, 5))
    optimizer = fo.SGD(w)
    for g in (normal(1, 6, 5), fo.RowGrad(np.array([1]), normal(1, 1, 5))):
        with pytest.raises(TypeError, match=r"must not be wider than the weight, (bfloat16|float16), got float32"):
            optimizer.step(g)
    assert w.tobytes() == half(normal(0, 6, 5)).tobytes() and optimizer.t == 0


def test_rows_of_a_state_in_blocks_are_refused() -> None:
    optimizer = fo.Adam(normal(0, 6, 5), state_dtype="float8")
    with pytest.raises(ValueError, match="does not go with a state of 8 bits, which lies in blocks"):
        optimizer.step(fo.RowGrad(np.array([1]), normal(1, 1, 5)))


@pytest.mark.parametrize("name", ["state_dtype", "rounding", "copy_to", "seed"])
def test_what_is_given_where_the_optimizer_is_made_stays(name: str) -> None:
    optimizer = fo.Adam(normal(0, 5))
    with pytest.raises(AttributeError, match=f"{name} is given where the optimizer is made, and stays"):
        setattr(optimizer, name, None)


def test_what_was_given_can_be_read() -> None:
    copies = float16(normal(0, 5))
    optimizer = fo.Adam(normal(0, 5), state_dtype="bfloat16", copy_to=copies, seed=5)
    assert (optimizer.state_dtype, optimizer.rounding, optimizer.seed) == ({"m": "bfloat16", "v": "bfloat16"}, None, 5)
    assert optimizer.copy_to is copies


@pytest.mark.parametrize("which", ["w_low", "m_scale", "copy_to"])
def test_a_part_that_was_replaced_is_refused(which: str) -> None:
    copies = [bfloat16(normal(0, 5)), None]
    params = [normal(0, 5), bfloat16(normal(0, 5))]
    optimizer = fo.Adam(params, state_dtype="float8", copy_to=copies)
    nest = copies if which == "copy_to" else optimizer.state[which]
    nest[0] = nest[0].copy()
    with pytest.raises(ValueError, match="is another object than the optimizer steps"):
        optimizer.step([bfloat16(normal(1, 5)), bfloat16(normal(1, 5))])
