"""Groups: hyper-parameters of their own, added later, frozen and thawed, saved and loaded."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import Case, outside
from ..nests import arrays, bits, copied, gradients, normal, snapshot, unchanged


def two_groups(case: Case, **keywords: Any) -> fo.Optimizer:
    """A dict of two weights, and a list of one that has a learning rate of its own."""
    first = {"params": {"w": normal(0, 3, 4), "b": normal(1, 5)}}
    return case.make([first, {"params": [normal(2, 6, dtype=np.float64)], "lr": 0.004}], **keywords)


def hypers(case: Case) -> list[str]:
    """The keywords of a group."""
    return list(case.make(np.zeros(1)).groups[0]._numbers())


# Hyper-parameters of each group


def test_a_group_is_stepped_as_an_optimizer_of_its_own(kind: Case) -> None:
    nests = [{"w": normal(0, 300), "b": normal(1, 5, dtype=np.float64)}, normal(2, 2, 3), [normal(3, 7)]]
    own: list[dict[str, Any]] = [{}, {"lr": 0.5}, {"lr": fo.schedules.exponential(0.1, 0.5)}]
    alone = [kind.make(copied(nest), **keywords) for nest, keywords in zip(nests, own, strict=True)]
    optimizer = kind.make([{"params": nest} | keywords for nest, keywords in zip(nests, own, strict=True)])
    assert optimizer.params == nests
    for t in (1, 2, 3):
        grads = [gradients(nest, t) for nest in nests]
        optimizer.step(grads)
        for single, g in zip(alone, grads, strict=True):
            single.step(g)
        for k, single in enumerate(alone):
            assert bits(optimizer.params[k]) == bits(single.params), f"group {k} at t={t}"
            assert all(bits(nest[k]) == bits(single.state[name]) for name, nest in optimizer.state.items())


def test_every_hyper_parameter_can_be_of_a_group(case: Case) -> None:
    """Given in the group, or to the optimizer, or set later: the same bits."""
    for name, value in case.keywords.items():
        if name not in hypers(case):
            continue
        rest = {key: other for key, other in case.keywords.items() if key != name}
        if name == "momentum":  # zero in the call would choose another rule
            rest[name] = 0.5
        w = [normal(0, 9) for _ in range(3)]
        given, in_group, later = (
            case.optimizer(w[0], **case.keywords),
            case.optimizer([{"params": w[1], name: value}], **rest),
            case.optimizer([{"params": w[2]}], **rest),
        )
        setattr(later.groups[0], name, value)
        begun_alike = bits(*later.state.values()) == bits(*given.state.values())
        for t in (1, 2):
            given.step(normal(t, 9))
            in_group.step([normal(t, 9)])
            later.step([normal(t, 9)])
        assert_same_bits(w[1], w[0], name)
        if begun_alike:  # a first value that is set later comes too late
            assert_same_bits(w[2], w[0], name)


def test_one_group_is_the_nest_alone(kind: Case) -> None:
    nest = {"w": normal(0, 3, 4), "deep": [normal(1, 5)]}
    same = copied(nest)
    grouped, plain = kind.make([{"params": nest}]), kind.make(same)
    for t in (1, 2):
        grads = gradients(nest, t)
        grouped.step([grads])
        plain.step(grads)
    assert bits(nest) == bits(same)
    assert grouped.params == [nest] and plain.params is same
    assert all(isinstance(state, list) and len(state) == 1 for state in grouped.state.values())


def test_attributes_of_a_group(kind: Case) -> None:
    optimizer = two_groups(kind)
    assert [group.lr for group in optimizer.groups] == [kind.make(np.zeros(1)).lr, 0.004]
    assert optimizer.groups[0].params is optimizer.params[0]
    optimizer.groups[1].lr = 0.25
    assert [group.lr for group in optimizer.groups] == [optimizer.lr, 0.25]
    assert "lr=0.25" in repr(optimizer.groups[1])
    optimizer.lr = 0.125
    assert [group.lr for group in optimizer.groups] == [0.125, 0.125]


def test_a_rate_that_is_set_is_one_that_was_given(case: Case) -> None:
    """Numbers and schedules, one after the other, by the group or by the optimizer: nothing of the one before stays."""
    later = [case.make([{"params": np.ones((2, 2))}]) for _ in range(2)]
    for lr in (0.25, fo.schedules.exponential(0.5, 0.5), np.float32(0.125), 1, schedule := fo.schedules.Plateau(0.5)):
        later[0].lr = later[1].groups[0].lr = lr
        (given,) = case.make([{"params": np.ones((2, 2))}], lr=lr).groups
        for (group,) in (each.groups for each in later):
            assert group.at(1) == given.at(1) and group._numbers() == given._numbers()
            assert (group.lr, group._moves, group._hyper) == (given.lr, given._moves, given._hyper)
    assert later[0].lr is schedule


def test_a_bad_rate_is_refused_for_all_groups(kind: Case) -> None:
    optimizer = two_groups(kind)
    before = [dict(vars(group)) | {"_values": list(group._values)} for group in optimizer.groups]
    for value in (-1, math.nan, math.inf, None, "1", 1j, [0.1], lambda t: -1):
        with pytest.raises((TypeError, ValueError), match=r"^lr must be a finite number >= 0, got"):
            optimizer.lr = value
        assert [vars(group) for group in optimizer.groups] == before


@pytest.mark.parametrize("name", ["learning_rate", "params", "numbers", "_rule", "_arguments", "momentun"])
def test_what_is_no_hyper_parameter_cannot_be_set(kind: Case, name: str) -> None:
    optimizer = two_groups(kind)
    group = optimizer.groups[1]
    before = dict(vars(group))
    with unchanged(optimizer), pytest.raises(AttributeError, match=f"^a group has no '{name}'; it has lr"):
        setattr(group, name, 1)
    assert vars(group) == before


def test_what_is_no_hyper_parameter_cannot_be_read(kind: Case) -> None:
    with pytest.raises(AttributeError, match=r"^a group has no 'momentun'; it has lr"):
        two_groups(kind).groups[0].momentun  # noqa: B018
    assert copy.copy(two_groups(kind).groups[1]).lr == 0.004


def test_bad_values_are_refused_when_they_are_set(kind: Case) -> None:
    optimizer = two_groups(kind)
    with unchanged(optimizer):
        for name, value in outside(hypers(kind)):
            said = r"^beta(s|\d) must" if name == "betas" else f"^{name} must"
            with pytest.raises((TypeError, ValueError), match=said):
                setattr(optimizer.groups[1], name, value)
            with pytest.raises((TypeError, ValueError), match="must be"):
                kind.make([{"params": normal(0, 3)}, {"params": normal(1, 3), name: value}])
            with pytest.raises((TypeError, ValueError), match="must be"):
                optimizer.add_group({"params": normal(0, 3), name: value})
    optimizer.step(gradients(optimizer.params, 1))


@pytest.mark.parametrize("keyword", ["learning_rate", "accumulate", "clip_norm", "ema", "params2"])
def test_an_unknown_keyword_in_a_group(kind: Case, keyword: str) -> None:
    with pytest.raises(TypeError, match=f"^unknown keyword '{keyword}' in group 1.*\nit takes lr"):
        kind.make([{"params": normal(0, 3)}, {"params": normal(1, 3), keyword: 1}])
    optimizer = kind.make(normal(0, 3))
    with pytest.raises(TypeError, match=f"^unknown keyword '{keyword}' in group 1"):
        optimizer.add_group({"params": normal(1, 3), keyword: 1})
    optimizer.step(normal(1, 3))


def test_a_schedule_that_cannot_begin_is_refused(kind: Case) -> None:
    with pytest.raises(ValueError, match=r"^lr must be .* got -1"):
        kind.make([{"params": normal(0, 3)}, {"params": normal(1, 3), "lr": lambda t: -1}])


def test_weights_shared_by_groups(kind: Case) -> None:
    w = normal(0, 4)
    with pytest.raises(ValueError, match=r"params\[\d\].* and params\[\d\].* share memory"):
        kind.make([{"params": {"a": w}}, {"params": w[2:]}])


# Groups added later


@pytest.mark.parametrize("options", [{}, {"accumulate": 2, "ema": 0.5}], ids=["plain", "accumulate, ema"])
def test_a_group_added_later(kind: Case, options: dict[str, Any]) -> None:
    """The old one goes on as if alone; the new one begins with the first state, and counts its own steps."""
    nest, late = {"w": normal(0, 3, 4), "b": normal(1, 5)}, [normal(2, 6)]
    alone = kind.make(copied(nest), **options)
    optimizer = kind.make(nest, **options)
    for call in range(4):
        optimizer.step(gradients(nest, call))
        alone.step(gradients(nest, call))
    old = [bits(state) for state in optimizer.state.values()]
    t, before = optimizer.t, bits(nest)
    optimizer.add_group({"params": late, "lr": 0.25})
    assert optimizer.params == [nest, late] and optimizer.params[0] is nest
    assert optimizer.t == t and bits(nest) == before
    assert [bits(state[0]) for state in optimizer.state.values()] == old
    wanted = late[0].copy()
    fresh = kind.make(copied(late), **options)
    assert [bits(state[1]) for state in optimizer.state.values()] == [bits(state) for state in fresh.state.values()]
    state = kind.new_state(wanted)
    for call in range(4, 8):
        optimizer.step([gradients(nest, call), [normal(call, 6)]])
        alone.step(gradients(nest, call))
        if not options:
            kind.reference(wanted, normal(call, 6), *state, **kind.hyper_at(optimizer.t - t, lr=0.25))
            assert_same_bits(late[0], wanted, f"t={optimizer.t}")
    assert bits(nest) == bits(alone.params)
    assert [bits(state[0]) for state in optimizer.state.values()] == [bits(state) for state in alone.state.values()]
    if "ema" in optimizer.state:
        assert bits(optimizer.ema_params[1]) != bits(late)


def test_names_in_errors_after_a_group_was_added(kind: Case) -> None:
    optimizer = kind.make({"w": normal(0, 3)})
    optimizer.add_group({"params": {"deep": [normal(1, 4)]}})
    good = [{"w": normal(0, 3)}, {"deep": [normal(0, 4)]}]
    for path, bad in {
        r'grads\[0\]\["w"\] must have the shape': [{"w": normal(0, 4)}, good[1]],
        r'grads\[1\]\["deep"\]\[0\] must be float32': [good[0], {"deep": [normal(0, 4, dtype=np.float64)]}],
        r"grads must be a list or tuple of 2, got dict": good[0],
        r"grads must have 2 elements": good[:1],
        r'grads\[0\]\["w"\] and params\[0\]\["w"\] share memory': [optimizer.params[0], good[1]],
    }.items():
        with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=f"^{path}"):
            optimizer.step(bad)
    with unchanged(optimizer), pytest.raises(TypeError, match=r'^params\[2\]\["z"\] must be float32'):
        optimizer.add_group({"params": {"z": np.ones(3, int)}})
    optimizer.step(good)


@pytest.mark.parametrize("group", [None, normal(0, 3), {"w": normal(0, 3)}, [{"params": normal(0, 3)}]], ids=type)
def test_what_is_no_group(kind: Case, group: Any) -> None:
    with pytest.raises(TypeError, match=r'^a group must be a dict with the key "params"'):
        kind.make(normal(1, 3)).add_group(group)


# Frozen parameters


@pytest.mark.parametrize("key", ["w", ("w",), ("layer", 0)], ids=str)
def test_frozen_parameters_are_left_alone(kind: Case, key: Any) -> None:
    """Their gradients are not looked at; the others go on as ever; a thawed one goes on from its old state."""
    params = {"a": normal(0, 5), "w": normal(1, 6), "layer": [normal(2, 7, dtype=np.float64)]}
    twin = copied(params)
    optimizer, whole = kind.make(params), kind.make(twin)
    optimizer.step(gradients(params, 1))
    whole.step(gradients(params, 1))
    optimizer.freeze(key)
    (name, *_) = key if isinstance(key, tuple) else (key,)
    frozen = bits(params[name]), [bits(state[name]) for state in optimizer.state.values()]
    for t, anything in enumerate([None, "no array", normal(0, 99), params["a"]], start=2):
        grads = gradients(params, t)
        whole.step(grads)
        grads[name] = [anything] if name == "layer" else anything
        optimizer.step(grads)
        assert optimizer.t == t
    assert frozen == (bits(params[name]), [bits(state[name]) for state in optimizer.state.values()])
    assert all(bits(params[other]) == bits(twin[other]) for other in params if other != name)
    optimizer.thaw(key)
    wanted = [np.copy(array) for array in arrays(params[name])]
    states = [[np.copy(arrays(state[name])[0]) for state in optimizer.state.values()]]
    grads = gradients(params, 9)
    optimizer.step(grads)
    for w, state, g in zip(wanted, states, arrays(grads[name]), strict=True):
        kind.reference(w, g, *state, **kind.hyper_at(2))  # of its own steps
        assert_same_bits(arrays(params[name])[0], w)


def test_freezing_in_groups(kind: Case) -> None:
    optimizer = two_groups(kind, ema=0.5, clip_norm=1.0, nonfinite="raise")
    optimizer.freeze((0, "w"), (1, 0))
    before = bits(optimizer.params[0]["w"], optimizer.params[1], optimizer.ema_params[1])
    nan = np.full((3, 4), np.nan, np.float32)
    optimizer.step([{"w": nan, "b": np.full(5, 2, np.float32)}, [None]])
    assert bits(optimizer.params[0]["w"], optimizer.params[1], optimizer.ema_params[1]) == before
    assert optimizer.last_grad_norm == fo.reference.norm([np.full(5, 2, np.float32)])
    optimizer.freeze((0, "b"))
    optimizer.step([{"w": None, "b": None}, [None]])
    assert optimizer.t == 2
    optimizer.thaw((0, "w"), (0, "b"), (1, 0))
    with pytest.raises(FloatingPointError, match=r'^grads\[0\]\["w"\] is not finite'):
        optimizer.step([{"w": nan, "b": normal(0, 5)}, [normal(0, 6, dtype=np.float64)]])


def test_a_single_array_is_frozen_by_the_empty_key(kind: Case) -> None:
    w = normal(0, 3)
    optimizer = kind.make(w)
    optimizer.freeze(())
    before = w.tobytes()
    optimizer.step(None if optimizer.t else [])
    assert w.tobytes() == before


def test_frozen_stays_frozen_when_a_group_is_added(kind: Case) -> None:
    optimizer = kind.make({"a": normal(0, 3), "b": normal(1, 4)})
    optimizer.freeze("a")
    optimizer.add_group({"params": normal(2, 5)})
    before = bits(optimizer.params[0]["a"])
    optimizer.step([{"a": None, "b": normal(3, 4)}, normal(4, 5)])
    assert bits(optimizer.params[0]["a"]) == before
    optimizer.thaw((0, "a"))
    optimizer.step([{"a": normal(5, 3), "b": normal(3, 4)}, normal(4, 5)])
    assert bits(optimizer.params[0]["a"]) != before


@pytest.mark.parametrize("key", ["z", ("a", 0), ("layer", 0, 0), ("layer", 1), 0, None, (0, "a")], ids=str)
def test_an_unknown_key(kind: Case, key: Any) -> None:
    """Then none of the keys is frozen."""
    optimizer = kind.make({"a": normal(0, 3), "layer": [normal(1, 4)]})
    for change in (optimizer.freeze, optimizer.thaw):
        with pytest.raises(KeyError, match="no parameter has the key"):
            change("a", key)
    before = bits(optimizer.params["a"])
    for _ in range(2):  # the first step may move no weight
        optimizer.step(gradients(optimizer.params, 1))
    assert bits(optimizer.params["a"]) != before


def test_thawing_what_cannot_be_stepped_changes_nothing(kind: Case) -> None:
    optimizer = kind.make({"a": normal(0, 3), "b": normal(1, 4)})
    optimizer.freeze("a")
    optimizer.params["a"].flags.writeable = False
    with pytest.raises(ValueError, match=r'^params\["a"\] is read-only'):
        optimizer.thaw("a")
    optimizer.step({"a": None, "b": normal(2, 4)})
    assert optimizer.t == 1


def test_a_frozen_parameter_may_be_read_only(kind: Case) -> None:
    """Also where its optimizer gets other parameters or states."""
    optimizer = kind.make({"a": normal(0, 3), "b": normal(1, 4)})
    optimizer.freeze("a")
    optimizer.params["a"].flags.writeable = False
    optimizer.accumulate = 2
    optimizer.accumulate = 1
    optimizer.add_group({"params": normal(2, 5)})
    optimizer.step([{"a": None, "b": normal(3, 4)}, normal(4, 5)])
    assert optimizer.steps == [{"a": 0, "b": 1}, 1]


def test_a_parameter_thawed_within_an_accumulation_has_no_old_gradients(kind: Case) -> None:
    params = {"a": normal(0, 3), "b": normal(1, 4)}
    optimizer = kind.make(params, accumulate=2, maximize=False)
    optimizer.step(gradients(params, 1))
    optimizer.freeze("a")
    optimizer.step(gradients(params, 2))
    optimizer.thaw("a")
    assert not optimizer.state["grad_sum"]["a"].any()
    wanted, state = params["a"].copy(), kind.new_state(params["a"])
    for call in (3, 4):
        optimizer.step(gradients(params, call))
    mean = fo.reference.gradient([gradients(params, call)["a"] for call in (3, 4)], wanted)
    kind.reference(wanted, mean, *state, **kind.hyper_at(1))
    assert_same_bits(params["a"], wanted)


@pytest.mark.parametrize("amid", [False, True])
def test_what_was_accumulated_of_a_frozen_parameter_is_not_saved(kind: Case, amid: bool) -> None:
    """Nor taken over where it is frozen: the next mean has gradients since then alone, whoever goes on."""
    optimizer, again = (kind.make({"a": normal(0, 3), "b": normal(1, 4)}, accumulate=3) for _ in range(2))
    optimizer.step(gradients(optimizer.params, 1))
    if amid:
        again.freeze("a")
    else:
        optimizer.freeze("a")
    again.load_state_dict(optimizer.state_dict())
    assert not again.state["grad_sum"]["a"].any()
    assert again.state["grad_sum"]["b"].any()


# State dicts


@pytest.mark.parametrize("calls", [0, 3, 4])
def test_a_resumed_run_of_groups_has_the_same_bits(kind: Case, calls: int) -> None:
    """Also in the middle of an accumulation, with an average of the weights and a scaled loss."""
    options: dict[str, Any] = {"accumulate": 3, "ema": 0.75, "clip_norm": 0.5, "nonfinite": "skip"}
    optimizer = two_groups(kind, **options)
    optimizer.groups[0].lr = 0.125
    for call in range(calls):
        optimizer.step(gradients(optimizer.params, call), grad_scale=4.0)
    resumed = two_groups(kind, **options)
    for w, now in zip(arrays(resumed.params), arrays(optimizer.params), strict=True):
        w[...] = now
    with pytest.warns(UserWarning, match=r"groups\[0\]\.lr is 0\.125 in the saved"):
        resumed.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    assert snapshot(resumed) == snapshot(optimizer)
    assert [group.lr for group in resumed.groups] == [0.125, 0.004]
    for call in range(calls, calls + 7):
        for each in (optimizer, resumed):
            each.step(gradients(optimizer.params, call), grad_scale=4.0)
        assert snapshot(resumed) == snapshot(optimizer), f"call {call}"


def test_a_state_dict_of_another_number_of_groups(kind: Case) -> None:
    optimizer = two_groups(kind)
    one = kind.make([{"params": optimizer.params[0]}])
    with unchanged(optimizer), pytest.raises(ValueError, match='"groups" must be a list of 2'):
        optimizer.load_state_dict(one.state_dict())
