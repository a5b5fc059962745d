"""Files of optimizers: nothing is lost, and nothing damaged is taken in. The long runs are `nox -s nightly`."""

import enum
import itertools
import json
import math
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusedoptim as fo
from fusedoptim.saved import checkpoint, counts, named_schedules

from .. import ROOT
from ..any_schedule import ANY
from ..cases import Case
from ..changes import setting
from ..golden import SCHEDULES
from ..nests import bits, copied, gradients, normal, snapshot, unchanged
from ..nightly import NIGHTLY
from ..runs import ROWS, make, nest, step
from . import hostile_files
from .hostile_files import joined, sign, split

EXAMPLES, HOSTILE = (2000, 100_000) if NIGHTLY else (100, 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


def resumed(row: Case, path: Path, optimizer: fo.Optimizer, **options: Any) -> fo.Optimizer:
    """A new optimizer over other weights that has loaded the file."""
    other = make(row, fo.core.tree.map_leaves(np.zeros_like, optimizer.params), **options)
    other.load(path)
    return other


# Round trips


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_run_goes_on_with_the_same_bits(row: Case, path: Path) -> None:
    options: dict[str, Any] = {"accumulate": 3, "ema": 0.5, "nonfinite": "skip"}
    optimizer = make(row, nest(row), **options)
    for call in range(7):
        bad = fo.core.tree.map_leaves(lambda w: np.full_like(w, np.nan), optimizer.params) if call == 2 else None
        step(optimizer, call, bad)
    optimizer.save(path)
    assert optimizer.skipped > 0 and optimizer.t > 0
    other = resumed(row, path, optimizer, **options)
    assert snapshot(other) == snapshot(optimizer)
    assert repr(other.groups) == repr(optimizer.groups) or callable(optimizer.lr)
    for call in range(7, 13):
        for each in (optimizer, other):
            step(each, call)
    assert snapshot(other) == snapshot(optimizer)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "accumulate": st.integers(1, 4),
        "ema": st.sampled_from([0.0, 0.5, 0.99]),
        "clip_norm": st.sampled_from([0.1, 10.0]),
        "clip_value": st.just(0.5),
        "maximize": st.booleans(),
        "nonfinite": st.just("skip"),
        "lr": st.sampled_from(
            [0.01, fo.schedules.warmup(fo.schedules.cosine(0.1, n=5), n=3), fo.schedules.restarts(0.1, n=2)]
        ),
    },
)


@settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    row=st.sampled_from(ROWS),
    options=OPTIONS,
    dtype=st.sampled_from([np.float32, np.float64]),
    stops=st.sets(st.integers(0, 9), max_size=4),
    grouped=st.booleans(),
    frozen=st.booleans(),
    weights=st.booleans(),
    not_finite=st.sets(st.integers(0, 9), max_size=2),
)
def test_a_run_interrupted_at_any_step_has_the_bits_of_one_that_was_not(
    path: Path,
    row: Case,
    options: dict[str, Any],
    dtype: Any,
    stops: set[int],
    grouped: bool,
    frozen: bool,
    weights: bool,
    not_finite: set[int],
) -> None:
    def begin(params: Any) -> fo.Optimizer:
        groups = [{"params": params}, {"params": params_2, "lr": 0.003}] if grouped else params
        optimizer = make(row, groups, **options)
        if frozen:
            optimizer.freeze((0, "w") if grouped else "w")
        return optimizer

    params_2 = nest(row, 9, dtype)
    whole = begin(nest(row, 0, dtype))
    params_2 = copied(params_2)
    parts = begin(nest(row, 0, dtype))
    for call in range(10):
        if call in stops:
            parts.save(path, weights=weights)
            kept = copied(parts.params)
            fresh = fo.core.tree.map_leaves(np.zeros_like, kept) if weights else kept
            params, params_2 = fresh if grouped else (fresh, None)
            parts = begin(params)
            parts.load(path)
        grads = gradients(whole.params, call)
        if call in not_finite and "nonfinite" in options:
            grads = fo.core.tree.map_leaves(lambda g: np.full_like(g, np.inf), grads)
        for each in (whole, parts):
            step(each, call, grads)
    assert snapshot(parts) == snapshot(whole)
    assert [group._numbers() for group in parts.groups] == [group._numbers() for group in whole.groups]
    assert counts.view(parts) == counts.view(whole)


def test_parameter_by_parameter(kind: Case, path: Path) -> None:
    """As with other state, what happened in `stepping` is in the file."""
    runs = [make(kind, nest(kind)) for _ in range(2)]
    for call in range(4):
        if call == 2:
            runs[1].save(path)
            runs[1] = resumed(kind, path, runs[1])
        for optimizer in runs:
            with optimizer.stepping():
                optimizer.update("w", normal(call, 4, 3))
    assert runs[0].t == 4 and snapshot(runs[1]) == snapshot(runs[0])


def test_without_weights(kind: Case, path: Path) -> None:
    optimizer = make(kind, nest(kind))
    step(optimizer, 1)
    optimizer.save(path)
    whole = path.stat().st_size
    optimizer.save(path, weights=False)
    assert path.stat().st_size < whole
    params = nest(kind, seed=7)
    other, before = make(kind, params), bits(params)
    other.load(path)
    assert bits(other.params) == before and snapshot(other)[1:] == snapshot(optimizer)[1:]
    with pytest.raises(TypeError, match=r"^weights must be True or False"):
        optimizer.save(path, weights="no")  # type: ignore[arg-type]


def test_hyper_parameters_of_numpy_and_of_each_group(path: Path) -> None:
    w = normal(0, 3)
    optimizer = fo.ADOPT(
        [{"params": w, "lr": np.float32(0.1), "betas": np.array([0.5, 0.75])}, {"params": normal(1, 2)}], clip=math.inf
    )
    optimizer.save(path)
    other = fo.ADOPT([{"params": normal(0, 3)}, {"params": normal(1, 2), "lr": 9.0}])
    with pytest.warns(UserWarning, match="the saved hyper-parameters replace"):
        other.load(path)
    assert (other.groups[0].lr, other.groups[0].betas) == (float(np.float32(0.1)), (0.5, 0.75))
    assert (other.groups[1].lr, other.groups[1].clip) == (1e-3, math.inf)


def test_keys_of_all_kinds(path: Path) -> None:
    params = {
        'a"]["b': np.ones(1),
        "a": {"b": np.full(1, 2.0)},
        1: np.full(1, 3.0),
        "1": np.full(1, 4.0),
        "é": np.ones(2),
    }
    optimizer = fo.Momentum(params)
    optimizer.save(path)
    other = fo.Momentum(fo.core.tree.map_leaves(np.zeros_like, params))
    other.load(path)
    assert snapshot(other) == snapshot(optimizer)


def test_many_tensors_of_many_axes(path: Path) -> None:
    """The longest header for what it says is not too long."""
    optimizer = fo.SGD([np.ones((1,) * 32, np.float32) for _ in range(8000)])
    optimizer.save(path)
    assert struct.unpack("<Q", path.read_bytes()[:8])[0] > 1 << 20
    optimizer.load(path)


def test_the_order_of_keys_does_not_matter(path: Path) -> None:
    fo.Momentum({"a": np.ones(2), "b": np.full(2, 2.0)}).save(path)
    other = fo.Momentum({"b": np.zeros(2), "a": np.zeros(2)})
    other.load(path)
    assert other.params["a"].tolist() == [1, 1]


class Key:
    """That has the address in its name, as any object has that says nothing else."""


@pytest.mark.parametrize("key", [Key(), Key, len, math.nan, np.float32(math.nan), ("a", Key()), 1j, b"\x00".hex])
def test_keys_that_no_other_process_finds_are_refused(path: Path, key: Any) -> None:
    optimizer = fo.SGD({"a": np.ones(1), "b": [{key: np.ones(1)}]})
    with pytest.raises(
        ValueError, match=r"^the keys of params must be strings, bytes, numbers, None or tuples of them"
    ):
        optimizer.save(path)
    assert os.listdir(path.parent) == []
    optimizer.load_state_dict(optimizer.state_dict())


class Color(enum.IntEnum):
    RED = 1


def test_keys_that_any_process_finds(path: Path) -> None:
    keys = [
        "",
        "a\nb",
        "é\ud800",
        0,
        -1,
        10**400,
        1.5,
        math.inf,
        True,
        None,
        b"x\x00",
        np.int64(7),
        np.str_("s"),
        Color.RED,
        (1, ("a", None)),
        (),
    ]
    params = [{key: np.full(1, float(k))} for k, key in enumerate(keys)]
    optimizer = fo.SGD(params, lr=0.5)
    optimizer.save(path)
    other = fo.SGD(fo.core.tree.map_leaves(np.zeros_like, params), lr=0.5)
    other.load(path)
    assert bits(other.params) == bits(params)


def test_bound_gradients_stay_bound(path: Path) -> None:
    optimizer, g = fo.SGD(np.ones(2), lr=1.0), np.ones(2)
    optimizer.bind(g)
    optimizer.save(path)
    optimizer.step()
    optimizer.load(path)
    optimizer.step()
    assert optimizer.params.tolist() == [0, 0] and optimizer.t == 1


def test_the_file_is_one_that_safetensors_reads(path: Path) -> None:
    from safetensors.numpy import load_file

    w = {"a": normal(0, 3, 4), "z": np.array(1.5)}
    optimizer = fo.Adam(w, ema=0.5)
    step(optimizer, 1)
    optimizer.save(path)
    found = load_file(path)
    assert sorted(found) == sorted(f'{name}["{key}"]' for name in ("params", "m", "v", "ema") for key in "az")
    assert found['params["a"]'].tobytes() == w["a"].tobytes() and found['params["z"]'].shape == ()


@pytest.mark.parametrize("block", ["stepping", "using_ema", "averaged"])
def test_refused_inside_a_block(path: Path, block: str) -> None:
    optimizer = fo.ScheduleFreeSGD(np.ones(2), ema=0.5)
    optimizer.save(path)
    with getattr(optimizer, block)():
        with pytest.raises(RuntimeError, match=r"^cannot save a state inside"):
            optimizer.save(path)
        with pytest.raises(RuntimeError, match=r"^cannot load a state inside"):
            optimizer.load(path)
    with optimizer._turn(), pytest.raises(RuntimeError, match=r"^another thread is inside"):
        optimizer.save(path)


def test_safetensors_is_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = fo.SGD(np.ones(2))
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'fusedoptim\[checkpoint\]'"):
        optimizer.save(path)


def test_what_is_saved_can_be_loaded_without_safetensors(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = saved_and_stepped(path, fo.Adam({"a": normal(0, 3, 4), "b": np.ones(()), "c": np.ones((0, 2))}))
    monkeypatch.setitem(sys.modules, "safetensors", None)
    optimizer.load(path)
    assert optimizer.t == 1


@pytest.mark.parametrize("version", ["0.4.3", "0.3.0rc1"])
def test_safetensors_is_too_old(path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    optimizer = fo.SGD(np.ones(2))
    optimizer.save(path)
    before = path.read_bytes()
    monkeypatch.setattr("safetensors.__version__", version)
    with pytest.raises(
        ImportError, match=rf"needs safetensors 0\.4\.4 or later, got {version}; run: pip install --upgrade"
    ):
        optimizer.save(path)
    assert path.read_bytes() == before
    monkeypatch.setattr("safetensors.__version__", "1.0.dev0")
    optimizer.save(path)


# Schedules

OF_NAMES: dict[str, Any] = {name: row.keywords["lr"] for name, row in SCHEDULES.items()} | {
    "warmup of a number": fo.schedules.warmup(fo.schedules.warmup(1, n=3), n=5),
    "join of numbers": fo.schedules.join([0.1, fo.schedules.linear(0.1, n=10), 0.01], [5, 8]),
    "polynomial of whole numbers": fo.schedules.polynomial(0.5, n=7, power=3),
    "restarts of whole numbers": fo.schedules.restarts(0.5, n=3, growth=1.5),
    "numbers of NumPy": fo.schedules.cosine(np.float32(0.1), n=np.int64(100), end=np.array(0.01)),
    "numbers of NumPy inside": fo.schedules.join(
        [np.float32(0.1), fo.schedules.warmup(np.array(1), n=2)], np.array([3])
    ),
    "a fraction": fo.schedules.constant(Fraction(1, 3)),
    "Plateau of NumPy": fo.schedules.Plateau(np.float32(0.1), patience=np.int8(3), best=np.float32(0.3)),
    "Plateau of infinity": fo.schedules.Plateau(0.1, best=-math.inf),
}


@pytest.mark.parametrize("name", OF_NAMES)
def test_schedules_go_along(name: str, path: Path) -> None:
    schedule = OF_NAMES[name]
    optimizer = fo.SGD(np.ones(2), lr=schedule)
    optimizer.save(path)
    other = fo.SGD(np.ones(2))
    with pytest.warns(UserWarning, match=r"groups\[0\]\.lr is .* in the saved, 0\.01 in the program"):
        other.load(path)
    lr: Any = other.lr
    assert lr == schedule and lr is not schedule
    assert [lr(t) for t in range(1, 30)] == [schedule(t) for t in range(1, 30)]


class Derived(fo.schedules.Plateau):
    pass


@given(schedule=ANY)
def test_a_description_is_whole(schedule: Any) -> None:
    plain = json.loads(json.dumps(named_schedules.describe(schedule)))
    again = named_schedules.make(plain)
    assert again == schedule and named_schedules.describe(again) == plain


def test_a_plateau_told_numbers_of_numpy(path: Path) -> None:
    plateau, again = (fo.schedules.Plateau(0.1, factor=0.5, patience=0) for _ in range(2))
    for loss in (3, 2, 2, 2):
        plateau.observe(np.float32(loss))
    fo.SGD(np.zeros(1), lr=plateau).save(path)
    fo.SGD(np.zeros(1), lr=again).load(path)
    assert again == plateau and (again.lr, again.best) == (0.025, 2.0)


OF_A_PROGRAM = {
    "lambda": lambda t: 0.5 / t,
    "with an argument that has no name": fo.schedules.warmup(lambda t: 0.5 / t, n=10),
    "with one deep inside": fo.schedules.join([0.5, fo.schedules.warmup(lambda t: 0.5 / t, n=10)], [5]),
    "of a class that is derived": Derived(0.5),
}


@pytest.mark.parametrize("name", OF_A_PROGRAM)
def test_a_schedule_of_the_program_is_kept(name: str, path: Path) -> None:
    optimizer = fo.SGD(np.ones(2), lr=OF_A_PROGRAM[name])
    step(optimizer, 1)
    optimizer.save(path)
    other = fo.SGD(np.ones(2), lr=0.5)
    with unchanged(other), pytest.raises(ValueError, match=r"function that has no name; set opt\.lr to it"):
        other.load(path)
    own = other.lr = fo.schedules.constant(0.125)
    other.load(path)
    assert other.lr is own and other.t == 1


def test_a_plateau_stays_the_one_that_the_program_observes(path: Path) -> None:
    plateau = fo.schedules.Plateau(1.0, factor=0.5, patience=0)
    optimizer = fo.SGD([{"params": np.ones(1)}, {"params": np.ones(1)}], lr=plateau)
    plateau.observe(1.0)
    optimizer.save(path)
    plateau.observe(1.0)
    assert plateau.lr == 0.5
    optimizer.load(path)
    assert plateau == fo.schedules.Plateau(1.0, factor=0.5, patience=0, best=1.0)
    assert all(group.lr is plateau for group in optimizer.groups)


@pytest.mark.parametrize(
    "schedule",
    [
        1,
        [],
        {},
        {"name": "Schedule"},
        {"name": ["cosine"]},
        {"name": "cosine", "lr": 1.0},
        {"name": "cosine", "lr": 1.0, "n": 0, "end": 0.0},
        {"name": "cosine", "lr": math.nan, "n": 1, "end": 0.0},
        {"name": "cosine", "lr": -1.0, "n": 1, "end": -1.0},
        {"name": "cosine", "lr": "1", "n": 1, "end": 0.0},
        {"name": "cosine", "lr": True, "n": 1, "end": 0.0},
        {"name": "cosine", "lr": {"name": "constant", "lr": 1.0}, "n": 1, "end": 0.0},
        {"name": "exponential", "lr": 1.0, "gamma": 10**300},
        {"name": "polynomial", "lr": 1.0, "n": 10, "power": -1e9, "end": 0.0},
        {"name": "restarts", "lr": 1.0, "n": 1e-300, "growth": 1.0 + 1e-15, "end": 0.0},
        {"name": "restarts", "lr": 1.0, "n": 1e-300, "growth": 1.5, "end": 0.0},
        {"name": "restarts", "lr": 1.0, "n": 1, "growth": 1.001, "end": 0.0},
        {"name": "restarts", "lr": 1.0, "n": 1, "growth": 1e300, "end": 0.0},
        {"name": "one_cycle", "lr": 1.0, "n": 5e-324, "rise": 0.75, "start": 0.0, "end": 0.0},
        {"name": "warmup_cosine", "lr": 1.0, "n": 3, "warmup": 3, "end": 0.0, "start": 0.0},
        {"name": "constant", "lr": 10**400},
        {"name": "linear", "lr": 1.0, "n": math.inf, "end": 0.0},
        {"name": "join", "schedules": [{"name": "constant", "lr": 1.0}], "boundaries": [1]},
        {"name": "join", "schedules": [{"name": "constant", "lr": 1.0}] * 2, "boundaries": [1.5]},
        {"name": "join", "schedules": 1, "boundaries": []},
        {"name": "join", "schedules": [1.0], "boundaries": []},
        {"name": "join", "schedules": "1", "boundaries": []},
        {"name": "join", "schedules": [{"name": "constant", "lr": [1.0]}, 1.0], "boundaries": [10**14]},
        {"name": "warmup", "schedule": 1.0, "n": 5},
        {"name": "Plateau", **vars(fo.schedules.Plateau(1.0)), "waited": -1},
        {"name": "Plateau", **vars(fo.schedules.Plateau(1.0)), "best": math.nan},
        {"name": "Plateau", **vars(fo.schedules.Plateau(1.0)), "factor": 1.5},
    ],
    ids=lambda plain: json.dumps(plain)[:60],
)
def test_a_schedule_that_nobody_wrote(path: Path, schedule: Any) -> None:
    optimizer = fo.SGD(np.ones(2), lr=fo.schedules.cosine(0.5, n=7))
    optimizer.t = 10**15
    optimizer.save(path)
    refused(optimizer, with_manifest(path, setting("groups", 0, "lr", "schedule", to=schedule)), ".")


# What a file must not be


def refused(optimizer: fo.Optimizer, path: Path, said: str) -> None:
    said = f"(?s)^the checkpoint '{re.escape(str(path))}' .*{said}"
    with unchanged(optimizer), pytest.raises(ValueError, match=said):
        optimizer.load(path)


def saved_and_stepped(path: Path, optimizer: fo.Optimizer, calls: int = 1) -> fo.Optimizer:
    """That was saved after so many calls, and has gone on since."""
    for call in range(calls):
        step(optimizer, call)
    optimizer.save(path)
    step(optimizer, 20)
    return optimizer


def as_text(thing: Any) -> str:
    return thing if isinstance(thing, str) else json.dumps(thing)


def with_header(path: Path, change: Callable[[Any], Any]) -> Path:
    header, data = split(path.read_bytes())
    path.write_bytes(joined(as_text(change(header) or header), data))
    return path


def with_manifest(path: Path, change: Callable[[Any], Any]) -> Path:
    """As by somebody who knows the format: the checksum is right."""

    def signed(header: Any) -> None:
        manifest = json.loads(header["__metadata__"]["fusedoptim"])
        sign(header, as_text(change(manifest) or manifest))

    return with_header(path, signed)


DEEP = "[" * 100_000 + "]" * 100_000

MANIFESTS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "another format": (setting("format", to=3), r"format 3 and this version reads \(1, 2\); install"),
    "no dict": (lambda _: "[]", "format None"),
    "no JSON": (lambda _: "{", "Expecting property name"),
    "deep": (lambda _: f'{{"format": {DEEP}}}', "recursion"),
    "twice": (lambda _: '{"format": 1, "format": 1}', "a name comes twice"),
    "too long": (lambda manifest: json.dumps(manifest) + " " * (1 << 21), "too long"),
    "a long number": (
        lambda manifest: json.dumps(manifest).replace('"t": 4', '"t": ' + "9" * 9999),
        "Exceeds the limit",
    ),
    "another class": (setting("optimizer", to="AdamW"), "it is of 'AdamW'"),
    "another rule": (setting("rule", to="adamw"), "'adamw', this optimizer"),
    "extra key": (setting("extra", to=1), "must have the keys"),
    "a checksum of too many": (setting("crc32", "extra", to=1), r"its checksums are others.*\['extra'\]"),
    "no checksums": (setting("crc32", to=None), "."),
    **{f"t={t!r}": (setting("t", to=t), '"t" must be') for t in (-1, 1.5, math.nan, "1", None, True, 2**53, [])},
    **{f"skipped={n!r}": (setting("skipped", to=n), '"skipped" must be') for n in (-1, math.inf)},
    **{f"accumulated={n!r}": (setting("accumulated", to=n), "gradients summed") for n in (-1, 3, 0.5, None, [])},
    **{f"grad_scale={s!r}": (setting("grad_scale", to=s), '"grad_scale" must') for s in (0, -1, math.nan, "1")},
    **{f"groups={g!r}": (setting("groups", to=g), '"groups" must be') for g in ([], [1], None, {}, [{}, {}])},
    "an argument more": (setting("groups", 0, "window", to=1), "must have the keys.*window"),
    **{
        f"{name}={value!r}": (setting("groups", 0, name, to=value), name.removesuffix("s"))
        for name, value in [
            *itertools.product(["lr", "eps", "weight_decay"], [math.nan, -1.0, math.inf, "1", None, [], 10**400]),
            *itertools.product(["betas"], [[0.5], [0.5, 1.0], [math.nan, 0.5], ["a", "b"], 0.5, None, {}, [[], []]]),
            *itertools.product(["bias_correction"], [0, None, "no", []]),
        ]
    },
    "a rate of no kind": (setting("groups", 0, "lr", to={"rate": 1}), "a learning rate must have the keys"),
}


@pytest.mark.parametrize("bad", MANIFESTS)
def test_a_manifest_that_nobody_wrote(path: Path, bad: str) -> None:
    optimizer = saved_and_stepped(path, make(ADAM, nest(ADAM), accumulate=3), calls=13)
    change, said = MANIFESTS[bad]
    refused(optimizer, with_manifest(path, change), said)


ADAM = Case(fo.Adam)


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, "1", None, [], -math.inf])
@pytest.mark.parametrize("optimizer", [fo.NAdam, fo.ScheduleFreeSGD, fo.AdaBound], ids=lambda cls: cls.__name__)
def test_what_is_carried_from_step_to_step_must_be_a_number(path: Path, optimizer: Any, value: Any) -> None:
    opt = optimizer(normal(0, 3))
    opt.save(path)
    name = next(iter(optimizer.carried))
    refused(opt, with_manifest(path, setting("cohorts", 0, name, to=value)), f"{name} must be")


def first(header: Any) -> Any:
    return header['m["w"]']


HEADERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "dtype": (lambda h: first(h).update(dtype="I32"), r'm\["w"\] must be float32 of shape \(4, 3\), got I32'),
    "shape": (lambda h: first(h).update(shape=[3, 4]), r'm\["w"\] must be float32 of shape \(4, 3\), got float32 of'),
    "outside": (lambda h: first(h).update(data_offsets=[10**9, 10**9 + 48]), "not a whole safetensors file"),
    "overlap": (lambda h: first(h).update(data_offsets=h['v["w"]']["data_offsets"]), "not a whole safetensors file"),
    "backwards": (lambda h: first(h).update(data_offsets=first(h)["data_offsets"][::-1]), "not a whole"),
    "negative": (lambda h: first(h).update(data_offsets=[-48, 0]), "not a whole"),
    "huge shape": (lambda h: first(h).update(shape=[2**62, 2**62]), r"must be float32 of shape \(4, 3\), got float32"),
    "no dict": (lambda h: h.update({'m["w"]': [1]}), "not a whole.*has no dtype"),
    "no offsets": (lambda h: first(h).pop("data_offsets") and None, "not a whole.*has no dtype"),
    "offsets of words": (lambda h: first(h).update(data_offsets=["0", "48"]), "."),
    "a gap": (lambda h: first(h).update(data_offsets=[x + 1 for x in first(h)["data_offsets"]]), "not a whole"),
    "no object": (lambda _: "[]", "not a whole.*no JSON object"),
    "metadata of numbers": (lambda h: h.update(__metadata__={"fusedoptim": 1}), "not a whole.*not of strings"),
    "missing": (lambda h: {k: v for k, v in h.items() if k != 'm["w"]'}, "."),
    "another name": (
        lambda h: {k.replace('m["w"]', 'n["w"]'): v for k, v in h.items()},
        r"its tensors are others.*m\[",
    ),
    "swapped": (
        lambda h: h.update({'m["w"]': h['v["w"]'], 'v["w"]': h['m["w"]']}),
        r'\["w"\] is damaged, its checksum differs',
    ),
    "twice": (lambda h: json.dumps(h)[:-1] + ', "m[\\"w\\"]": ' + json.dumps(first(h)) + "}", "a name comes twice"),
    "deep": (lambda _: '{"a":' + DEEP, "not a whole safetensors file"),
    "no metadata": (lambda h: h.pop("__metadata__") and None, "not written by Optimizer.save"),
    "metadata of another": (lambda h: h.update(__metadata__={"format": "pt"}), "not written by Optimizer.save"),
    "a hyper-parameter": (
        lambda h: h["__metadata__"].update(fusedoptim=h["__metadata__"]["fusedoptim"].replace("0.999", "0.998")),
        "manifest is damaged",
    ),
}


@pytest.mark.parametrize("bad", HEADERS)
def test_a_header_that_nobody_wrote(path: Path, bad: str) -> None:
    optimizer = saved_and_stepped(path, make(ADAM, nest(ADAM)))
    change, said = HEADERS[bad]
    refused(optimizer, with_header(path, change), said)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 100_000_001, 2**63 - 1, 2**64 - 1])
def test_the_length_of_the_header(path: Path, size: int) -> None:
    optimizer = saved_and_stepped(path, make(ADAM, nest(ADAM)))
    path.write_bytes(struct.pack("<Q", size) + path.read_bytes()[8:])
    refused(optimizer, path, "(not a whole safetensors file|header of [0-9]+ bytes is too long)")


def test_every_bit_counts(path: Path) -> None:
    """With any one of them turned over the file is refused, or means the same."""
    optimizer = fo.Momentum({"é": normal(0, 3)}, ema=0.5)
    step(optimizer, 1)
    optimizer.save(path)
    saved, raw = snapshot(optimizer), path.read_bytes()
    step(optimizer, 2)
    rng, accepted = np.random.default_rng(0), 0
    for byte, bit in (
        itertools.product(range(len(raw)), range(8)) if NIGHTLY else enumerate(rng.integers(8, size=len(raw)))
    ):
        damaged = bytearray(raw)
        damaged[byte] ^= 1 << bit
        path.write_bytes(damaged)
        before = snapshot(optimizer)
        try:
            optimizer.load(path)
        except ValueError:
            assert snapshot(optimizer) == before
        else:
            assert snapshot(optimizer) == saved
            accepted += 1
            step(optimizer, 2)
    assert accepted < 20, "only what JSON writes in two ways"


def test_every_length_but_the_right_one_is_refused(path: Path) -> None:
    optimizer = saved_and_stepped(path, fo.Momentum(normal(0, 3)))
    raw = path.read_bytes()
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        refused(optimizer, path, ".")
    path.write_bytes(raw + b"\0")
    refused(optimizer, path, "not a whole safetensors file: it must have")


OTHERS: dict[str, tuple[fo.Optimizer, str]] = {
    "a subclass of the rule": (
        fo.SparseAdam(normal(0, 4, 3)),
        "of 'Adam' with the rule 'adam', this optimizer is 'Sparse",
    ),
    "another shape": (fo.Adam(normal(0, 3, 4)), r"params must be float32 of shape \(3, 4\), got float32 of \(4, 3\)"),
    "another dtype": (fo.Adam(normal(0, 4, 3, dtype=np.float64)), "params must be float64.*got float32"),
    "other keys": (fo.Adam({"w": normal(0, 4, 3)}), r'its tensors are others: it lacks \[.*m\["w"\]'),
    "groups": (fo.Adam([{"params": normal(0, 4, 3)}]), r"it lacks \['m\[0\]'"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_file_of_another_optimizer(path: Path, other: str) -> None:
    fo.Adam(normal(0, 4, 3)).save(path)
    optimizer, said = OTHERS[other]
    refused(optimizer, path, said)


def test_a_ring_of_another_length(path: Path) -> None:
    fo.WindowSGD(normal(0, 3), window=2).save(path)
    refused(fo.WindowSGD(normal(0, 3), window=3), path, r"ring must be float32 of shape \(3, 3\)")


def test_weights_that_became_read_only(path: Path) -> None:
    optimizer = saved_and_stepped(path, fo.Adam({"a": normal(0, 3), "b": normal(1, 3)}))
    optimizer.freeze("b")
    optimizer.params["b"].flags.writeable = False
    refused(optimizer, path, r'params\["b"\] is read-only')


@pytest.mark.parametrize("what", ["nothing", "folder", "pipe"])
def test_what_is_no_file(path: Path, what: str) -> None:
    {"nothing": lambda: None, "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[what]()
    optimizer = fo.SGD(np.ones(2))
    with unchanged(optimizer), pytest.raises(FileNotFoundError if what == "nothing" else ValueError):
        optimizer.load(path)
    if what != "nothing":
        with pytest.raises(OSError, match="is not a regular file"):
            optimizer.save(path)
        assert os.listdir(path.parent) == [path.name]


def test_an_array_that_cannot_be_read_to_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file was cut off after it was opened."""
    optimizer = saved_and_stepped(path, fo.Adam(normal(0, 1 << 16)))
    check = checkpoint._check_manifest

    def check_and_cut(*arguments: Any) -> Any:
        os.truncate(path, 1 << 16)
        return check(*arguments)

    monkeypatch.setattr(checkpoint, "_check_manifest", check_and_cut)
    refused(optimizer, path, ".")


# Hostile files


def test_hostile_files(tmp_path: Path) -> None:
    """Of one process that may have little memory and little time for each."""
    command = [sys.executable, "-m", hostile_files.__name__, str(tmp_path), str(HOSTILE)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["refused"] + counts["as it was"] + counts["other values"] == HOSTILE
    assert counts["refused"] > HOSTILE / 2 and counts["other values"] > 0
