"""PolyakSGD is SGD whose learning rate follows from the loss."""

import math
import pickle
from itertools import product
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..elsewhere import package
from ..nests import arrays, gradients, mixed, normal, unchanged

KEYWORDS: list[dict[str, Any]] = [
    {},
    {"max_learning_rate": 0.1, "f_min": 3.0, "eps": 10.0},
    {"lr": 0.5, "max_learning_rate": 0.003, "f_min": -2.0, "eps": 100.0},
    {"lr": fo.schedules.exponential(0.5, 0.9), "f_min": 3.0},  # of which some values are below
]


@pytest.mark.parametrize("keywords", KEYWORDS, ids=",".join)
def test_same_as_optax(keywords: dict[str, Any]) -> None:
    jax, optax = package("jax"), package("optax")
    rng = np.random.default_rng(0)
    w = rng.uniform(5, 6, 40)
    lr = keywords.get("lr", 1.0)
    with jax.enable_x64(True):
        scaling = (lambda count: lr(int(count) + 1)) if callable(lr) else lr
        others = {name: value for name, value in keywords.items() if name != "lr"}
        if "lr" in keywords:  # polyak_sgd(scaling) takes the norm of the scaled gradient, against its documentation
            polyak = optax.scale_by_polyak(variant="sps+", **others)
            rule = optax.chain(polyak, optax.scale_by_learning_rate(scaling))
        else:
            rule = optax.polyak_sgd(variant="sps+", **others)
        params = jax.numpy.array(w)
        state = rule.init(params)
        optimizer = fo.PolyakSGD(w, **keywords)
        for value in rng.uniform(0, 6, 100):
            g = rng.normal(size=40)
            updates, state = rule.update(jax.numpy.array(g), state, params, value=value)
            params = optax.apply_updates(params, updates)
            optimizer.step(g, value=value)
        np.testing.assert_allclose(w, np.asarray(params), rtol=1e-10)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_is_that_of_sgd(isa: str, threads: int, accumulate: int) -> None:
    """To the bit, with the norm of the mean of all gradients, over groups and in both dtypes."""
    groups = [{"params": mixed()}, {"params": normal(7, 40_000), "lr": 0.25}]
    optimizer = fo.PolyakSGD(groups, lr=2.0, f_min=1.0, eps=3.0, num_threads=threads, accumulate=accumulate)
    wanted = [w.copy() for w in arrays(optimizer.params)]
    with fo.use_isa(isa):
        for t in (1, 2):
            minibatches = [gradients(optimizer.params, 10 * t + m) for m in range(accumulate)]
            for grads in minibatches:
                optimizer.step(grads, value=77.0, grad_scale=4.0)
            of_tensor = list(zip(*map(arrays, minibatches), strict=True))
            means = [fo.reference.gradient(gs, gs[0]) for gs in of_tensor]
            norm = fo.reference.norm(means) / 4
            size = (77 - 1) / (norm * norm + 3)
            for k, (w, gs) in enumerate(zip(wanted, of_tensor, strict=True)):
                g = fo.reference.gradient(gs, w, scale=1 / 4)
                fo.reference.sgd(w, g, lr=(0.25 if k == len(wanted) - 1 else 2.0) * size)
            for got, want in zip(arrays(optimizer.params), wanted, strict=True):
                assert_same_bits(got, want)


def test_by_hand() -> None:
    """|w|² / 2 at (3, 4): 12.5 / 25 = 1/2 of the gradient; then at most 1/4; then nothing, below the minimum."""
    w = np.array([3.0, 4.0])
    fo.PolyakSGD(w).step(w.copy(), value=12.5)
    assert w.tolist() == [1.5, 2.0]
    fo.PolyakSGD(w, max_learning_rate=0.25).step(w.copy(), value=w @ w / 2)
    assert w.tolist() == [1.125, 1.5]
    fo.PolyakSGD(w, f_min=10.0).step(w.copy(), value=9.0)
    assert w.tolist() == [1.125, 1.5]


def test_it_converges_without_a_learning_rate() -> None:
    scale, w = np.array([1.0, 10.0]), np.array([3.0, -2.0])
    optimizer = fo.PolyakSGD(w)
    for _ in range(200):
        optimizer.step(scale * w, value=scale @ w**2 / 2)
    assert scale @ w**2 / 2 < 1e-8


def test_a_gradient_of_zero() -> None:
    w = np.ones(3)
    fo.PolyakSGD(w).step(np.zeros(3), value=1.0)
    assert w.tolist() == [1, 1, 1]


def test_bound_and_frozen_gradients() -> None:
    params = {"w": np.array([3.0, 4.0]), "b": np.ones(2)}
    optimizer = fo.PolyakSGD(params)
    optimizer.freeze("b")
    optimizer.bind({"w": params["w"].copy(), "b": None})
    optimizer.step(value=12.5)
    assert params["w"].tolist() == [1.5, 2.0] and params["b"].tolist() == [1, 1]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite(bad: float) -> None:
    g = np.array([1.0, bad])
    w = np.ones(2)
    fo.PolyakSGD(w).step(g, value=1.0)
    np.testing.assert_array_equal(w, [1, np.nan])
    w = np.ones(2)
    optimizer = fo.PolyakSGD(w, nonfinite="skip")
    optimizer.step(g, value=math.nan)
    assert w.tolist() == [1, 1] and optimizer.skipped == 1 and optimizer.t == 0


NOT_NUMBERS = ["1", None, 1j, [1.0]]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, *NOT_NUMBERS], ids=lambda x: str(x)[:9])
def test_a_loss_that_is_no_number(value: Any) -> None:
    optimizer = fo.PolyakSGD(mixed())
    error = ValueError if isinstance(value, int | float) else TypeError
    before = pickle.dumps(optimizer.state_dict())
    with unchanged(optimizer), pytest.raises(error, match=r"^value must be"):
        optimizer.step(gradients(mixed(), 1), value=value, grad_scale=8.0)
    assert pickle.dumps(optimizer.state_dict()) == before


BAD = [
    *product(["max_learning_rate", "f_min", "eps", "lr"], [math.nan, math.inf, -math.inf, *NOT_NUMBERS]),
    *product(["max_learning_rate", "eps", "lr"], [-1e-9]),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=str)
def test_arguments_outside(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        fo.PolyakSGD(np.ones(1), **{name: value})


def test_not_parameter_by_parameter() -> None:
    with pytest.raises(ValueError, match="needs all gradients at once"):
        fo.PolyakSGD(np.ones(1)).stepping()


def test_rows_of_a_table() -> None:
    """As the whole gradient, which is zero elsewhere; a row that comes twice has the sum."""
    table, other = normal(0, 9, 4), normal(0, 9, 4)
    rows, values, g = np.array([7, 2, 7]), normal(1, 3, 4), np.zeros((9, 4), np.float32)
    np.add.at(g, rows, values)
    fo.PolyakSGD({"table": table}).step({"table": fo.RowGrad(rows, values)}, value=2.0)
    fo.PolyakSGD({"table": other}).step({"table": g}, value=2.0)
    np.testing.assert_allclose(table, other, rtol=1e-6)
    assert (table != normal(0, 9, 4)).any(axis=1).tolist() == [k in rows for k in range(9)]


@pytest.mark.parametrize("number", [0.5, np.float64(0.5)], ids=repr)
def test_a_number_for_a_weight_without_axes(number: Any) -> None:
    """It is kept as an array, which is what is looked at again after the loss was asked for."""
    optimizer, plain = fo.PolyakSGD(np.array(2.0)), fo.PolyakSGD(np.array(2.0))
    for g in (np.array(0.25), number, np.array(1.0), number):
        optimizer.step(g, value=0.1)
        plain.step(np.array(float(g)), value=0.1)
        assert_same_bits(optimizer.params, plain.params)
