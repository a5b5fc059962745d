"""The optimizer: nests, state, accumulation, resuming, and what it shares with the program around it."""

import copy
import math
import pickle
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import Case
from ..elsewhere import package
from ..nests import arrays, bits, gradients, nests, normal, snapshot


@pytest.mark.parametrize("nest", nests(np.float32))
def test_a_nest_is_updated_as_its_arrays_one_by_one(kind: Case, dtype: type, nest: str) -> None:
    params = nests(dtype)[nest]
    before = arrays(params)
    alone = [w.copy() for w in before]
    optimizer, singles = kind.make(params), [kind.make(w) for w in alone]
    for t in (1, 2, 3):
        grads = gradients(params, t)
        kept = copy.deepcopy(grads)
        optimizer.step(grads)
        for single, g in zip(singles, arrays(grads), strict=True):
            single.step(g)
        assert optimizer.t == t
        for g, was in zip(arrays(grads), arrays(kept), strict=True):
            assert_same_bits(g, was, "a gradient was written")
    assert optimizer.params is params
    for w, was, wanted in zip(arrays(params), before, alone, strict=True):
        assert w is was
        assert_same_bits(w, wanted)
    for name, state in optimizer.state.items():
        assert fo.core.tree.skeleton(state) == fo.core.tree.skeleton(params)
        for s, single in zip(arrays(state), singles, strict=True):
            assert_same_bits(s, single.state[name], name)


def test_state_has_the_names_of_the_rule(case: Case) -> None:
    w = normal(0, 2, 3)
    optimizer = case.make({"w": w})
    shapes = dict(zip([name for name, _ in fo._core.rule_states[case.rule]], case.state_shapes(w.shape), strict=True))
    assert {name: nest["w"].shape for name, nest in optimizer.state.items()} == shapes
    for name, first in zip(shapes, case.new_state(w), strict=True):
        assert_same_bits(optimizer.state[name]["w"], first)
        if type(optimizer).initial is fo.Optimizer.initial and case.stand_in is None:
            assert not first.any()


@pytest.mark.parametrize(
    ("optimizer", "keywords", "first"),
    [
        (fo.Adagrad, {"initial_accumulator_value": 0.5}, {"v": 0.5}),
        (fo.Yogi, {}, {"m": 1e-6, "v": 1e-6}),
        (fo.ScheduleFreeSGD, {}, {"z": 2.0}),
    ],
)
def test_states_that_do_not_begin_at_zero(
    optimizer: type[fo.Optimizer], keywords: dict[str, Any], first: dict[str, float]
) -> None:
    state = optimizer(np.full(3, 2.0), **keywords).state
    assert {name: array.tolist() for name, array in state.items()} == {name: [x] * 3 for name, x in first.items()}


def test_grads_may_be_another_kind_of_sequence_or_order() -> None:
    w = [np.ones(2), np.ones(3)]
    fo.SGD(w, lr=1.0).step((np.ones(2), np.zeros(3)))
    assert w[0].tolist() == [0, 0] and w[1].tolist() == [1, 1, 1]
    named = {"a": np.ones(2), "b": np.ones(2)}
    fo.SGD(named, lr=1.0).step({"b": np.zeros(2), "a": np.ones(2)})
    assert named["a"].tolist() == [0, 0] and named["b"].tolist() == [1, 1]


def test_a_thousand_tensors_across_shares_of_threads(kind: Case) -> None:
    """Shares of work begin and end within tensors of many sizes, some of size zero."""
    rng = np.random.default_rng(0)
    params = [normal(int(n), int(n)) for n in rng.integers(0, 200, 1000)]
    alone = [w.copy() for w in params]
    assert sum(w.size for w in params) > fo._core.parallel_threshold
    grads = gradients(params, 1)
    kind.make(params, num_threads=3).step(grads)
    for w, wanted, g in zip(params, alone, grads, strict=True):
        kind.kernel(wanted, g, *kind.new_state(wanted), **kind.hyper_at(1))
        assert_same_bits(w, wanted)


# Learning rate


def test_lr_is_a_number_or_a_callable_and_can_be_set(kind: Case) -> None:
    seen = []

    def schedule(t: int) -> float:
        seen.append(t)
        return 0.5 / t

    w, g = normal(0, 5), normal(1, 5)
    wanted, state = w.copy(), kind.new_state(w)
    optimizer = kind.make(w, lr=0.25)
    rates = [0.25, 0.125, 0.5 / 3, 0.5 / 4, 0.0625]
    for t, rate in enumerate(rates, start=1):
        if t == 2:
            optimizer.lr = 0.125
        if t == 3:
            optimizer.lr = schedule
            assert optimizer.lr is schedule
        if t == 5:
            optimizer.lr = 0.0625
            assert optimizer.lr == 0.0625
        optimizer.step(g)
        kind.reference(wanted, g, *state, **kind.hyper_at(t, lr=rate))
        assert_same_bits(w, wanted, f"t={t}")
    assert set(seen) == {3, 4}


# Accumulation


def own_state(optimizer: fo.Optimizer) -> dict[str, list[bytes]]:
    """That of the rule."""
    return {name: bits(nest) for name, nest in optimizer.state.items() if name != "grad_sum"}


@pytest.mark.parametrize("accumulate", [2, 5])
def test_accumulation_changes_no_weight_until_the_last_call(kind: Case, accumulate: int) -> None:
    w = normal(0, 7)
    optimizer = kind.make(w, accumulate=accumulate)
    for call in range(3 * accumulate):
        before = w.tobytes(), own_state(optimizer)
        optimizer.step(normal(call, 7))
        t, summed = divmod(call + 1, accumulate)
        assert optimizer.t == t
        assert ((w.tobytes(), own_state(optimizer)) == before) == (summed > 0)


# Averages that are part of the rule


@pytest.mark.parametrize(
    ("ours", "name"), [(fo.ScheduleFreeSGD, "SGDScheduleFree"), (fo.ScheduleFreeAdamW, "AdamWScheduleFree")]
)
def test_averaged_weights_are_those_of_the_authors(ours: Any, name: str) -> None:
    torch, authors = package("torch"), package("schedulefree")
    start, grads = normal(0, 9, dtype=np.float64), [normal(t, 9, dtype=np.float64) for t in range(30)]
    theirs = torch.tensor(start, requires_grad=True)
    other = getattr(authors, name)([theirs], lr=0.03, warmup_steps=5)
    w = start.copy()
    optimizer = ours(w, lr=0.03, warmup_steps=5)
    other.train()
    for g in grads:
        theirs.grad = torch.tensor(g)
        other.step()
        optimizer.step(g)
    other.eval()
    before = w.copy()
    with optimizer.averaged():
        np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=1e-10)
        with pytest.raises(RuntimeError, match=r"inside `with opt\.averaged"):
            optimizer.step(grads[0])
    assert_same_bits(w, before)
    with pytest.raises(ZeroDivisionError), optimizer.averaged():
        raise ZeroDivisionError
    assert_same_bits(w, before)


@pytest.mark.parametrize(
    ("optimizer", "keywords", "name"),
    [(fo.ScheduleFreeSGD, {"momentum": 0.0}, "momentum"), (fo.ScheduleFreeAdamW, {"betas": (0.0, 0.9)}, "beta1")],
)
def test_weights_that_tell_nothing_of_their_average_are_refused(optimizer: Any, keywords: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be a number in \(0, 1\), got 0.0"):
        optimizer(normal(0, 3), **keywords)
    fine = optimizer(normal(0, 3))
    (key,) = keywords
    with pytest.raises(ValueError, match=rf"^{name} must be"):
        setattr(fine.groups[0], key, keywords[key])


# The moving window


def test_window_mean() -> None:
    """Also in the first steps, of the gradients there have been."""
    grads = np.random.default_rng(0).normal(size=(12, 3))
    w = np.zeros(3)
    optimizer = fo.WindowSGD(w, lr=1.0, window=5)
    for t in range(1, 13):
        before = w.copy()
        optimizer.step(grads[t - 1])
        np.testing.assert_allclose(before - w, grads[max(0, t - 5) : t].mean(axis=0), rtol=1e-12)


def test_window_does_not_drift() -> None:
    """A running sum, corrected by what enters and what leaves, would have lost all digits to the large gradients."""
    window, steps = 7, 100_000
    grads = normal(0, steps, 4) + 1
    grads[1000::1000] *= 1e6
    w = np.zeros(4, np.float32)
    optimizer = fo.WindowSGD(w, lr=0.0, window=window)
    for g in grads[:-1]:
        optimizer.step(g)
    optimizer.lr = 1.0
    optimizer.step(grads[-1])
    np.testing.assert_allclose(-w, grads[-window:].mean(axis=0, dtype=np.float64), rtol=1e-6)


def test_an_infinite_gradient_leaves_with_its_window() -> None:
    w = np.zeros(2, np.float32)
    optimizer = fo.WindowSGD(w, lr=1.0, window=3)
    for g in ([1, 1], [np.inf, 1], [1, 1], [1, 1]):
        optimizer.step(np.array(g, np.float32))
    assert w[0] == -np.inf
    w[:] = 0
    optimizer.step(np.ones(2, np.float32))
    assert w.tolist() == [-1, -1]


# Limits in which one optimizer is another, to the bit


@pytest.mark.parametrize(
    ("general", "special"),
    [
        (Case(fo.Momentum, {"beta": 0.0, "lr": 0.1}), Case(fo.SGD, {"lr": 0.1})),
        (Case(fo.WindowSGD, {"window": 1, "lr": 0.1}), Case(fo.SGD, {"lr": 0.1})),
        (Case(fo.AdamW, {"weight_decay": 0.0}), Case(fo.Adam)),
        (Case(fo.ASGD, {"lambd": 0.0, "lr": 0.1}), Case(fo.SGD, {"lr": 0.1})),
        (Case(fo.AdamW, {"amsgrad": True, "weight_decay": 0.0}), Case(fo.Adam, {"amsgrad": True})),
        (Case(fo.NAdam, {"decoupled_weight_decay": True}), Case(fo.NAdam)),
        (Case(fo.RAdam, {"decoupled_weight_decay": True}), Case(fo.RAdam)),
        (Case(fo.Adam, {"betas": (0.0, 0.9), "bias_correction": False}), Case(fo.RMSProp, {"beta": 0.9, "lr": 1e-3})),
    ],
    ids=lambda case: case.rule,
)
def test_limits(general: Case, special: Case, dtype: type) -> None:
    w = normal(0, 100, dtype=dtype)
    same = w.copy()
    a, b = general.make(w), special.make(same)
    for t in range(1, 20):
        g = normal(t, 100, dtype=dtype)
        a.step(g)
        b.step(g)
        assert_same_bits(w, same, f"t={t}")


# Saving and resuming


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("calls", [0, 1, 5, 6])
def test_a_resumed_run_has_the_same_bits(case: Case, accumulate: int, calls: int) -> None:
    params = nests(np.float32)["nested"]
    optimizer = case.make(params, accumulate=accumulate)
    for call in range(calls):
        optimizer.step(gradients(params, call))
    resumed = case.make(copy.deepcopy(params), accumulate=accumulate)
    resumed.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    for call in range(calls, calls + 7):
        for each in (optimizer, resumed):
            each.step(gradients(params, call))
        assert snapshot(resumed) == snapshot(optimizer), f"call {call}"


def test_hyper_parameters_are_resumed_too() -> None:
    optimizer = fo.Adam(np.ones(2), lr=0.5, betas=(0.5, 0.75), eps=0.25, eps_root=0.125)
    resumed = fo.Adam(np.ones(2))
    with pytest.warns(UserWarning, match="the saved hyper-parameters replace"):
        resumed.load_state_dict(optimizer.state_dict())
    assert resumed.lr == 0.5
    assert resumed.state_dict()["groups"] == optimizer.state_dict()["groups"]


def test_a_schedule_is_resumed_too() -> None:
    optimizer = fo.SGD(np.ones(2), lr=fo.schedules.exponential(1.0, 0.5))
    optimizer.step(np.ones(2))
    saved = optimizer.state_dict()
    assert saved["groups"][0]["lr"] == {"schedule": {"name": "exponential", "lr": 1.0, "gamma": 0.5}}
    w = np.zeros(2)
    resumed = fo.SGD(w, lr=fo.schedules.exponential(1.0, 0.5))
    resumed.load_state_dict(saved)
    resumed.step(np.ones(2))  # t = 2
    assert w.tolist() == [-0.5, -0.5]


def test_state_dict_is_a_copy(kind: Case) -> None:
    w = normal(0, 4)
    optimizer = kind.make(w, accumulate=2)
    for call in range(3):
        optimizer.step(normal(call, 4))
    saved = optimizer.state_dict()
    kept = copy.deepcopy(saved)
    optimizer.step(normal(9, 4))
    assert pickle.dumps(saved) == pickle.dumps(kept)
    optimizer.load_state_dict(saved)
    optimizer.step(normal(9, 4))
    assert pickle.dumps(saved) == pickle.dumps(kept), "loading must copy as well"


# The program around it


def test_params_are_kept_alive() -> None:
    optimizer = fo.SGD({"w": np.zeros(1000)}, lr=1.0)
    optimizer.params["w"], w = None, optimizer.params["w"]
    address = w.__array_interface__["data"]
    del w
    others = [np.zeros(1000) for _ in range(100)]
    assert address not in [other.__array_interface__["data"] for other in others]
    with pytest.raises(ValueError, match=r'^params\["w"\] is another object .* or call rebind'):
        optimizer.step({"w": np.ones(1000)})
    assert not any(other.any() for other in others)


def test_a_long_run_of_zero_gradients(kind: Case, dtype: type) -> None:
    """Averages decay below the smallest normal number, and then to zero; not into noise, and not into NaN."""
    w = normal(0, 50, dtype=dtype)
    zero = np.zeros_like(w)
    optimizer = kind.make(w)
    optimizer.step(normal(1, 50, dtype=dtype))
    for _ in range(3000):
        optimizer.step(zero)
    assert optimizer.t == 3001
    assert np.isfinite(w).all()
    tiny = np.finfo(dtype).tiny
    for nest in optimizer.state.values():
        assert ((nest == 0) | (np.abs(nest) >= tiny)).all()


def test_read_only_gradients(kind: Case) -> None:
    plain, optimizer, g = kind.make(normal(0, 5)), kind.make(normal(0, 5)), normal(1, 5)
    plain.step(g)
    g.flags.writeable = False
    optimizer.step(g)
    assert snapshot(optimizer) == snapshot(plain)


def test_memory_maps(kind: Case, tmp_path: Path) -> None:
    start, g = normal(0, 100), normal(1, 100)
    start.tofile(tmp_path / "w")
    g.tofile(tmp_path / "g")
    w = np.memmap(tmp_path / "w", np.float32, "r+")
    kind.make(w).step(np.memmap(tmp_path / "g", np.float32, "r"))
    w.flush()
    kind.make(start).step(g)
    assert_same_bits(np.fromfile(tmp_path / "w", np.float32), start)


def test_fresh_gradient_arrays_at_each_step(kind: Case) -> None:
    """An address may come again with other contents, and an array may go away after the step."""
    w = normal(0, 300)
    wanted, state = w.copy(), kind.new_state(w)
    optimizer = kind.make(w)
    for t in range(1, 50):
        optimizer.step(normal(t, 300))
        kind.reference(wanted, normal(t, 300), *state, **kind.hyper_at(t))
        assert_same_bits(w, wanted, f"t={t}")


def test_optimizers_in_several_threads(kind: Case) -> None:
    n = fo._core.parallel_threshold + 1
    weights = [normal(k, n) for k in range(4)]
    wanted = [w.copy() for w in weights]

    def train(w: np.ndarray) -> None:
        optimizer = kind.make(w)
        for t in range(10):
            optimizer.step(normal(t, n))

    with ThreadPoolExecutor(len(weights)) as pool:
        list(pool.map(train, weights))
    for got, want in zip(weights, wanted, strict=True):
        train(want)
        assert_same_bits(got, want)


@pytest.mark.parametrize("through", ["kernel", "step", "accumulate"])
def test_the_interpreter_is_free_during_a_step(through: str) -> None:
    """With a switch interval of days, another thread runs only if the step lets it."""
    w, g = np.zeros(1 << 21, np.float32), np.zeros(1 << 21, np.float32)
    optimizer = fo.SGD(w, num_threads=1, accumulate=1 << 30 if through == "accumulate" else 1)
    gate, ran = threading.Lock(), []

    def other() -> None:
        with gate:
            ran.append(True)

    gate.acquire()
    thread = threading.Thread(target=other)
    interval = sys.getswitchinterval()
    thread.start()
    try:
        sys.setswitchinterval(1e5)
        gate.release()
        for _ in range(1000):
            if through == "kernel":
                fo.kernels.sgd(w, g)
            else:
                optimizer.step(g)
            if ran:
                break
    finally:
        sys.setswitchinterval(interval)
    assert ran
    thread.join()


def test_what_is_left_out_of_the_registry_is_no_rule() -> None:
    """A class derived from an optimizer for other defaults does not take its place."""

    class Slow(fo.SGD):
        def __init__(self, params: Any) -> None:
            super().__init__(params, lr=1e-9)

    assert fo.Optimizer.registry["sgd"] is fo.SGD
    w = np.ones(1)
    Slow(w).step(np.ones(1))
    assert w[0] == 1 - 1e-9


def test_empty_tensors_between_others(each: Case) -> None:
    """With rows and without, with columns and without."""
    shapes = [(2, 2), (3, 0), (0, 3), (2, 2)]
    optimizer, alone = (each.make([normal(k, *shape) for k, shape in enumerate(these)]) for these in (shapes, shapes))
    optimizer.step(gradients(optimizer.params, 1))
    grads = gradients(alone.params, 1)
    few = each.make([alone.params[0], alone.params[3]])
    few.step([grads[0], grads[3]])
    assert_same_bits(optimizer.params[0], few.params[0])
    assert_same_bits(optimizer.params[3], few.params[1])


@pytest.mark.parametrize("make", [fo.NAdam, fo.ScheduleFreeSGD, fo.ASGD, fo.AdaBound])
def test_t_can_be_set(make: type[fo.Optimizer]) -> None:
    """Backwards and forwards; what is carried from step to step stays what it is."""
    optimizer = make(np.ones(1), nonfinite="skip")
    for g in (1.0, 1.0, math.nan):
        optimizer.step(np.array([g]))
    (carried,) = optimizer.state_dict()["cohorts"]
    for t in (1, 0, 100):
        optimizer.t = t
        assert optimizer.state_dict()["cohorts"] == [carried | {"steps": t, "averages": t}]
        assert optimizer.t == t
    optimizer.step(np.ones(1))
    assert optimizer.t == 101


def test_an_optimizer_says_what_it_is() -> None:
    params = {"w": np.zeros((1000, 3), np.float32), "b": np.zeros(())}
    optimizer = fo.Momentum(params, lr=0.5)
    words = (
        "Momentum, t=0: 3,001 parameters in 2 tensors, 12,008 bytes of state\n    lr=0.5, beta=0.9, weight_decay=0.0"
    )
    assert repr(optimizer) == str(optimizer) == words
    optimizer.step(gradients(params, 0))
    optimizer.freeze("b")
    assert repr(optimizer).startswith(
        "Momentum, t=1: 3,001 parameters in 2 tensors (1 frozen), 12,008 bytes of state\n"
    )
    assert repr(fo.Adam(np.zeros(1), amsgrad=True)).startswith(
        "Adam (adam_amsgrad), t=0: 1 parameter in 1 tensor, 24 bytes"
    )
    assert repr(fo.SGD({})).startswith("SGD, t=0: 0 parameters in 0 tensors, 0 bytes of state\n")
    assert repr(fo.PolyakSGD(np.zeros(1))).startswith("PolyakSGD, t=0: 1 parameter")


def test_groups_are_said_too() -> None:
    groups = [{"params": np.zeros(2), "lr": fo.schedules.linear(k, n=2)} for k in range(1, 11)]
    optimizer = fo.SGD(groups)
    optimizer.step([np.zeros(2)] * 10)
    lines = repr(optimizer).split("\n")
    assert len(lines) == 1 + 8 + 1
    assert re.fullmatch(r"    group 1: lr=.*, weight_decay=0\.0; lr now 1\.0", lines[2])
    assert lines[-1] == "    … 2 more groups"
