"""The noise of NoisySGD: which numbers, and that they stay the same whatever happens between the steps."""

import contextlib
import math

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..nests import arrays, bits, copied, gradients, mixed, normal, snapshot


def noise(optimizer: fo.Optimizer) -> list[bytes]:
    return bits(optimizer.state["noise"])


def drawn(seed: int, t: int, tensor: int, n: int, dtype: np.dtype) -> np.ndarray:
    """The documented numbers."""
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    chunks = [
        np.random.Generator(np.random.Philox(counter=[0, c, tensor, t], key=key)).standard_normal(
            min(n - 4096 * c, 4096), dtype=dtype
        )
        for c in range(-(-n // 4096))
    ]
    return np.concatenate([np.zeros(0, dtype), *chunks])


def test_the_steps_are_the_formula_with_the_documented_numbers() -> None:
    params = mixed()
    wanted = [w.copy() for w in arrays(params)]
    optimizer = fo.NoisySGD(params, lr=0.1, eta=0.5, gamma=0.7, seed=11)
    for t in (1, 2, 3):
        grads = gradients(mixed(), t)
        optimizer.step(grads)
        deviation = math.sqrt(0.5 / t**0.7)
        for k, (got, w, g) in enumerate(zip(arrays(params), wanted, arrays(grads), strict=True)):
            numbers = drawn(11, t, k, w.size, w.dtype).reshape(w.shape)
            by_hand = w.astype(float) - 0.1 * (g.astype(float) + deviation * numbers)
            fo.reference.noisy_sgd(w, g, numbers, lr=0.1, eta=0.5, gamma=0.7, t=t)
            assert_same_bits(got, w)
            np.testing.assert_allclose(got, by_hand, rtol=1e-5 if w.dtype == np.float32 else 1e-12, atol=1e-7)


def test_elements_of_a_large_tensor_have_their_noise_by_chunks() -> None:
    optimizer = fo.NoisySGD([np.zeros(1), np.zeros((3, 3000), np.float32)], seed=5)
    optimizer.step([np.zeros(1), np.zeros((3, 3000), np.float32)])
    got = optimizer.state["noise"][1].reshape(-1)
    assert_same_bits(got, drawn(5, 2, 1, 9000, np.dtype(np.float32)))
    assert len(np.unique(got)) > 8900  # no chunk is another's


def test_its_variance_falls() -> None:
    """That of 100,000 numbers is within 3 % of eta / t^gamma, which is seven times its standard error."""
    w, g = np.zeros(100_000), np.zeros(100_000)
    optimizer = fo.NoisySGD(w, lr=1.0, eta=0.25, gamma=0.5)
    for t in range(1, 6):
        w[...] = 0
        optimizer.step(g)
        assert np.var(w) == pytest.approx(0.25 / math.sqrt(t), rel=0.03)


def test_seeds_and_steps_differ() -> None:
    optimizer, other = fo.NoisySGD(normal(0, 9)), fo.NoisySGD(normal(0, 9), seed=1)
    first = noise(optimizer)
    assert first != noise(other)
    optimizer.step(normal(1, 9))
    assert first != noise(optimizer)


def test_a_run_that_was_resumed_has_the_same_noise() -> None:
    params = mixed()
    whole = fo.NoisySGD(params)
    whole.step(gradients(mixed(), 1))
    resumed = fo.NoisySGD(copied(params))
    resumed.load_state_dict(whole.state_dict())
    for t in (2, 3):
        for optimizer in (whole, resumed):
            optimizer.step(gradients(mixed(), t))
    assert snapshot(resumed) == snapshot(whole)


def test_parameters_that_are_frozen_or_come_later_do_not_change_that_of_the_others() -> None:
    plain, changed = fo.NoisySGD(mixed()), fo.NoisySGD(mixed())
    changed.freeze("w")
    for optimizer in (plain, changed):
        optimizer.step(gradients(mixed(), 1))
    assert noise(changed) == noise(plain)
    changed.add_group({"params": normal(9, 4)})
    assert noise(changed)[:-1] == noise(plain)
    assert arrays(changed.state["noise"])[-1].any()


def test_parameter_by_parameter_is_one_step() -> None:
    whole, optimizer = fo.NoisySGD(mixed()), fo.NoisySGD(mixed())
    for t in (1, 2):
        grads = gradients(mixed(), t)
        whole.step(grads)
        with optimizer.stepping():
            for key in ("none", ("layers", 1), "w", ("layers", 0)):
                optimizer.update(key, grads[key] if isinstance(key, str) else grads["layers"][key[1]])
        assert snapshot(optimizer) == snapshot(whole)


def test_a_step_that_is_not_taken_draws_nothing() -> None:
    optimizer = fo.NoisySGD(np.ones(3), nonfinite="skip", accumulate=2)
    before = noise(optimizer)
    optimizer.step(np.ones(3))
    assert noise(optimizer) == before
    optimizer.step(np.full(3, np.nan))
    assert optimizer.skipped == 1 and noise(optimizer) == before
    with pytest.raises(ValueError, match="shape"):
        optimizer.step(np.ones(4))
    assert noise(optimizer) == before


@pytest.mark.parametrize("grad", [np.ones(4), np.array([1, np.nan, 1])], ids=["refused", "skipped"])
def test_the_noise_stays_where_no_step_is_taken(grad: np.ndarray) -> None:
    """That of a state dict too, which another seed has drawn."""
    other, optimizer = fo.NoisySGD(np.zeros(3), seed=7), fo.NoisySGD(np.zeros(3), seed=0, nonfinite="skip")
    optimizer.load_state_dict(other.state_dict())
    with contextlib.suppress(ValueError):
        optimizer.step(grad)
    assert np.array_equal(optimizer.state["noise"], other.state["noise"])
