"""Muon: the kernels' bits around NumPy's matrix products, torch's numbers, and what is no matrix."""

from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import MATRIX_CASES, Case, contrib, outside, torch
from ..draws import moderate
from ..elsewhere import assert_same_path, package, run_of
from ..expected import EACH_ALONE_AND_ALL, Expected
from ..kernels.test_matrices import check_kernel
from ..nests import arrays, copied, gradients, normal, snapshot, unchanged

SHAPES = [(1, 1), (5, 5), (3, 40), (40, 3), (1, 7), (7, 1), (0, 3), (3, 0), (200, 170)]

every_row = pytest.mark.parametrize("row", MATRIX_CASES, ids=str)


def nest(dtype: Any = np.float32) -> dict[str, Any]:
    return {"a": normal(0, 40, 9, dtype=dtype), "deep": [normal(1, 3, 5, dtype=np.float64), normal(2, 7, 7)]}


# The numbers


@every_row
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_kernel_equals_reference(row: Case, shape: tuple[int, int], dtype: type) -> None:
    check_kernel(row, shape, dtype, moderate, like=np.ndarray)


@every_row
@pytest.mark.parametrize("name", EACH_ALONE_AND_ALL)
def test_the_whole_step_is_the_reference(row: Case, name: str) -> None:
    """Two groups, of which the second has another rate, float32 and float64."""
    options, params = EACH_ALONE_AND_ALL[name], nest()
    first, second = {"params": params["a"]}, {"params": params["deep"], "lr": 0.007}
    other = Case(row.optimizer, row.keywords, row.named | {"lr": 0.007})
    expected = Expected([(row, 0.0, [params["a"]]), (other, 0.0, params["deep"])], options)
    optimizer = row.make([first, second], **options.keywords)
    for t in (1, 2, 3):
        minibatches = [gradients(optimizer.params, 10 * t + m) for m in range(options.accumulate)]
        expected.step(minibatches)
        expected.check(optimizer, minibatches, f"at t={t}")


SMALL = {"lr": 0.03, "momentum": 0.7, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"}
COEFFICIENTS = {"ns_coefficients": (2.0, -1.5, 0.5), "ns_steps": 7, "eps": 1e3}
optax_muon = contrib("muon", names={"momentum": "beta", "adjust_lr_fn": None}, consistent_rms=0.2, weight_decay=0.1)
LIKE = [
    Case(fo.Muon, like=[torch("Muon")]),
    Case(fo.Muon, SMALL | {"weight_decay": 0.3}, like=[torch("Muon")]),
    Case(fo.Muon, COEFFICIENTS | {"lr": 0.03, "adjust_lr_fn": "original"}, like=[torch("Muon")]),
    Case(fo.Muon, SMALL | {"eps": 0.0}, like=[optax_muon]),
]


@pytest.mark.parametrize("row", LIKE, ids=str)
def test_same_as_elsewhere(monkeypatch: pytest.MonkeyPatch, row: Case) -> None:
    """torch is made to compute in float64 what it computes in bfloat16."""
    (other,) = row.others
    if other.__name__.startswith("torch"):
        tensor = package("torch").Tensor
        monkeypatch.setattr(tensor, "bfloat16", tensor.clone)
    start, steps = run_of([(20, 30), (30, 20), (8, 8)])
    assert_same_path(row.make, other, start, steps)


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (9, 9)])
def test_the_step_is_orthogonal(shape: tuple[int, int]) -> None:
    """As the singular value decomposition has it, with coefficients that go all the way."""
    w, g = np.zeros(shape), normal(0, *shape, dtype=np.float64)
    keywords = {"ns_coefficients": (1.875, -1.25, 0.375), "ns_steps": 60}
    fo.Muon(w, lr=1.0, adjust_lr_fn="match_rms_adamw", **keywords).step(g)
    u, _, v = np.linalg.svd(g, full_matrices=False)
    np.testing.assert_allclose(w, -0.2 * np.sqrt(max(shape)) * (u @ v), atol=1e-12)


def test_gradients_of_any_size(dtype: type) -> None:
    """Zero is no direction; of large ones the squares overflow, of float32."""
    w = np.ones((3, 4), dtype)
    fo.Muon(w, lr=0.5, weight_decay=0.5).step(np.zeros_like(w))
    assert (w == 0.75).all()
    steps = []
    for scale in (1.0, 1e30):
        w = np.zeros((3, 4), dtype)
        fo.Muon(w, lr=1.0).step(normal(0, 3, 4, dtype=dtype) * dtype(scale))
        steps.append(w)
    np.testing.assert_allclose(*steps, rtol=1e-4)


def test_it_converges() -> None:
    """To the matrix that the gradients come from, under a step that falls to zero."""
    goal, w = normal(0, 6, 9, dtype=np.float64), np.zeros((6, 9))
    optimizer = fo.Muon(w, lr=fo.schedules.cosine(0.1, 500), weight_decay=0.0)
    for _ in range(500):
        optimizer.step(w - goal)
    assert np.abs(w - goal).max() < 1e-3


# As an optimizer


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nonfinite(value: float) -> None:
    optimizer = fo.Muon(nest(), nonfinite="skip")
    before = snapshot(optimizer)
    grads = gradients(optimizer.params, 1)
    grads["deep"][0][0, 0] = value
    optimizer.step(grads)
    assert snapshot(optimizer) == (*before[:3], 1, 0)
    propagating = fo.Muon(nest())
    propagating.step(grads)
    assert np.isnan(propagating.params["deep"][0]).all() and np.isfinite(propagating.params["a"]).all()


def test_one_by_one_bound_and_resumed_are_the_same_step() -> None:
    plain, by_key, bound, resumed = (fo.Muon(nest(), ema=0.5) for _ in range(4))
    buffers = gradients(nest(), 0)
    bound.bind(buffers)
    for t in (1, 2):
        grads = gradients(plain.params, t)
        plain.step(grads)
        with by_key.stepping():
            by_key.update(("deep", 0), grads["deep"][0])
            by_key.update("a", grads["a"])
            by_key.update(("deep", 1), grads["deep"][1])
        for buffer, g in zip(arrays(buffers), arrays(grads), strict=True):
            buffer[...] = g
        bound.step()
        again = fo.Muon(copied(resumed.params), ema=0.5)
        again.load_state_dict(resumed.state_dict())
        again.step(grads)
        resumed = again
        assert snapshot(plain) == snapshot(by_key) == snapshot(bound) == snapshot(resumed)


def test_frozen_matrices_are_left_alone() -> None:
    optimizer, alone = fo.Muon(nest()), fo.Muon(nest()["a"])
    before = copied(optimizer.params)
    optimizer.freeze(("deep", 0), ("deep", 1))
    grads = gradients(optimizer.params, 1)
    optimizer.step(grads)
    alone.step(grads["a"])
    assert_same_bits(optimizer.params["a"], alone.params)
    for w, was in zip(optimizer.params["deep"], before["deep"], strict=True):
        assert_same_bits(w, was)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)], ids=str)
def test_what_is_no_matrix(shape: tuple[int, ...]) -> None:
    bad = np.ones(shape)
    with pytest.raises(ValueError, match=r'^params\["b"\] must have two axes, got the shape .*AdamW'):
        fo.Muon({"a": np.ones((2, 2)), "b": bad})
    optimizer = fo.Muon({"a": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"^params\[1\] must have two axes"):
        optimizer.add_group({"params": bad})
    assert len(optimizer.groups) == 1
    optimizer.step({"a": np.ones((2, 2))})
    with pytest.raises(ValueError, match=r"^w must have two axes"):
        fo.kernels.muon(bad, bad.copy(), bad.copy())


@pytest.mark.parametrize(
    ("name", "value"),
    list(outside(["lr", "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn"])),
    ids=lambda x: str(x)[:20],
)
def test_what_is_refused(name: str, value: Any) -> None:
    w, g, m = np.ones((3, 2, 2))
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        fo.Muon(w, **{name: value})
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        fo.kernels.muon(w, g, m, **{name: value})
    assert (w == 1).all() and (m == 1).all()


@pytest.mark.parametrize("of", ["w", "m", "ema"])
def test_gradients_that_are_refused_change_nothing(of: str) -> None:
    optimizer = fo.Muon({"a": np.ones((2, 3)), "b": np.ones((2, 3))}, ema=0.5)
    overlapping = {"w": optimizer.params, "m": optimizer.state["m"], "ema": optimizer.state["ema"]}[of]["a"]
    with unchanged(optimizer), pytest.raises(ValueError, match=r'^grads\["b"\] and .*\["a"\] share memory'):
        optimizer.step({"a": np.ones((2, 3)), "b": overlapping})
    with unchanged(optimizer), pytest.raises(ValueError, match=r'^grads\["b"\] must have the shape \(2, 3\)'):
        optimizer.step({"a": np.ones((2, 3)), "b": np.ones((3, 2))})


def test_a_kernel_refuses_what_is_no_array() -> None:
    with pytest.raises(TypeError, match=r"^w must be a numpy.ndarray, got list"):
        fo.kernels.muon([[1.0]], np.ones((1, 1)), np.zeros((1, 1)))  # type: ignore[arg-type]
