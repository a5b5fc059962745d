"""An interrupt at any moment of any call, of optimizers that have been called in any order: the call is whole or was not.

What raises it is the handler of a timer. Of each method test_interrupts.py has the table; here they come in sequence.
"""

import copy
import gc
import json
import pickle
import random
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core.options import options_to_dict

from ..nests import bits, copied, gradients, normal
from ..nightly import NIGHTLY

INTERRUPTS = 200_000 if NIGHTLY else 400
CALLS = 60  # in the life of an optimizer
REFUSALS = (TypeError, ValueError, RuntimeError, FloatingPointError)

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer"),
    pytest.mark.filterwarnings("ignore:the .*hyper-parameters:UserWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # a file cut off while it was opened
]


class Interrupt(BaseException):
    """What the handler of the timer raises."""


class Timer:
    """Raises an interrupt in the call that follows, or shortly before or after it."""

    def __init__(self) -> None:
        self.latency = statistics.median(self._time_to_interrupt() for _ in range(50))

    def _time_to_interrupt(self) -> float:
        start = time.perf_counter()
        with suppress(Interrupt):
            signal.setitimer(signal.ITIMER_REAL, 1e-6)
            while True:
                pass
        return time.perf_counter() - start

    def interrupts(self, call: Callable[[], object], after: float) -> bool:
        """Whether it came within the call, meant to be so many seconds after its beginning."""
        begun = ended = False
        try:
            ready = time.perf_counter() + max(self.latency - after, 0.0)
            signal.setitimer(signal.ITIMER_REAL, max(after - self.latency, 1e-6))
            while time.perf_counter() < ready:
                pass
            begun = True
            call()
            ended = True
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.pthread_sigmask(signal.SIG_BLOCK, [])  # handles what is pending, also where 3.12.1 would be late
        except Interrupt:
            pass
        gc.collect(0)  # a `with` block whose very exit was cut off ends when its frame is freed
        return begun and not ended


@pytest.fixture
def timer() -> Iterator[Timer]:
    def interrupt(*_: Any) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # within a callback of the collector, which hypothesis has, an interrupt would be lost
    gc.freeze()  # so that collecting what is new takes no time
    yield Timer()
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    gc.unfreeze()
    gc.enable()


# -- optimizers --------------------------------------------------------------------------------------------------------

KINDS: list[tuple[type[fo.Optimizer], dict[str, Any]]] = [
    (fo.SGD, {}),
    (fo.Adam, {"ema": 0.9}),
    (fo.NAdam, {"nonfinite": "skip"}),
    (fo.ScheduleFreeAdamW, {"warmup_steps": 4}),
    (fo.NoisySGD, {"ema": 0.9}),
    (fo.Muon, {}),
    (fo.PolyakSGD, {}),
    (fo.SparseAdam, {}),
]


def group(seed: int) -> dict[str, Any]:
    """Matrices alone, for Muon has no others."""
    dtype = (np.float32, np.float64)[seed % 2]
    return {"params": {"w": normal(seed, 4, 3, dtype=dtype), "b": normal(seed + 1, 1, 3, dtype=dtype)}}


def saved(optimizer: fo.Optimizer) -> dict[str, Any]:
    return {name: part for name, part in optimizer.state_dict().items() if name != "state"}


def told_and_used(optimizer: fo.Optimizer) -> list[Any]:
    """The hyper-parameters of each group, told and as the next step takes them: a schedule's rate is found anew there."""
    assert all(own is each._values for own, each in zip(optimizer._values, optimizer.groups, strict=True))
    used = [[each.current_lr, *np.delete(each._values, each._lr_at)] for each in optimizer.groups]
    return [repr(optimizer.groups), used]


def options(optimizer: fo.Optimizer) -> dict[str, Any]:
    """The common keywords, told and used; those of a single call come anew with each."""
    used = options_to_dict(optimizer._options)
    assert (used.pop("grad_scale"), used.pop("zero_grads")) == (optimizer._grad_scale, optimizer._zero_grads)
    return {name: getattr(optimizer, name) for name in fo.Common.__annotations__} | {"used": used}


def everything(optimizer: fo.Optimizer) -> dict[str, Any]:
    """All that a call may change; that it can be had says that the optimizer is free."""
    optimizer._plan.begin(optimizer._options)  # states that begin at the weights do so at the latest in the first step
    return {
        "params": bits(optimizer.params),
        "state": {name: bits(nest) for name, nest in optimizer.state.items()},
        "counters": repr((optimizer.t, optimizer.skipped, optimizer.accumulated, optimizer.last_grad_norm)),
        "steps": [n for own in optimizer.steps for n in own.values()],
        "frozen": [frozen for _, frozen in optimizer._plan.members],
        "hyper-parameters": told_and_used(optimizer),
        "options": options(optimizer),
        "saved": saved(optimizer),
    }


def names(optimizer: fo.Optimizer, *wanted: str) -> list[str]:
    return [name for name in wanted if name in optimizer.groups[0]._arguments]


# -- what one can do with them -----------------------------------------------------------------------------------------


@dataclass
class World:
    """What the calls of one life share."""

    rng: random.Random
    optimizer: fo.Optimizer
    folder: Path
    states: list[dict[str, Any]]

    def grads(self) -> Any:
        return gradients(self.optimizer.params, self.rng.randrange(10**6))

    def keys(self) -> list[Any]:
        return list(self.optimizer._index)

    def value(self) -> dict[str, Any]:
        return {"value": self.rng.uniform(0, 2)} if isinstance(self.optimizer, fo.PolyakSGD) else {}


Call = Callable[[fo.Optimizer], object]


def step(world: World) -> Call:
    grads, more = world.grads(), world.value()
    more |= world.rng.choice([{}, {}, {"lr": 0.3}, {"zero_grads": True}, {"grad_scale": 2.0}])
    if world.optimizer.nonfinite != "propagate" and world.rng.random() < 0.3:
        grads[0]["w"][0] = np.nan
    return lambda optimizer: optimizer.step(copied(grads), **more)


def step_of_rows(world: World) -> Call:
    grads, more = world.grads(), world.value()
    rows = np.array([2, 0, 2])

    def call(optimizer: fo.Optimizer) -> None:
        optimizer.step([{**own, "w": fo.RowGrad(rows, own["w"][rows])} for own in grads], **more)

    return call


def bound_step(world: World) -> Call:
    grads, more = world.grads(), world.value()

    def call(optimizer: fo.Optimizer) -> None:
        optimizer.bind(copied(grads))
        optimizer.step(**more)

    return call


def flush(world: World) -> Call:
    more = world.value()
    return lambda optimizer: optimizer.flush(**more)


def block(world: World) -> Call:
    """Some parameters are left out, and those that are frozen."""
    free = [key for key, (_, frozen) in zip(world.keys(), world.optimizer._plan.members, strict=True) if not frozen]
    grads, lr = world.grads(), world.rng.choice([None, 0.3])
    chosen = world.rng.sample(free, world.rng.randint(0, len(free)))

    def call(optimizer: fo.Optimizer) -> None:
        with optimizer.stepping(lr=lr):
            for k, name in chosen:
                optimizer.update((k, name), grads[k][name])

    return call


def rebind(world: World) -> Call:
    return lambda optimizer: optimizer.rebind(copied(optimizer.params))


def freeze(world: World) -> Call:
    keys = world.rng.sample(world.keys(), 2)
    return lambda optimizer: optimizer.freeze(*keys)


def thaw(world: World) -> Call:
    keys = world.rng.choice([[()], world.rng.sample(world.keys(), 2)])
    return lambda optimizer: optimizer.thaw(*keys)


def add_group(world: World) -> Call:
    if len(world.optimizer.groups) > 3:
        return step(world)
    world.states.clear()
    seed, lr = world.rng.randrange(100), world.rng.uniform(0, 0.1)
    return lambda optimizer: optimizer.add_group({**group(seed), "lr": lr})


def set_lr(world: World) -> Call:
    lr = world.rng.choice([0.05, 0.1, fo.schedules.inverse_sqrt(0.1, n=5), fo.schedules.exponential(0.1, 0.9)])
    k = world.rng.randrange(len(world.optimizer.groups))
    of_all = world.rng.random() < 0.5
    return lambda optimizer: setattr(optimizer if of_all else optimizer.groups[k], "lr", lr)


def set_hyper(world: World) -> Call:
    name = world.rng.choice(names(world.optimizer, "weight_decay", "betas", "eps", "momentum", "eta", "r") or ["lr"])
    value: Any = world.rng.uniform(0.01, 0.9)
    k = world.rng.randrange(len(world.optimizer.groups))
    return lambda optimizer: setattr(optimizer.groups[k], name, (value, 0.99) if name == "betas" else value)


OPTIONS: dict[str, list[Any]] = {
    "clip_norm": [None, 0.5, 2.0],
    "clip_value": [None, 0.5],
    "accumulate": [1, 1, 2, 3],
    "nonfinite": ["propagate", "propagate", "skip", "raise"],
    "maximize": [False, True],
    "ema_bias_correction": [False, True],
    "ema_start": ["zero", "weights"],
    "num_threads": [None, 1, 2],
    "ema": [0.9, 0.5],
    "t": [0, 3, 17],
    "skipped": [0, 1],
}


def set_option(world: World) -> Call:
    name = world.rng.choice(list(OPTIONS))
    value = world.rng.choice(OPTIONS[name])
    return lambda optimizer: setattr(optimizer, name, value)


def load_state_dict(world: World) -> Call:
    if len(world.states) < 3:
        with suppress(RuntimeError):
            world.states.append(world.optimizer.state_dict())
    state, hyper = world.rng.choice(world.states), world.rng.choice(["saved", "program"])
    return lambda optimizer: optimizer.load_state_dict(state, hyper=hyper)


def save(world: World) -> Call:
    twin = world.optimizer
    return lambda optimizer: optimizer.save(world.folder / ("twin" if optimizer is twin else "own"), metadata={"n": 3})


def load(world: World) -> Call:
    """Of a file that was saved before, by the twin."""
    return lambda optimizer: optimizer.load(world.folder / "twin")


def use_average(world: World) -> Call:
    block = "using_ema" if "ema" in world.optimizer.state else "averaged"
    if not hasattr(world.optimizer, block):
        return read(world)

    def call(optimizer: Any) -> None:
        with getattr(optimizer, block)():
            pass

    return call


def read(world: World) -> Call:
    return world.rng.choice([repr, copy.deepcopy, pickle.dumps, saved, fo.Optimizer.state_dict, lambda o: o.current_lr])


DRAWN = [
    *[step] * 5,
    *[step_of_rows, bound_step, flush, rebind, freeze, thaw, add_group],
    *[block, set_lr, set_hyper, set_option, load_state_dict] * 2,
    *[save, load, use_average, read],
]


# -- the test ----------------------------------------------------------------------------------------------------------


def refusal(call: Call, optimizer: fo.Optimizer) -> str:
    try:
        call(optimizer)
    except REFUSALS as error:
        return repr(error)
    return ""


def content(path: Path) -> tuple[Any, bytes]:
    """Of a checkpoint, in whose header the order of names is anyone's."""
    header = path.read_bytes()
    size = 8 + int.from_bytes(header[:8], "little")
    return json.loads(header[8:size]), header[size:]


def of_each(found: dict[str, Any], *without: str) -> list[tuple[bytes, ...]]:
    """The bits of each parameter and its states."""
    nests = [found["params"], *(nest for name, nest in found["state"].items() if name not in without)]
    return list(zip(*nests, strict=True))


def check_block(before: dict[str, Any], after: dict[str, Any], now: dict[str, Any]) -> None:
    """Each parameter is as before its update or as after it, and counts its own step; `t` counts if any was updated.

    At the end of a block that counts, all get new noise, and weights that stay are averaged too.
    """
    own = [of_each(found, "noise", "ema") for found in (before, now)]
    new = [was != is_now for was, is_now in zip(*own, strict=True)]
    pairs = zip(of_each(after, "noise"), of_each(now, "noise"), new, strict=True)
    assert all(to_be == is_now for to_be, is_now, updated in pairs if updated), "half a tensor was updated"
    assert now["steps"] == [n + updated for n, updated in zip(before["steps"], new, strict=True)]
    as_whole = after if any(new) else before
    assert now["state"].get("noise") == as_whole["state"].get("noise")
    for name in ("counters", "frozen", "hyper-parameters", "options"):
        assert now[name] == as_whole[name], name


def check(before: dict[str, Any], after: dict[str, Any], now: dict[str, Any]) -> None:
    of = {name: (now[name] == before[name], now[name] == after[name]) for name in now}
    assert now in (before, after), f"half of it; each as before, as after: {of}"


def live(make: type[fo.Optimizer], options: dict[str, Any], rng: random.Random, timer: Timer, folder: Path) -> int:
    """Calls of an optimizer, each interrupted, beside those of a twin, which are not; returns how many were met."""
    optimizer, twin = (make([group(0), group(7)], **options) for _ in range(2))  # type: ignore[arg-type]
    own, of_twin, states = folder / "own", folder / "twin", [twin.state_dict()]
    optimizer.save(own), twin.save(of_twin)
    inside, after, old = 0, everything(twin), content(own)
    for _ in range(CALLS):
        draw = rng.choice(DRAWN)
        call = draw(World(rng, twin, folder, states))
        before = after
        start = time.perf_counter()
        refused = refusal(call, twin)
        duration = time.perf_counter() - start
        after = everything(twin)
        inside += timer.interrupts(partial(refusal, call, optimizer), rng.uniform(-0.1, 1.0) * duration)
        now = everything(optimizer)
        (check_block if draw is block else check)(before, after, now)
        if draw is save:
            new = content(of_twin)
            assert sorted(folder.iterdir()) == [own, of_twin] and content(own) in (old, new)
            old = new
        if now == before:
            assert refusal(call, optimizer) == refused
            now = everything(optimizer)
        if draw is block and now != after:
            twin = copy.deepcopy(optimizer)
            after = everything(twin)
        assert now == after
    return inside


@pytest.mark.parametrize(("make", "options"), KINDS, ids=lambda part: getattr(part, "__name__", ""))
def test_any_call(make: type[fo.Optimizer], options: dict[str, Any], timer: Timer, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    rng, inside = random.Random(0), 0
    while inside < INTERRUPTS // len(KINDS):
        inside += live(make, options, rng, timer, tmp_path)
