"""Each parameter counts its own steps: one that comes late, or was left out, moves as one that begins."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import CASES, Case
from ..elsewhere import package
from ..nests import arrays, bits, copied, gradients, normal, snapshot, unchanged

BEFORE, LR = 5, 0.03  # steps of the early one alone, and the rate, for schedules are asked about the optimizer's t


def gradient(t: int, w: np.ndarray) -> np.ndarray:
    return normal(100 * t + w.size, *w.shape, dtype=w.dtype)


def added(case: Case, early: np.ndarray, late: np.ndarray) -> fo.Optimizer:
    optimizer = case.make([{"params": early}], lr=LR)
    for t in range(BEFORE):
        optimizer.step([gradient(t, early)])
    optimizer.add_group({"params": late})
    return optimizer


def thawed(case: Case, early: np.ndarray, late: np.ndarray) -> fo.Optimizer:
    optimizer = case.make([{"params": early}, {"params": late}], lr=LR)
    optimizer.freeze(1)
    for t in range(BEFORE):
        optimizer.step([gradient(t, early), None])
    optimizer.thaw(1)
    return optimizer


def left_out(case: Case, early: np.ndarray, late: np.ndarray) -> fo.Optimizer:
    optimizer = case.make([{"params": early}, {"params": late}], lr=LR)
    for t in range(BEFORE):
        with optimizer.stepping():
            optimizer.update(0, gradient(t, early))
    return optimizer


@pytest.mark.parametrize("come_late", [added, thawed, left_out])
def test_a_late_parameter_moves_as_an_early_one(case: Case, come_late: Callable[..., fo.Optimizer]) -> None:
    early, late = normal(0, 4, 3), normal(1, 3, 2, dtype=np.float64)
    alone = [case.make(w.copy(), lr=LR) for w in (early, late)]
    optimizer = come_late(case, early, late)
    for t in range(BEFORE):
        alone[0].step(gradient(t, early))
    for t in range(BEFORE, BEFORE + 4):
        optimizer.step([gradient(t, w) for w in (early, late)])
        for own in alone:
            own.step(gradient(t, own.params))
        assert optimizer.steps == [t + 1, t + 1 - BEFORE]
        for k, own in enumerate(alone):
            assert_same_bits(optimizer.params[k], own.params, f"{k} at t={t}")
            for name, state in own.state.items():
                assert_same_bits(optimizer.state[name][k], state, f"{name} of {k} at t={t}")
    assert optimizer.t == BEFORE + 4


def test_steps_are_a_nest_as_params(kind: Case) -> None:
    params = {"w": normal(0, 3), "layers": [normal(1, 2), (normal(2, 0), normal(3))]}
    optimizer = kind.make(params)
    optimizer.freeze(("layers", 1))
    optimizer.step(gradients(params, 1))
    with optimizer.stepping():
        optimizer.update("w", normal(9, 3))
    assert optimizer.steps == {"w": 2, "layers": [1, (0, 0)]}
    assert optimizer.t == 2


def test_rows_of_a_table_have_one_count() -> None:
    """As in torch's SparseAdam: the table has stepped, whichever rows a gradient was of."""
    table = np.zeros((4, 2))
    optimizer = fo.SparseAdam({"table": table, "other": np.zeros((2, 2))})
    optimizer.freeze("other")
    for row in (0, 3):
        optimizer.step({"table": fo.RowGrad(np.array([row]), np.ones((1, 2))), "other": None})
    assert optimizer.steps == {"table": 2, "other": 0}


def test_as_torch_counts() -> None:
    """A parameter without a gradient takes no step there."""
    torch = package("torch")
    for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax"):
        weights = [normal(0, 5, dtype=np.float64), normal(1, 6, dtype=np.float64)]
        params = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
        ours, theirs = getattr(fo, name)(weights, lr=0.1), getattr(torch.optim, name)(params, lr=0.1)
        if name == "AdamW":
            for own in theirs.param_groups:
                own["weight_decay"] = ours.groups[0].weight_decay
        for t, which in enumerate(([0], [0], [0, 1], [1], [0, 1]), start=1):
            with ours.stepping():
                for k in which:
                    ours.update(k, normal(t, *weights[k].shape, dtype=np.float64))
            for k, param in enumerate(params):
                param.grad = torch.tensor(normal(t, *weights[k].shape, dtype=np.float64)) if k in which else None
            theirs.step()
        assert ours.steps == [4, 3]
        for w, param in zip(weights, params, strict=True):
            np.testing.assert_allclose(
                w, param.detach().numpy(), rtol=1e-6, err_msg=name
            )  # torch's mu_product is float32


# Saved and set

UNLIKE = [
    row for row in CASES if row.optimizer in (fo.Adam, fo.NAdam, fo.ASGD, fo.ScheduleFreeAdamW) if not row.keywords
]


def begun(row: Case, params: dict[str, np.ndarray]) -> fo.Optimizer:
    """Of three counts, one of them of a frozen parameter."""
    optimizer = row.make(params, lr=LR)
    optimizer.freeze("frozen")
    for t in range(3):
        with optimizer.stepping():
            optimizer.update("a", gradient(t, params["a"]))
    optimizer.step(gradients(params, 9))
    return optimizer


def three() -> dict[str, np.ndarray]:
    return {"a": normal(0, 4), "frozen": normal(1, 3), "late": normal(2, 5, dtype=np.float64)}


COUNTED = {"a": 4, "frozen": 0, "late": 1}


def through_json(optimizer: fo.Optimizer, again: fo.Optimizer, path: Path) -> fo.Optimizer:
    saved = optimizer.state_dict()
    numbers = {name: value for name, value in saved.items() if name != "state"}
    again.load_state_dict(json.loads(json.dumps(numbers)) | {"state": saved["state"]})
    return again


def through_a_file(optimizer: fo.Optimizer, again: fo.Optimizer, path: Path) -> fo.Optimizer:
    optimizer.save(path / "run.safetensors")
    again.load(path / "run.safetensors")
    return again


WAYS: dict[str, Callable[[fo.Optimizer, fo.Optimizer, Path], fo.Optimizer]] = {
    "state dict": through_json,
    "file": through_a_file,
    "pickle": lambda optimizer, again, path: pickle.loads(pickle.dumps(optimizer)),
    "copy": lambda optimizer, again, path: copy.deepcopy(optimizer),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("order", [1, -1], ids=["same order", "other order"])
@pytest.mark.parametrize("row", UNLIKE, ids=str)
def test_counts_go_with_what_is_saved(row: Case, way: str, order: int, tmp_path: Path) -> None:
    """By the places of the parameters, in whatever order a program has them."""
    optimizer = begun(row, three())
    again = row.make(dict(list(copied(optimizer.params).items())[::order]), lr=LR)
    again.freeze("frozen")
    again = WAYS[way](optimizer, again, tmp_path)
    for each in (optimizer, again):
        assert each.steps == COUNTED
        each.thaw("frozen")
        for t in range(2):
            each.step(gradients(three(), 20 + t))
        assert each.steps == {name: n + 2 for name, n in COUNTED.items()}
    for name in COUNTED:
        assert bits(again.params[name]) == bits(optimizer.params[name])
        assert all(bits(again.state[kept][name]) == bits(state[name]) for kept, state in optimizer.state.items())


@pytest.mark.parametrize("row", [row for row in UNLIKE if row.optimizer is not fo.ScheduleFreeAdamW], ids=str)
def test_they_go_through_torch(row: Case) -> None:
    package("torch")
    optimizer = begun(row, three())
    again = row.make(copied(optimizer.params), lr=LR)
    again.freeze("frozen")
    again.from_torch_state_dict(optimizer.to_torch_state_dict())
    assert again.steps == COUNTED and again.t == 4
    for each in (optimizer, again):
        each.step(gradients(three(), 20))
    for name, w in optimizer.params.items():
        np.testing.assert_allclose(again.params[name], w, rtol=1e-6)  # torch's mu_product is float32


@pytest.mark.parametrize("row", UNLIKE, ids=str)
def test_a_dict_of_before_has_one_count(row: Case) -> None:
    """What a group carried was its own then."""
    optimizer = row.make(three(), lr=LR)
    for t in range(3):
        optimizer.step(gradients(three(), t))
    saved = optimizer.state_dict()
    (cohort,) = saved.pop("cohorts")
    del saved["members"]
    saved["groups"][0] |= {name: cohort[name] for name in optimizer.carried or {}}
    again = row.make(copied(optimizer.params), lr=LR)
    again.load_state_dict(saved)
    assert again.steps == dict.fromkeys(COUNTED, 3)
    for each in (optimizer, again):
        each.step(gradients(three(), 20))
    assert snapshot(again) == snapshot(optimizer)


def test_setting_t_moves_all_counts_but_none_below_zero(kind: Case) -> None:
    optimizer = begun(kind, three())
    optimizer.t = 6
    assert optimizer.steps == {"a": 6, "frozen": 2, "late": 3}
    optimizer.t = 3
    assert optimizer.steps == {"a": 3, "frozen": 0, "late": 0}
    optimizer.step(gradients(three(), 7))
    assert optimizer.steps == {"a": 4, "frozen": 0, "late": 1} and optimizer.t == 4


def test_at_zero_what_is_made_of_the_weights_begins_anew() -> None:
    optimizer = fo.ScheduleFreeSGD(normal(0, 9), lr=0.5, ema=0.9, ema_bias_correction=False)
    for t in range(3):
        optimizer.step(normal(t, 9))
    optimizer.t = 0
    w, g = optimizer.params.copy(), normal(3, 9)
    assert bits(optimizer.ema_params) == bits(w)
    optimizer.step(g)
    np.testing.assert_allclose(optimizer.state["z"], w - 0.5 * g, rtol=1e-6)


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no list": (lambda saved: {"cohorts": {}}, '"cohorts" must be a list'),
    "no dict": (lambda saved: {"cohorts": [1]}, '"cohorts" must be a dict'),
    "no dict of members": (lambda saved: {"members": [0, 0, 0]}, '"members" must be a dict'),
    "a name is missing": (lambda saved: {"cohorts": [{"group": 0, "steps": 1}]}, '"cohorts" must have the keys'),
    "a member is missing": (lambda saved: {"members": {'["a"]': 0}}, '"members" must have the keys'),
    "none of them": (lambda saved: {"cohorts": []}, "in cohort"),
    "another number": (lambda saved: {"members": saved["members"] | {'["a"]': 99}}, "in cohort 99"),
    "a negative one": (lambda saved: {"members": saved["members"] | {'["a"]': -1}}, '"members" must be a whole number'),
    "no number": (lambda saved: {"members": saved["members"] | {'["a"]': "0"}}, '"members" must be a whole number'),
    "more steps than t": (lambda saved: {"t": 3}, "has a cohort"),
    "another group": (lambda saved: {"cohorts": [c | {"group": 1} for c in saved["cohorts"]]}, "has a cohort"),
    "half a step": (lambda saved: {"cohorts": [c | {"steps": 0.5} for c in saved["cohorts"]]}, '"steps" must be'),
}


@pytest.mark.parametrize("bad", BAD)
def test_counts_that_nobody_saved(kind: Case, bad: str) -> None:
    optimizer = begun(kind, three())
    spoil, said = BAD[bad]
    saved = optimizer.state_dict()
    with unchanged(optimizer), pytest.raises((TypeError, ValueError), match=said):
        optimizer.load_state_dict(saved | spoil(saved))
    assert optimizer.steps == COUNTED


def test_cohorts_do_not_grow_without_end(kind: Case) -> None:
    """However often parameters part, there are no more than of them."""
    params = three()
    optimizer = kind.make(params)
    for t in range(30):
        key = list(params)[t % 3]
        with optimizer.stepping():
            optimizer.update(key, gradient(t, params[key]))
        optimizer.freeze(key)
        optimizer.thaw(key)
    assert len(optimizer.state_dict()["cohorts"]) == len(arrays(params))
