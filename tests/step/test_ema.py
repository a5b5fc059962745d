"""The running average of the weights; test_step.py has its bits."""

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import Case
from ..nests import bits, gradients, mixed, normal, snapshot, unchanged


def test_it_begins_at_the_weights(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    assert bits(optimizer.ema_params) == bits(mixed())
    assert optimizer.ema_params is optimizer.state["ema"]


def test_swapped_in_and_back(kind: Case) -> None:
    optimizer = kind.make(mixed(), ema=0.5)
    for step in (1, 2):
        optimizer.step(gradients(mixed(), step))
    params = optimizer.params
    before, weights, averages = snapshot(optimizer), bits(params), bits(optimizer.ema_params)
    assert weights != averages
    with optimizer.using_ema():
        assert optimizer.params is params
        assert (bits(params), bits(optimizer.ema_params)) == (averages, weights)
    assert snapshot(optimizer) == before
    with unchanged(optimizer), pytest.raises(ZeroDivisionError), optimizer.using_ema():
        raise ZeroDivisionError


def test_of_groups_and_frozen_parameters(kind: Case) -> None:
    optimizer = kind.make([{"params": mixed()}, {"params": normal(5, 9)}], ema=0.5)
    optimizer.freeze((0, "w"))
    optimizer.step(gradients(optimizer.params, 1))
    averages = bits(optimizer.ema_params)
    with unchanged(optimizer), optimizer.using_ema():
        assert bits(optimizer.params) == averages


def test_without_an_average(kind: Case) -> None:
    optimizer = kind.make(mixed())
    with pytest.raises(AttributeError, match=f"^{kind.optimizer.__name__} keeps no average .* ema=0.999"):
        optimizer.ema_params  # noqa: B018
    with pytest.raises(AttributeError, match="keeps no average"), optimizer.using_ema():
        raise AssertionError
    optimizer.step(gradients(mixed(), 1))


def test_of_no_parameters(kind: Case) -> None:
    assert kind.make({}, ema=0.5).ema_params == {}


def test_a_weight_that_was_resized_meanwhile() -> None:
    """Its memory is another: the averages are not put there, nor the weight anywhere."""
    for optimizer in (fo.SGD(np.ones(1000), ema=0.5), fo.ScheduleFreeSGD(np.ones(1000))):
        block = optimizer.using_ema if "ema" in optimizer.state else optimizer.averaged
        optimizer.step(np.ones(1000))
        with pytest.raises(ValueError, match="the memory of params was resized"), block():
            optimizer.params.resize(4, refcheck=False)


def test_a_weight_that_became_read_only_meanwhile_is_put_back() -> None:
    optimizer = fo.SGD(np.ones(3), lr=1.0, ema=0.5)
    optimizer.step(np.ones(3))
    with optimizer.using_ema():
        optimizer.params.flags.writeable = False
    assert (optimizer.params == 0).all()
