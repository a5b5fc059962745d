"""Ctrl-C at any moment: weights, states and counters are those before a call or those after it."""

import gc
import os
import pickle
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.saved import counts

from ..nests import arrays, bits, gradients, normal, snapshot

PARALLEL = fo._core.parallel_threshold
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    time.sleep(float(line))
    os.kill(os.getppid(), signal.SIGINT)
"""


@pytest.fixture(scope="module")
def interrupt_after() -> Iterator[Callable[[float], object]]:
    """Another process sends a SIGINT, so many seconds after this returns or a little sooner or later."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    gc.disable()  # within a callback of the collector, which hypothesis has, an interrupt would be lost
    gc.freeze()  # so that collecting what is new takes no time
    with subprocess.Popen([sys.executable, "-c", SENDER], stdin=subprocess.PIPE) as sender:
        assert sender.stdin
        pipe, latency = sender.stdin.fileno(), 0.0

        def arm(seconds: float) -> None:
            os.write(pipe, f"{seconds:.6f}\n".encode())
            ready = time.perf_counter() + rng.uniform(0, 2 * latency)  # where a call is shorter, some signals meet it
            while time.perf_counter() < ready:
                pass

        rng = np.random.default_rng(0)
        latency = statistics.median(time_to_interrupt(arm) for _ in range(20))
        yield arm
        sender.stdin.close()
    gc.enable()
    signal.signal(signal.SIGINT, before)


def interrupted(call: Callable[[], None], arm: Callable[[], object]) -> bool:
    """Whether the one signal that comes interrupted the call; else it comes soon before or after."""
    begun = ended = False
    try:
        arm()
        begun = True
        call()
        ended = True
        wait_for_it()
    except KeyboardInterrupt:
        pass
    gc.collect()  # a `with` block whose very exit was cut off ends when its frame is freed
    return begun and not ended


def wait_for_it() -> None:
    deadline = time.perf_counter() + 60
    while time.perf_counter() < deadline:  # in short naps: the signal may reach another thread, and wake nobody
        time.sleep(1e-4)
    raise AssertionError("no signal came")


def time_to_interrupt(arm: Callable[[float], object]) -> float:
    start = time.perf_counter()
    try:
        arm(0.0)
        wait_for_it()
    except KeyboardInterrupt:
        pass
    return time.perf_counter() - start


def counters(optimizer: fo.Optimizer) -> tuple[Any, ...]:
    return optimizer.t, optimizer.accumulated, optimizer.skipped, counts.view(optimizer)


def schedule(t: int) -> float:
    return 0.1 / t


def in_groups(optimizer: type[fo.Optimizer], nest: Any, **options: Any) -> fo.Optimizer:
    body, head = nest
    return optimizer([{"params": body, "lr": schedule}, {"params": head}], **options)


STEPS: dict[str, Callable[[Any], fo.Optimizer]] = {
    "step": fo.Adam,
    "mean": lambda nest: fo.Adam(nest, accumulate=3, ema=0.9),
    "clipped and skipped": lambda nest: fo.Momentum(nest, clip_norm=1.0, nonfinite="skip", accumulate=2),
    "groups": lambda nest: in_groups(fo.RMSProp, nest, clip_norm=1.0),
    "carried": lambda nest: in_groups(fo.ScheduleFreeAdamW, nest),
    "noise": lambda nest: fo.NoisySGD(nest),
    "matrix passes": lambda nest: fo.Adafactor(nest),
    "matrix products": lambda nest: fo.Muon([w.reshape(-1, 4) for w in nest], ema=0.9),
}


def nest() -> list[np.ndarray]:
    return [normal(0, 2 * PARALLEL), normal(1, 8)]


@pytest.mark.parametrize("way", STEPS)
def test_interrupted_step(way: str, interrupt_after: Callable[[float], object]) -> None:
    optimizer, twin = STEPS[way](nest()), STEPS[way](nest())
    rng, inside = np.random.default_rng(0), 0
    for call in range(500):
        if call >= 25 and inside > 3:  # on a busy machine the signal is late, and few calls are interrupted
            break
        grads = gradients(twin.params, call)
        if call % 5 == 4 and "skipped" in way:
            grads[1][3] = np.nan
        before = snapshot(twin), counters(twin)
        start = time.perf_counter()
        twin.step(grads)
        duration = time.perf_counter() - start
        delay = rng.uniform(0, 1.5 * duration)
        inside += interrupted(lambda grads=grads: optimizer.step(grads), lambda delay=delay: interrupt_after(delay))
        if counters(optimizer) == before[1]:
            assert snapshot(optimizer) == before[0], "changed, and not counted"
            optimizer.step(grads)
        assert counters(optimizer) == counters(twin)
        assert snapshot(optimizer) == snapshot(twin), "counted, and not as after a step"
    assert inside > 0


def of_each(optimizer: fo.Optimizer) -> list[list[bytes]]:
    """The bits of each parameter and its states."""
    nests = [optimizer.params, *optimizer.state.values()]
    return [bits(list(each)) for each in zip(*map(arrays, nests), strict=True)]


@pytest.mark.parametrize("make", [fo.Adam, fo.ScheduleFreeAdamW], ids=["Adam", "carried"])
def test_interrupted_block(make: type[fo.Optimizer], interrupt_after: Callable[[float], object]) -> None:
    """Each parameter is as before its update or as after it, and counts its own step; `t` counts if any was updated."""
    optimizer, twin = make(nest()), make(nest())
    rng, inside = np.random.default_rng(0), 0

    def step(which: fo.Optimizer, grads: Any) -> None:
        with which.stepping():
            for key, g in enumerate(grads):
                which.update(key, g)

    for call in range(500):
        if call >= 25 and inside > 3:
            break
        grads = gradients(nest(), call)
        before, t, steps = of_each(twin), twin.t, list(twin.steps)
        start = time.perf_counter()
        step(twin, grads)
        delay = rng.uniform(0, 1.5 * (time.perf_counter() - start))
        inside += interrupted(lambda grads=grads: step(optimizer, grads), lambda delay=delay: interrupt_after(delay))
        new = [now != old for now, old in zip(of_each(optimizer), before, strict=True)]
        pairs = zip(of_each(optimizer), of_each(twin), new, strict=True)
        assert all(now == after for now, after, updated in pairs if updated), "half a tensor was updated"
        counted = [n + updated for n, updated in zip(steps, new, strict=True)]
        assert (optimizer.t, list(optimizer.steps)) == (t + any(new), counted), "not counted as it should"
        if not any(new):
            step(optimizer, grads)
        twin.load_state_dict(optimizer.state_dict())
        for w, other in zip(twin.params, optimizer.params, strict=True):
            np.copyto(w, other)
    assert inside > 0


def test_an_interrupted_call_leaves_the_optimizer_free(interrupt_after: Callable[[float], object]) -> None:
    """Of many short calls each is interrupted once, and the next is let in."""
    optimizer = fo.Adam(normal(0, 3))
    g, rng = normal(1, 3), np.random.default_rng(0)

    def calls() -> None:
        for _ in range(2000):
            optimizer.step(g)
            optimizer.state_dict()

    for _ in range(60):
        delay = rng.uniform(0, 1e-3)
        interrupted(calls, lambda delay=delay: interrupt_after(delay))
        optimizer.step(g)


def in_use(optimizer: Any, block: str) -> None:
    with getattr(optimizer, block)():
        pass


def rates(optimizer: fo.Optimizer) -> tuple[Any, ...]:
    """What is told of the learning rate, what a step would take, and what would be saved."""
    told = [(group.lr, group.current_lr) for group in optimizer.groups]
    return told, pickle.dumps(optimizer._values), pickle.dumps(optimizer.state_dict()["groups"])


# What each makes of an optimizer: that, or nothing.
CALLS: dict[str, Callable[[fo.Optimizer, dict[str, Any], Path], None]] = {
    "load_state_dict": lambda optimizer, saved, file: optimizer.load_state_dict(saved),
    "load": lambda optimizer, saved, file: optimizer.load(file),
    "using_ema": lambda optimizer, saved, file: in_use(optimizer, "using_ema"),
    "averaged": lambda optimizer, saved, file: in_use(optimizer, "averaged"),
    "freeze and thaw": lambda optimizer, saved, file: (optimizer.freeze(0), optimizer.thaw(0)),  # type: ignore[dict-item]
    "add_group": lambda optimizer, saved, file: optimizer.add_group({"params": [normal(2, 5)]}),
    "add_group with noise": lambda optimizer, saved, file: optimizer.add_group({"params": [normal(2, 20_000)]}),
    "lr": lambda optimizer, saved, file: setattr(optimizer, "lr", 0.5),
    "lr of a group": lambda optimizer, saved, file: setattr(optimizer.groups[0], "lr", schedule),
    "weight_decay": lambda optimizer, saved, file: setattr(optimizer.groups[0], "weight_decay", 0.5),
}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file cut off while it was opened
@pytest.mark.parametrize("name", CALLS)
def test_interrupted_call(name: str, interrupt_after: Callable[[float], object], tmp_path: Path) -> None:
    """What it changes, it changes wholly, and a step can follow."""
    if name == "load":
        pytest.importorskip("safetensors", reason="safetensors is not installed")

    kind = fo.NoisySGD if "noise" in name else fo.ScheduleFreeAdamW

    def made(seed: int) -> fo.Optimizer:
        groups = [{"params": normal(seed, 20_000)} for _ in range(8)]
        optimizer = kind(groups, ema=0.9, accumulate=2)
        for call in range(3):
            optimizer.step(gradients(optimizer.params, seed + call))
        return optimizer

    call, rng, inside = CALLS[name], np.random.default_rng(0), 0
    saved, file = made(7).state_dict(), tmp_path / "run.safetensors"
    if name == "load":
        made(7).save(file)
    before, after, frozen = made(1), made(1), made(1)
    frozen.freeze(0)  # between the two calls of one of these
    start = time.perf_counter()
    call(after, saved, file)
    duration = time.perf_counter() - start
    for _ in range(200):
        if inside > 6:
            break
        optimizer = made(1)
        delay = rng.uniform(0, 1.5 * duration)
        inside += interrupted(
            lambda optimizer=optimizer: call(optimizer, saved, file), lambda delay=delay: interrupt_after(delay)
        )
        now = snapshot(optimizer), counters(optimizer), rates(optimizer)
        assert any(now == (snapshot(o), counters(o), rates(o)) for o in (before, after, frozen)), "half of it"
        if any(is_frozen for _, is_frozen in optimizer._plan.members):
            optimizer.thaw(0)
        optimizer.step(gradients(optimizer.params, 9))
    assert inside > 0


class Rate:
    """A learning rate with a `__float__` of its own, as JAX's scalars have."""

    raised: BaseException | None = None

    def __float__(self) -> float:
        if self.raised is not None:
            raise self.raised
        return 0.1


RAISED = [KeyboardInterrupt(), SystemExit(3), MemoryError("of theirs"), ZeroDivisionError()]


@pytest.mark.parametrize("raised", RAISED, ids=repr)
def test_what_is_raised_inside_a_number_passes(raised: BaseException) -> None:
    optimizer, rate, w = fo.SGD(np.ones(2)), Rate(), np.ones(2)
    rate.raised = raised
    calls = (
        lambda: optimizer.step(np.ones(2), lr=rate),  # type: ignore[arg-type]
        lambda: setattr(optimizer, "lr", rate),
        lambda: setattr(optimizer.groups[0], "weight_decay", rate),
        lambda: fo.kernels.sgd(w, np.ones(2), lr=rate),
        lambda: fo.Adam(np.ones(2), lr=rate),  # type: ignore[arg-type]
    )
    for call in calls:
        with pytest.raises(type(raised)) as caught:
            call()
        assert caught.value is raised
    assert np.array_equal(optimizer.params, np.ones(2)) and np.array_equal(w, np.ones(2))
    assert optimizer.t == 0 and optimizer.lr == 1e-2
    rate.raised = TypeError()  # what says that it is no number
    for call in calls:
        with pytest.raises(TypeError, match=r"^(lr|weight_decay) must be .*, got .*Rate"):
            call()


def raising_once(function: Callable[..., Any], when: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
    """The function, which is interrupted at its end the first time that this holds of its arguments."""
    raised: list[bool] = []

    def call(*args: Any) -> Any:
        result = function(*args)
        if not raised and when(*args):
            raised.append(True)
            raise KeyboardInterrupt
        return result

    return call


@pytest.mark.parametrize("call", ["block", "flush"])
def test_noise_is_that_of_the_next_step(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the interrupt comes between the end of a step and the drawing."""
    optimizer, twin = (fo.NoisySGD(normal(0, 5), accumulate=1 if call == "block" else 2) for _ in range(2))

    def step(which: fo.Optimizer) -> None:
        if call == "block":
            with which.stepping():
                which.update((), normal(1, 5))
        else:
            which.step(normal(1, 5))
            which.flush()

    step(twin)
    is_over = lambda which, t: which.t != t
    follow = fo.NoisySGD._follow
    interrupted_before = raising_once(lambda *_: None, is_over)
    monkeypatch.setattr(fo.NoisySGD, "_follow", lambda *args: (interrupted_before(*args), follow(*args)))
    with pytest.raises(KeyboardInterrupt):
        step(optimizer)
    assert snapshot(optimizer) == snapshot(twin)


def test_an_interrupt_while_the_keywords_of_a_step_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer, twin = fo.SGD(normal(0, 5)), fo.SGD(normal(0, 5))
    keywords: dict[str, Any] = {"grad_scale": 4.0, "zero_grads": True}
    is_set = lambda _, name, value: name == "_grad_scale" and value == 4.0
    monkeypatch.setattr(fo.SGD, "__setattr__", raising_once(object.__setattr__, is_set))
    with pytest.raises(KeyboardInterrupt):
        optimizer.step(normal(1, 5), **keywords)
    for which in optimizer, twin:
        which.step(normal(1, 5), **keywords)
    assert snapshot(optimizer) == snapshot(twin)


def test_an_interrupt_while_a_block_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = fo.SGD(normal(0, 5))

    def interrupted(self: fo.Optimizer, name: str, value: Any) -> None:
        if name == "_block" and value is None:
            raise KeyboardInterrupt
        object.__setattr__(self, name, value)

    monkeypatch.setattr(fo.SGD, "__setattr__", interrupted)
    with suppress(KeyboardInterrupt), optimizer.stepping():
        optimizer.update((), normal(1, 5))
    optimizer.step(normal(1, 5))
    assert optimizer.t == 2


def test_a_group_that_is_refused_leaves_the_noise() -> None:
    optimizer = fo.NoisySGD(normal(0, 5))
    optimizer.t = 7
    before = snapshot(optimizer)
    with pytest.raises(TypeError):
        optimizer.add_group({"params": "nothing"})
    assert snapshot(optimizer) == before
