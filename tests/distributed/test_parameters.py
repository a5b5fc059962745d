"""Groups, frozen parameters, averaged weights, gradients that come one by one: each as on one process."""

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core import tree
from fusedoptim.distributed import Sharded
from fusedoptim.distributed.threads import Threads

from ..bits import assert_same_bits
from ..nests import arrays, bits
from .ranks import BUCKET, assert_same, gradient, in_threads, mean_gradient, some_params, stepped, train

RANKS = 3
OPTIMIZERS = [fo.AdamW, fo.LAMB, fo.Adafactor, fo.RowWiseAdam, fo.ScheduleFreeAdamW, fo.NoisySGD]


def plain_steps(plain: fo.Optimizer, steps: int, first: int = 0) -> None:
    for step in range(first, first + steps):
        plain.step(mean_gradient(plain.params, RANKS, RANKS, step))


def compare(make: Any, params: Any, script: Callable[[Any, Callable[[int], None]], None], **keywords: Any) -> None:
    """The same script with an optimizer of one process, and on all ranks; it steps by the function that it is given."""
    copied = (
        [{**group, "params": tree.map_leaves(np.copy, group["params"])} for group in params]
        if isinstance(params, list)
        else tree.map_leaves(np.copy, params)
    )
    plain = make(copied, **keywords)
    script(plain, lambda step: plain.step(mean_gradient(plain.params, RANKS, RANKS, step)))

    def job(transport: Threads) -> None:
        optimizer = Sharded(make, params, transport, bucket_bytes=BUCKET, **keywords)
        script(optimizer, lambda step: optimizer.step(gradient(optimizer.params, optimizer.rank, step)))
        assert_same(optimizer, plain)

    in_threads(RANKS, job)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_groups(make: Any) -> None:
    rate = {} if make is fo.Adafactor else {"lr": 0.5}
    groups = [
        {"params": some_params(0)},
        {"params": some_params(1), **rate},
        {"params": {"x": np.ones(5000)}, "weight_decay": 0.5},
    ]

    def script(optimizer: Any, step: Callable[[int], None]) -> None:
        step(0)
        optimizer.groups[1].weight_decay = 0.25
        optimizer.lr = 0.01
        step(1)

    compare(make, groups, script, clip_norm=1.0)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_frozen_parameters_are_left_out(make: Any) -> None:
    def script(optimizer: Any, step: Callable[[int], None]) -> None:
        step(0)
        optimizer.freeze("w", ("deep", 1), "double")
        step(1)
        optimizer.freeze("big")
        optimizer.thaw("w")
        step(2)
        optimizer.thaw("double", "deep", "big")
        step(3)

    compare(make, some_params(), script, clip_norm=1.0, ema=0.5)


def test_the_gradients_of_frozen_parameters_are_not_sent() -> None:
    sent: list[int] = []

    class Counting(Threads):
        def post(self, sends: Any, receives: Any, about: int) -> Any:
            sent.extend(array.size for _, array in sends if about == 1)
            return super().post(sends, receives, about)

    def job(transport: Threads) -> None:
        optimizer = stepped(Counting(transport.board, transport.rank), fo.SGD, some_params(), steps=0)
        optimizer.freeze(*(name for name in some_params() if name != "b"))
        train(optimizer, some_params(), 1)

    in_threads(2, job)
    assert 0 < sum(sent) <= 64, sent  # a cache line


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_group_that_is_added(make: Any) -> None:
    def script(optimizer: Any, step: Callable[[int], None]) -> None:
        step(0)
        optimizer.add_group({"params": tree.map_leaves(np.copy, some_params(1)), "lr": 0.25})
        step(1)
        optimizer.freeze((0, "w"), (1, "big"))
        step(2)

    compare(make, some_params(), script, clip_norm=1.0, ema=0.5)


def test_a_group_that_differs_or_is_refused() -> None:
    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1)
        with pytest.raises((ValueError, TypeError, RuntimeError), match=r"no_such|rank 1 has refused"):
            optimizer.add_group({"params": np.ones(3)} | ({"no_such": 1} if transport.rank == 1 else {}))
        with pytest.raises(ValueError, match=r"same params\[1\]"):
            optimizer.add_group({"params": np.ones(3 + transport.rank)})
        train(optimizer, some_params(), 1, first=1)
        assert optimizer.t == 2 and isinstance(optimizer.params, dict)

    in_threads(2, job)


@pytest.mark.parametrize(("make", "block"), [(fo.AdamW, "using_ema"), (fo.ScheduleFreeAdamW, "averaged")])
def test_averaged_weights_are_on_all_ranks(make: Any, block: str) -> None:
    keywords = {"ema": 0.5} if block == "using_ema" else {}

    def job(transport: Threads) -> tuple[list[bytes], list[bytes]]:
        optimizer = stepped(transport, make, some_params(), steps=2, **keywords)
        optimizer.freeze("w")
        train(optimizer, some_params(), 1, first=2)
        with getattr(optimizer, block)():
            averages = bits(optimizer.params)
        return averages, bits(optimizer.params)

    plain = make(tree.map_leaves(np.copy, some_params()), **keywords)
    plain_steps(plain, 2)
    plain.freeze("w")
    plain_steps(plain, 1, first=2)
    with getattr(plain, block)():
        averages = bits(plain.params)
    assert in_threads(RANKS, job) == [(averages, bits(plain.params))] * RANKS


def test_what_an_optimizer_does_not_have() -> None:
    optimizer = Sharded(fo.SGD, np.ones(2))
    with pytest.raises(AttributeError, match=r"ema=0\.999"), optimizer.using_ema():
        pass
    with pytest.raises(AttributeError, match="schedule-free"):
        optimizer.averaged()
    with pytest.raises(TypeError, match="save"):
        pickle.dumps(optimizer)
    with pytest.raises(KeyError, match="no parameter has the key 'w'"):
        optimizer.freeze("w")
    with pytest.raises(TypeError, match="communicator"):
        Sharded(fo.SGD, np.ones(2), "MPI")


@pytest.mark.parametrize("whole", [range(50), iter(range(50))], ids=["list", "stream"])
def test_each_rank_takes_a_block_of_the_minibatches_of_an_update(whole: Any) -> None:
    batches = list(whole)

    def job(transport: Threads) -> list[int]:
        optimizer = Sharded(fo.SGD, np.ones(2), transport, minibatches=12)
        return list(optimizer.share(batches if isinstance(whole, range) else iter(batches)))

    shares = in_threads(3, job)
    assert shares[1] == [*range(4, 8), *range(16, 20), *range(28, 32), *range(40, 44)]
    assert sorted(itertools.chain(*shares)) == list(range(48))  # what is no whole update is left out


@pytest.mark.parametrize("keywords", [{}, {"clip_norm": 1.0}, {"minibatches": 12}], ids=str)
def test_gradients_that_are_ready_one_by_one(keywords: dict[str, Any]) -> None:
    """Whatever their order, which may differ from rank to rank: the buckets go in one."""
    minibatches = keywords.get("minibatches")

    def job(transport: Threads) -> None:
        optimizer = Sharded(fo.AdamW, some_params(), transport, bucket_bytes=BUCKET, **keywords)
        wanted = stepped(
            transport, fo.AdamW, some_params(), minibatches, **{k: v for k, v in keywords.items() if k != "minibatches"}
        )
        for step in range(3):
            for k in optimizer.share(range(optimizer.minibatches)):
                names = list(some_params())
                np.random.default_rng([step, optimizer.rank]).shuffle(names)
                given = gradient(some_params(), k, step)
                for name in names[: 9 if step < 2 else 4]:
                    for own, g in zip(arrays(optimizer.grads[name]), arrays(given[name]), strict=True):
                        np.copyto(own, g)
                    optimizer.ready(name)
                for name in names[9 if step < 2 else 4 :]:  # the rest without a word
                    for own, g in zip(arrays(optimizer.grads[name]), arrays(given[name]), strict=True):
                        np.copyto(own, g)
                optimizer.step()
        assert bits(optimizer.params) == bits(wanted.params)

    in_threads(RANKS, job)


def test_a_refusal_after_gradients_were_sent_leaves_all_ranks_able_to_go_on() -> None:
    def job(transport: Threads) -> list[bytes]:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1)
        if transport.rank == 1:
            optimizer.ready(*some_params())
        with pytest.raises((ValueError, RuntimeError), match=r"ready|grad_scale"):
            optimizer.step(gradient(some_params(), 0, 0), grad_scale=-1.0 if transport.rank == 2 else 1.0)
        train(optimizer, some_params(), 1, first=1)
        return bits(optimizer.params)

    wanted = in_threads(RANKS, lambda t: bits(stepped(t, fo.AdamW, some_params(), steps=2).params))
    assert in_threads(RANKS, job) == wanted


def test_what_is_refused_amid_an_update(tmp_path: Any) -> None:
    optimizer = Sharded(fo.AdamW, {"w": np.ones(3)}, minibatches=2, ema=0.5)
    optimizer.step({"w": np.ones(3)})
    for use in (
        lambda: optimizer.save(tmp_path / "x"),
        lambda: optimizer.freeze("w"),
        lambda: optimizer.add_group({"params": np.ones(1)}),
        lambda: optimizer.using_ema().__enter__(),
    ):
        with pytest.raises(RuntimeError, match="amid an update, of which 1 minibatches"):
            use()
    optimizer.step({"w": np.ones(3)})
    assert optimizer.t == 1


def test_gradients_are_set_to_zero_on_all_ranks() -> None:
    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.SGD, some_params(), steps=0)
        optimizer.step(gradient(some_params(), transport.rank, 0), zero_grads=True)
        assert not any(g.any() for g in arrays(optimizer.grads))

    in_threads(2, job)


def test_polyak_takes_the_mean_loss_which_all_ranks_have() -> None:
    plain = fo.PolyakSGD(tree.map_leaves(np.copy, some_params()))
    plain.step(mean_gradient(some_params(), 2, 2, 0), value=1.5)

    def job(transport: Threads) -> None:
        optimizer = Sharded(fo.PolyakSGD, some_params(), transport, bucket_bytes=BUCKET)
        with pytest.raises(ValueError, match="same value: on rank 0 it is 0"):
            optimizer.step(gradient(some_params(), transport.rank, 0), value=float(transport.rank))
        optimizer.step(gradient(some_params(), transport.rank, 0), value=1.5)
        for got, wanted in zip(arrays(optimizer.params), arrays(plain.params), strict=True):
            assert_same_bits(got, wanted)

    in_threads(2, job)
