"""What is wrong on one rank is an error on all, which names it, and nothing has changed on any."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.distributed import Sharded
from fusedoptim.distributed.threads import Threads

from ..nests import bits
from .ranks import BUCKET, gradient, in_threads, outcomes, some_params, stepped, train

RANKS = 3


def made(transport: Threads, odd: int, **of_odd: Any) -> Sharded:
    """An optimizer that differs on one rank."""
    given: dict[str, Any] = {"cls": fo.AdamW, "params": some_params(), "lr": 0.1}
    cls, params, *_ = (given | (of_odd if transport.rank == odd else {})).values()
    keywords = {"lr": 0.1} | {k: v for k, v in of_odd.items() if transport.rank == odd and k not in ("cls", "params")}
    return Sharded(cls, params, transport, **({"bucket_bytes": BUCKET} | keywords))


def other_params(**changed: Any) -> dict[str, Any]:
    return some_params() | changed


DIFFERENCES: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"cls": fo.Adam}, "same optimizer: on rank 0 it is 'AdamW', on rank 1 'Adam'"),
    "rate": ({"lr": 0.2}, "same lr: on rank 0 it is '0.1', on rank 1 '0.2'"),
    "option": ({"clip_norm": 1.0}, "same clip_norm: on rank 0 it is missing, on rank 1 '1.0'"),
    "wire": ({"wire": "bfloat16"}, "same wire"),
    "minibatches": ({"minibatches": 6}, "same minibatches: on rank 0 it is 3, on rank 1 6"),
    "shape": ({"params": other_params(w=np.zeros((5, 3000), np.float32))}, r'same params["w"]'),
    "dtype": ({"params": other_params(w=np.zeros((3, 5000)))}, "on rank 1 'float64 of shape (3, 5000)'"),
    "values": ({"params": some_params(1)}, 'same values of params["w"]'),
    "names": ({"params": {"v" * (k == "w") or k: a for k, a in some_params().items()}}, 'same params["w"]'),
    "order": ({"params": dict(reversed(some_params().items()))}, "same order of the parameters"),
    "groups": ({"params": [{"params": some_params()}]}, 'params["w"]'),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_ranks_that_are_made_differently(name: str) -> None:
    of_odd, words = DIFFERENCES[name]
    for error in outcomes(RANKS, lambda transport: made(transport, 1, **of_odd)):
        assert isinstance(error, ValueError) and words in str(error)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "class": ({"cls": np.ndarray}, "cls must be a class of optimizers"),
    "rows": ({"cls": fo.SparseAdam}, "take Adam"),
    "rate": ({"lr": -1.0}, "lr must be"),
    "keyword": ({"lrr": 1.0}, "lrr"),
    "accumulate": ({"accumulate": 2}, "give minibatches"),
    "wire": ({"wire": "float16"}, 'wire must be "float32" or "bfloat16"'),
    "minibatches": ({"minibatches": 4}, "multiple of the 3 ranks, got 4"),
    "timeout": ({"timeout": 0}, "timeout must be"),
    "bucket_bytes": ({"bucket_bytes": 0.5}, "bucket_bytes must be"),
    "weight": ({"params": other_params(w=[1.0])}, 'params["w"]'),
    "dtype": ({"params": other_params(w=np.zeros(3, int))}, "int64"),
    "group": ({"params": [{"params": some_params(), "foo": 1}]}, "foo"),
}


@pytest.mark.parametrize("odd", range(RANKS))
@pytest.mark.parametrize("name", REFUSED)
def test_a_rank_that_is_refused(name: str, odd: int) -> None:
    of_odd, words = REFUSED[name]
    errors = outcomes(RANKS, lambda transport: made(transport, odd, **of_odd))
    assert all(words in str(error) for error in errors)
    others = [error for rank, error in enumerate(errors) if rank != odd]
    assert all(isinstance(e, RuntimeError) and f"rank {odd} has refused" in str(e) for e in others)


def call_of_step(**keywords: Any) -> Callable[[Sharded], None]:
    return lambda optimizer: optimizer.step(gradient(some_params(), 0, 1), **keywords)


def with_grads(**changed: Any) -> Callable[[Sharded], None]:
    return lambda optimizer: optimizer.step(gradient(some_params(), 0, 1) | changed)


def set_before(name: str, value: Any) -> Callable[[Sharded], None]:
    def call(optimizer: Sharded) -> None:
        setattr(optimizer, name, value)
        optimizer.step(gradient(some_params(), 0, 1))

    return call


def freeze_before(optimizer: Sharded) -> None:
    optimizer.freeze("w")
    optimizer.step(gradient(some_params(), 0, 1))


class Once:
    """A schedule that gives its rate when it is set, and then no more."""

    asked = 0

    def __call__(self, t: int) -> float:
        self.asked += 1
        return 0.1 if self.asked == 1 else 1 / 0


STEPS: dict[str, tuple[Callable[[Sharded], None], str]] = {
    "shape": (with_grads(w=np.zeros((3, 4999), np.float32)), 'grads["w"]'),
    "dtype": (with_grads(w=np.zeros((3, 5000))), 'grads["w"]'),
    "list": (with_grads(w=[0.0]), 'grads["w"]'),
    "missing": (lambda optimizer: optimizer.step({}), "missing"),
    "grad_scale": (call_of_step(grad_scale=0.0), "grad_scale"),
    "zero_grads": (call_of_step(zero_grads="yes"), "zero_grads"),
    "keyword": (call_of_step(value=1.0), "value"),
    "lr of a step": (call_of_step(lr=-1.0), "lr"),
    "another lr of a step": (call_of_step(lr=0.5), "lr"),
    "another grad_scale": (call_of_step(grad_scale=2.0), "same grad_scale: on rank 0 it is"),
    "another lr": (set_before("lr", 0.25), "same lr of groups[0]: on rank 0 it is"),
    "a schedule that raises": (lambda optimizer: set_before("lr", Once())(optimizer), "ZeroDivisionError"),
    "frozen": (freeze_before, "same frozen parameters"),
}


@pytest.mark.parametrize("odd", range(RANKS))
@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_one_rank_refuses_or_takes_differently(name: str, odd: int) -> None:
    call, words = STEPS[name]
    raised = []

    def job(transport: Threads) -> bytes:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1, lr=0.1)
        before = bits(optimizer.params, *[t.states for t in optimizer._inner._tensors])
        with pytest.raises((TypeError, ValueError, RuntimeError, ZeroDivisionError)) as found:
            (call if transport.rank == odd else call_of_step())(optimizer)
        raised.append(f"{found.type.__name__}: {found.value}")
        assert bits(optimizer.params, *[t.states for t in optimizer._inner._tensors]) == before
        assert optimizer.t == 1
        optimizer.lr = 0.1
        optimizer.thaw("w")
        train(optimizer, some_params(), 1, first=1)  # all go on
        return b"".join(bits(optimizer.params))

    ends = in_threads(RANKS, job)
    assert len(raised) == RANKS and all(words in each for each in raised), raised
    assert (
        ends
        == [in_threads(RANKS, lambda t: b"".join(bits(stepped(t, fo.AdamW, some_params(), steps=2, lr=0.1).params)))[0]]
        * RANKS
    )


@pytest.mark.parametrize("odd", range(RANKS))
@pytest.mark.parametrize("nonfinite", ["skip", "raise"])
def test_a_gradient_that_is_not_finite_on_one_rank(nonfinite: str, odd: int) -> None:
    """Of the last element, which another rank owns."""

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.LAMB, some_params(), steps=1, nonfinite=nonfinite)
        before, grads = bits(optimizer.params), gradient(some_params(), 0, 1)
        if transport.rank == odd:
            grads["big"][-1] = np.nan
        if nonfinite == "skip":
            optimizer.step(grads)
        else:
            with pytest.raises(FloatingPointError, match=re.escape('grads["big"] is not finite')):
                optimizer.step(grads)
        assert (bits(optimizer.params), optimizer.t, optimizer.skipped) == (before, 1, 1)
        train(optimizer, some_params(), 1, first=1)
        assert optimizer.t == 2

    in_threads(RANKS, job)


@pytest.mark.parametrize(
    "use_first",
    [
        lambda optimizer, path: optimizer.step(gradient(some_params(), 0, 1)),
        lambda optimizer, path: optimizer.save(path),
        lambda optimizer, path: optimizer.using_ema().__enter__(),
        lambda optimizer, path: optimizer.gather_state(),
    ],
    ids=["step", "save", "using_ema", "gather_state"],
)
def test_an_exchange_that_is_cut_off_marks_the_optimizer_until_it_is_loaded(
    use_first: Callable[[Sharded, Any], None], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.safetensors"

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1, ema=0.5)
        optimizer.save(path)
        wanted = bits(optimizer.params)
        with monkeypatch.context() as patch:
            patch.setattr(transport, "test", lambda request: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                use_first(optimizer, path)
        for use in (
            optimizer.step,
            lambda: optimizer.save(path),
            lambda: optimizer.freeze("w"),
            optimizer.gather_state,
        ):
            with pytest.raises(RuntimeError, match="load a checkpoint on all ranks"):
                use()
        optimizer.load(path)
        assert bits(optimizer.params) == wanted
        train(optimizer, some_params(), 1)
        assert optimizer.t == 2

    in_threads(2, job)


def test_a_rank_that_does_not_come_is_an_error_on_the_others_and_what_it_sends_late_is_not_taken(tmp_path: Any) -> None:
    path = tmp_path / "run.safetensors"

    def job(transport: Threads) -> list[bytes]:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1, timeout=0.2)
        optimizer.save(path)
        if transport.rank == 1:  # in its own time, after the others have given up
            transport.timeout = 1.0
            late = transport.post([(0, np.ones(8, np.uint8)), (2, np.ones(8, np.uint8))], [], 0)
            assert transport.test(late)
        else:
            with pytest.raises(TimeoutError, match=r"has waited 0.2 s for the other ranks"):
                train(optimizer, some_params(), 1)
        transport.timeout = 30
        optimizer.load(path)
        train(optimizer, some_params(), 1, first=1)
        return bits(optimizer.params)

    ends = in_threads(RANKS, job)
    wanted = in_threads(RANKS, lambda t: bits(stepped(t, fo.AdamW, some_params(), steps=2).params))
    assert ends == wanted
