"""The bits of one process, whatever ranks there are."""

import hashlib
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim import _core
from fusedoptim.core import tree
from fusedoptim.distributed import Sharded
from fusedoptim.distributed.threads import Threads

from ..bits import assert_same_bits
from ..nests import arrays
from .ranks import (
    BUCKET,
    assert_same,
    gradient,
    in_threads,
    some_matrices,
    some_params,
    stepped,
    stepped_alone,
    sum_in_tree,
)

OPTIMIZERS = [getattr(fo, name) for name in fo.optim.__all__ if name not in ("Optimizer", "PolyakSGD", "SparseAdam")]


@pytest.mark.parametrize("make", OPTIMIZERS, ids=lambda make: make.__name__)
def test_every_optimizer(make: type[fo.Optimizer]) -> None:
    params = some_matrices() if make is fo.Muon else some_params()
    options: dict[str, Any] = {"clip_norm": 1.0, "ema": 0.9}
    for ranks in (1, 3):
        plain = stepped_alone(make, params, ranks, ranks, **options)
        in_threads(ranks, lambda t: assert_same(stepped(t, make, params, **options), plain))  # noqa: B023


OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1, "clip_value": 0.01, "maximize": True},
    {"clip_norm": 0.5, "nonfinite": "skip", "ema": 0.5, "ema_bias_correction": False},
    {"lr": fo.schedules.cosine(0.1, n=600)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize(("ranks", "minibatches"), [(2, 2), (4, 4), (2, 6), (3, 12), (1, 5), (8, 8)])
def test_options_and_minibatches(ranks: int, minibatches: int, options: dict[str, Any]) -> None:
    params = some_params()
    plain = stepped_alone(fo.Adam, params, minibatches, ranks, **options)
    in_threads(ranks, lambda t: assert_same(stepped(t, fo.Adam, params, minibatches, **options), plain))


# Of the weights after five updates of eight minibatches: a promise, as those of digests.json.
DIGEST = "73acc51285bd8dfa5fd561199af1fec220f6bc66f67df324a0b51dc2cec8acba"


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_ranks_and_minibatches_of_each_are_exchangeable(ranks: int) -> None:
    """One rank that takes eight minibatches, or eight that take one."""

    def drawn(seed: int, n: int) -> np.ndarray:
        """Fractions whose sums are rounded, the same on every machine."""
        rng = np.random.default_rng(seed)
        return (rng.integers(-(1 << 20), 1 << 20, n) * 2.0 ** rng.integers(-20, 0, n)).astype(np.float32)

    def digest(transport: Any) -> str:
        params = [drawn(0, 50_001), drawn(1, 4096)]
        optimizer = Sharded(fo.AdamW, params, transport, minibatches=8, clip_norm=1.0, ema=0.99, bucket_bytes=BUCKET)
        for k in optimizer.share(range(40)):
            optimizer.step([drawn(100 + k, 50_001), drawn(200 + k, 4096)])
        return hashlib.sha256(b"".join(w.tobytes() for w in optimizer.params)).hexdigest()

    assert in_threads(ranks, digest) == [DIGEST] * ranks


@pytest.mark.parametrize("bucket_bytes", [1, 20_000, 1 << 25])
def test_buckets_change_nothing(bucket_bytes: int) -> None:
    params = some_params()
    plain = stepped_alone(fo.LAMB, params, 3, 3, clip_norm=1.0)
    in_threads(3, lambda t: assert_same(stepped(t, fo.LAMB, params, clip_norm=1.0, bucket_bytes=bucket_bytes), plain))


def test_equal_gradients_on_two_or_four_ranks_are_their_mean() -> None:
    g = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    for ranks in (2, 4):

        def weights(transport: Any) -> np.ndarray:
            optimizer = Sharded(fo.SGD, np.zeros_like(g), transport, lr=1.0)
            optimizer.step(g)
            return -optimizer.params

        for got in in_threads(ranks, weights):
            assert_same_bits(got, g)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6, 7, 8, 13])
def test_the_mean_is_a_sum_in_a_balanced_tree(k: int, dtype: Any, isa: str) -> None:
    rng = np.random.default_rng(k)
    for n in (0, 1, 511, 513, 100_003):
        parts = [rng.normal(size=n).astype(dtype) for _ in range(k)]
        wanted = sum_in_tree(parts) / dtype(7)
        for threads in (1, 2):
            own = [part.copy() for part in parts]
            with fo.use_isa(isa):
                _core.write_mean(own[k // 2], own, 7, threads)  # one of them
            assert_same_bits(own[k // 2], wanted)


def test_a_plan_refuses_slices_that_are_not_of_its_tensors() -> None:
    def exchanged(sums: Any) -> Any:
        return sums

    optimizer = fo.AdamW(np.ones(5000), clip_norm=1.0)
    with pytest.raises(ValueError, match="as many slices as tensors"):
        optimizer._plan.slice([], exchanged)
    optimizer._plan.slice([(0, 0, 3 * 4096)], exchanged)  # of which two of three chunks are here
    before = optimizer.params.copy()
    with pytest.raises(ValueError, match="two sums for each chunk of all"):
        optimizer.step(np.ones(5000))
    assert_same_bits(optimizer.params, before)


def test_the_mean_refuses_arrays_that_do_not_go_together() -> None:
    x = np.zeros(9)
    for arrays_, words in (
        ([x[:8], x[1:]], "share memory"),
        ([np.zeros(7)], "shape"),
        ([np.zeros(8, np.float32)], "float"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            _core.write_mean(x[:8], arrays_, 2)


def test_the_mean_of_16_bits_is_that_of_the_numbers(isa: str) -> None:
    rng = np.random.default_rng(0)
    for k in (1, 2, 3, 5, 8):
        exact = [to_bfloat16(rng.normal(size=5001).astype(np.float32)) for _ in range(k)]
        narrow = [fo.bfloat16((x.view(np.uint32) >> 16).astype(np.uint16)) for x in exact]
        got = np.zeros(5001, np.float32)
        with fo.use_isa(isa):
            _core.write_mean(got, narrow, k)
        assert_same_bits(got, sum_in_tree(exact) / np.float32(k))


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_narrow_wire_rounds_what_each_rank_has(ranks: int) -> None:
    """The own gradient too; float64 is sent as it is."""
    params = some_params()

    def rounded(g: np.ndarray) -> np.ndarray:
        return to_bfloat16(g) if g.dtype == np.float32 and ranks > 1 else g

    plain = fo.AdamW(tree.map_leaves(np.copy, params), clip_norm=1.0)
    for step in range(2):
        each = [arrays(gradient(params, k, step)) for k in range(2 * ranks)]
        sums = [[rounded(a + b) for a, b in zip(each[2 * r], each[2 * r + 1], strict=True)] for r in range(ranks)]
        means = [
            np.asarray(sum_in_tree(list(parts)) / parts[0].dtype.type(2 * ranks)) for parts in zip(*sums, strict=True)
        ]
        plain.step(tree.build(tree.skeleton(params), iter(means)))

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, params, 2 * ranks, 2, clip_norm=1.0, wire="bfloat16")
        assert_same(optimizer, plain)

    in_threads(ranks, job)


def test_a_narrow_wire_sends_half_the_bytes() -> None:
    sent: dict[str, int] = {"float32": 0, "bfloat16": 0}
    params = {"w": some_params()["w"], "big": some_params()["big"]}

    class Counting(Threads):
        wire = ""

        def post(self, sends: Any, receives: Any, about: int) -> Any:
            sent[self.wire] += sum(array.size for _, array in sends if about == 1)
            return super().post(sends, receives, about)

    def job(transport: Threads, wire: str) -> None:
        counting = Counting(transport.board, transport.rank)
        counting.wire = wire
        stepped(counting, fo.SGD, params, steps=1, wire=wire)

    for wire in sent:
        in_threads(2, lambda transport: job(transport, wire))  # noqa: B023
    assert sent["bfloat16"] == sent["float32"] // 2 > 0


def to_bfloat16(x: np.ndarray) -> np.ndarray:
    """To nearest, ties to even, as float32."""
    u = x.reshape(-1).view(np.uint32)
    return ((u + 0x7FFF + ((u >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).reshape(x.shape)
