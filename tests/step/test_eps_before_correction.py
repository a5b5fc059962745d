"""Adam and its like with eps added before the bias correction, as Keras, scikit-learn, Thinc and SparseAdam have it."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..elsewhere import package
from ..nests import bits, normal, snapshot, unchanged

KINDS: list[tuple[type[fo.Optimizer], dict[str, Any]]] = [
    (fo.Adam, {}),
    (fo.Adam, {"amsgrad": True, "weight_decay": 0.1}),
    (fo.Adam, {"cautious": True}),
    (fo.AdamW, {"weight_decay": 0.1}),
    (fo.AdamW, {"amsgrad": True}),
    (fo.AdamW, {"cautious": True}),
    (fo.AdaBelief, {"eps": 1e-3}),
    (fo.Yogi, {}),
    (fo.Grams, {"weight_decay": 0.1}),
    (fo.RowWiseAdam, {"weight_decay": 0.1}),
]
kinds = pytest.mark.parametrize(("make", "keywords"), KINDS, ids=lambda value: getattr(value, "__name__", None))


def rate(lr: float, t: int) -> float:
    return lr * math.sqrt(1 - fo.reference.power(0.999, t)) / (1 - fo.reference.power(0.9, t))


def run(optimizer: fo.Optimizer, first: int = 1, last: int = 6) -> fo.Optimizer:
    for t in range(first, last):
        optimizer.step(normal(t, *optimizer.params.shape, dtype=optimizer.params.dtype))
    return optimizer


def test_it_is_the_formula(dtype: type) -> None:
    """As in a program that writes it in NumPy, to the bit."""
    w = normal(0, 100, dtype=dtype)
    optimizer = fo.Adam(w, lr=0.1, eps=1e-2, eps_before_correction=True)
    mine, m, v = w.copy(), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, 20):
        g = normal(t, 100, dtype=dtype)
        optimizer.step(g)
        m = 0.9 * m + (1 - 0.9) * g
        v = 0.999 * v + (1 - 0.999) * (g * g)
        mine -= rate(0.1, t) * m / (np.sqrt(v) + 1e-2)
        assert_same_bits(w, mine)


@kinds
def test_without_eps_it_is_the_same(make: type[fo.Optimizer], keywords: dict[str, Any]) -> None:
    start = normal(0, 20, 3, dtype=np.float64)
    keywords = keywords | {"lr": 0.1, "eps": 0.0}
    one, other = (run(make(start.copy(), eps_before_correction=before, **keywords)) for before in (False, True))
    np.testing.assert_allclose(one.params, other.params, rtol=1e-12)


@kinds
def test_with_eps_it_is_another(make: type[fo.Optimizer], keywords: dict[str, Any]) -> None:
    """That of eps divided by what corrects the root, whose rate and decay stay as they are."""
    start, eps, t = normal(0, 20, 3, dtype=np.float64), 0.1, 3
    own = make(start.copy(), eps_before_correction=True, **(keywords | {"lr": 0.1, "eps": eps}))
    same = make(start.copy(), **(keywords | {"lr": 0.1}))
    usual = make(start.copy(), **(keywords | {"lr": 0.1, "eps": eps}))
    for optimizer in (own, same, usual):
        for step in range(1, t + 1):
            if optimizer is same:
                same.groups[0].eps = eps / math.sqrt(1 - 0.999**step)
            optimizer.step(normal(step, 20, 3, dtype=np.float64))
    np.testing.assert_allclose(own.params, same.params, rtol=1e-12)
    assert abs(own.params - usual.params).max() > 1e-3


def test_of_late_parameters_and_schedules() -> None:
    """Each has a rate of its own, by the steps that it has taken."""
    early, late, alone = normal(0, 9), normal(1, 9), normal(1, 9)
    keywords: dict[str, Any] = {"lr": lambda t: 0.1, "eps": 0.1, "eps_before_correction": True}
    optimizer = fo.Adam(early, **keywords)
    optimizer.step(normal(2, 9))
    optimizer.add_group({"params": late})
    twin = fo.Adam(alone, **keywords)
    for t in range(3, 6):
        optimizer.step([normal(t, 9), normal(t + 9, 9)])
        twin.step(normal(t + 9, 9))
    assert bits(late) == bits(alone)
    assert optimizer.current_lr == 0.1


def test_without_bias_correction_there_is_nothing_to_come_before() -> None:
    one, other = (
        run(fo.Adam(normal(0, 9), eps=0.1, bias_correction=False, eps_before_correction=before))
        for before in (False, True)
    )
    assert snapshot(one) == snapshot(other)


def test_as_sparse_adam_has_it() -> None:
    table = normal(0, 5, 3, dtype=np.float64)
    sparse, dense = fo.SparseAdam(table.copy(), eps=0.1), fo.Adam(table.copy(), eps=0.1, eps_before_correction=True)
    for t in range(1, 6):
        g = normal(t, 5, 3, dtype=np.float64)
        sparse.step(fo.RowGrad(np.arange(5), g))
        dense.step(g)
    np.testing.assert_allclose(sparse.params, dense.params, rtol=1e-12)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
def test_copies(again: Any) -> None:
    optimizer = run(fo.AdamW(normal(0, 9), eps=0.1, eps_before_correction=True))
    other = again(optimizer)
    assert snapshot(run(optimizer, 6, 9)) == snapshot(run(other, 6, 9))


def test_a_state_goes_on_in_the_same_way_alone() -> None:
    own = run(fo.Adam(normal(0, 9), eps=0.1, eps_before_correction=True))
    again = fo.Adam(own.params.copy(), eps=0.1, eps_before_correction=True)
    again.load_state_dict(own.state_dict())
    assert snapshot(run(own, 6, 9)) == snapshot(run(again, 6, 9))
    usual = fo.Adam(normal(0, 9), eps=0.1)
    for one, other in ((own, usual), (usual, own)):
        with unchanged(one), pytest.raises(ValueError, match="eps_before_correction"):
            one.load_state_dict(other.state_dict())


def test_torch_has_none() -> None:
    package("torch")
    optimizer = fo.Adam(normal(0, 9), eps_before_correction=True)
    with pytest.raises(ValueError, match=r"^torch adds eps after the bias correction"):
        optimizer.to_torch_state_dict()
    with pytest.raises(ValueError, match=r"^torch adds eps after the bias correction"):
        optimizer.from_torch_state_dict({})
