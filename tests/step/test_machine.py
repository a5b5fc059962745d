"""Any sequence of what one can do with an optimizer leaves the bits of the NumPy reference.

The model is the specification on plain arrays, and counts for each of them.
"""

import contextlib
import copy
import hashlib
import math
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import CASES, KINDS, Case, carry
from ..nests import arrays, bits, copied, normal
from ..nightly import NIGHTLY

# One of each structure, and one whose state is made of the weights, and whose numbers follow from the rates before.
MODELLED = [case for case in KINDS if not case.optimizer._follows]
MODELLED += [next(case for case in CASES if case.optimizer is fo.ScheduleFreeAdamW)]
SIZES = [1, 33, 4097, fo._core.parallel_threshold + 5]
PLACES: list[tuple[Any, ...]] = [("w",), ("deep", 0)]  # of each group

seeds, rates = st.integers(0, 1000), st.sampled_from([1e-3, 0.1, 0.5])
Grads = list[np.ndarray]


@dataclass
class Parameter:
    """One weight of the model."""

    place: tuple[Any, ...]
    w: np.ndarray
    carried: Any  # from step to step
    state: Grads = field(default_factory=list)  # of its first step on
    ema: np.ndarray | None = None  # of the first step of the optimizer that finds it there
    steps: int = 0
    averages: int = 0
    frozen: bool = False


class Machine(RuleBasedStateMachine):
    case: Case

    @initialize(
        accumulate=st.sampled_from([1, 1, 2]),
        clip_norm=st.sampled_from([None, 0.5]),
        ema=st.sampled_from([None, 0.9]),
        lr=rates,
    )
    def begin(self, accumulate: int, clip_norm: float | None, ema: float | None, lr: float) -> None:
        self.t = 0
        self.options: dict[str, Any] = {"accumulate": accumulate, "clip_norm": clip_norm, "ema": ema}
        self.options |= {"clip_value": None, "maximize": False}
        self.minibatches: list[Grads] = []
        self.model: list[Parameter] = []
        self.rates: list[float] = []
        self.isa = contextlib.ExitStack()
        self.optimizer = self.case.make([self.group(33, lr, 0), self.group(4097, 0.1, 1)], **self.options)

    def group(self, n: int, lr: float, seed: int) -> dict[str, Any]:
        dtype = (np.float32, np.float64)[seed % 2]
        params = {"w": normal(seed, n, dtype=dtype), "deep": [normal(seed, 5, dtype=dtype)]}
        for w, place in zip(arrays(params), PLACES, strict=True):
            self.model.append(Parameter((len(self.rates), *place), w.copy(), self.case.carried))
        self.rates.append(lr)
        return {"params": params, "lr": lr}

    def grads(self, seed: int) -> Grads:
        return [normal(seed + k, *p.w.shape, dtype=p.w.dtype) for k, p in enumerate(self.model)]

    def nest(self, leaves: Grads) -> list[Any]:
        """One gradient for each weight of the model, as the optimizer takes them."""
        return [{"w": leaves[k], "deep": [leaves[k + 1]]} for k in range(0, len(leaves), len(PLACES))]

    # The model

    def hyper(self, p: Parameter, lr: float | None) -> dict[str, float]:
        """Those of its next step."""
        lr = self.rates[p.place[0]] if lr is None else lr
        if p.carried is None:
            return self.case.hyper_at(p.steps + 1, lr)
        hyper, p.carried = carry(self.case, p.steps + 1, lr, p.carried)
        return {"t": p.steps + 1} | hyper if "t" in fo._core.rule_hypers[self.case.rule] else hyper

    def update(self, which: list[int], minibatches: list[Grads], lr: float | None = None) -> None:
        """One step of these parameters with the mean of the minibatches, maybe at a rate of its own."""
        self.t += 1
        of_each = [[grads[k] for grads in minibatches] for k in range(len(self.model))]
        scale, limit = -1.0 if self.options["maximize"] else 1.0, self.options["clip_norm"]
        norm = fo.reference.norm([fo.reference.gradient(of_each[k], of_each[k][0]) for k in which])
        if limit is not None and norm > limit:
            scale *= limit / norm
        clip_value = math.inf if self.options["clip_value"] is None else self.options["clip_value"]
        for k, p in enumerate(self.model):
            p.ema = p.w.copy() if p.ema is None else p.ema
            if k in which:
                p.state = p.state or self.case.new_state(p.w)
                g = fo.reference.gradient(of_each[k], p.w, scale=scale, clip_value=clip_value, weight_decay=0.0)
                self.case.reference(p.w, g, *p.state, **self.hyper(p, lr))
                p.steps += 1
            p.averages += 1
            if self.options["ema"] is not None:
                fo.reference.average(p.ema, p.w, decay=self.options["ema"], t=p.averages)

    def model_step(self, grads: Grads, lr: float | None = None) -> None:
        self.minibatches.append(grads)
        if len(self.minibatches) == self.options["accumulate"]:
            self.model_flush(lr)

    def model_flush(self, lr: float | None = None) -> None:
        self.update([k for k, p in enumerate(self.model) if not p.frozen], self.minibatches, lr)
        self.minibatches = []

    @invariant()
    def same_bits(self) -> None:
        if not hasattr(self, "optimizer"):
            return
        assert (self.optimizer.t, self.optimizer.accumulated) == (self.t, len(self.minibatches))
        averages = None if self.options["ema"] is None else arrays(self.optimizer.ema_params)
        steps = [of_group[place] for of_group in self.optimizer.steps for place in ("w", "deep")]
        assert steps == [n if k % 2 == 0 else [n] for k, n in enumerate(p.steps for p in self.model)]
        states = [(name, arrays(self.optimizer.state[name])) for name, _ in fo._core.rule_states[self.case.rule]]
        for k, (w, p) in enumerate(zip(arrays(self.optimizer.params), self.model, strict=True)):
            assert_same_bits(w, p.w, f"w of {p.place} at t={self.t}")
            for (name, state), wanted in zip(states, p.state or [None] * len(states), strict=True):
                if wanted is not None:
                    assert_same_bits(state[k], wanted, f"{name} of {p.place} at t={self.t}")
            if averages is not None:
                assert_same_bits(averages[k], p.w if p.ema is None else p.ema, f"ema of {p.place} at t={self.t}")

    # Steps

    @rule(seed=seeds)
    def step(self, seed: int) -> None:
        self.optimizer.step(self.nest(self.grads(seed)))
        self.model_step(self.grads(seed))

    @rule(seed=seeds, lr=rates)
    def step_at_a_rate(self, seed: int, lr: float) -> None:
        self.optimizer.step(self.nest(self.grads(seed)), lr=lr)
        self.model_step(self.grads(seed), lr)

    @rule(seed=seeds)
    def bound(self, seed: int) -> None:
        """Also after one of them was another for a while."""
        grads = self.nest(self.grads(seed))
        self.optimizer.bind(grads)
        own, grads[0]["w"] = grads[0]["w"], np.zeros_like(grads[0]["w"])
        if not self.model[0].frozen or self.model[0].place:
            with pytest.raises(ValueError, match=r'^grads\[0\]\["w"\] is another object .*bind'):
                self.optimizer.step()
        grads[0]["w"] = own
        self.optimizer.step(zero_grads=True)
        assert not any(g.any() for g, p in zip(arrays(grads), self.model, strict=True) if not p.frozen)
        self.model_step(self.grads(seed))

    @precondition(lambda self: self.options["accumulate"] == 1 and self.options["clip_norm"] is None)
    @rule(seed=seeds, lr=st.none() | rates, data=st.data())
    def one_by_one(self, seed: int, lr: float | None, data: Any) -> None:
        active = [k for k, p in enumerate(self.model) if not p.frozen]
        which = data.draw(st.lists(st.sampled_from(active), unique=True)) if active else []
        grads = self.grads(seed)
        with self.optimizer.stepping(lr=lr):
            for k in which:
                self.optimizer.update(self.model[k].place, grads[k])
        if which:
            self.update(which, [grads], lr)

    @rule()
    def flush(self) -> None:
        assert self.optimizer.flush() == (len(self.minibatches) > 0)
        if self.minibatches:
            self.model_flush()

    # What is refused, and changes nothing

    @rule(seed=seeds)
    def refused(self, seed: int) -> None:
        bad = self.nest([*self.grads(seed)[:-1], np.zeros(7, np.int8)])
        if not self.model[-1].frozen:
            with pytest.raises((TypeError, ValueError)):
                self.optimizer.step(bad)

    @rule(seed=seeds, data=st.data())
    def changed_and_set_back(self, seed: int, data: Any) -> None:
        """An array of another shape, or one that is another, among the weights or the states."""
        names = sorted(self.optimizer.state)
        name = data.draw(st.sampled_from(["params", *names]))
        nest = self.optimizer.params if name == "params" else self.optimizer.state[name]
        group = data.draw(st.integers(0, len(self.rates) - 1))
        change = data.draw(st.sampled_from([reshaped, replaced, without, with_another]))
        with change(nest[group]):
            calls: list[Callable[[], Any]] = [
                lambda: self.optimizer.step(self.nest(self.grads(seed))),
                self.optimizer.state_dict,
                lambda: copy.deepcopy(self.optimizer),
                lambda: self.optimizer.add_group({"params": np.zeros(2)}),
            ]
            for call in calls:
                with pytest.raises(ValueError, match=r"(had the shape|is another|is gone|is new)"):
                    call()

    @precondition(lambda self: self.minibatches)
    @rule()
    def accumulate_amid_a_window(self) -> None:
        with pytest.raises(ValueError, match=r"^accumulate must stay .*flush"):
            self.optimizer.accumulate = 3

    # What is set

    @rule(lr=rates, data=st.data())
    def set_lr(self, lr: float, data: Any) -> None:
        k = data.draw(st.integers(0, len(self.rates) - 1))
        self.optimizer.groups[k].lr = self.rates[k] = lr

    @rule(option=st.sampled_from([("clip_norm", None), ("clip_norm", 0.5), ("clip_value", None), ("clip_value", 0.3)]))
    def set_clip(self, option: tuple[str, Any]) -> None:
        self.set_option(*option)

    @rule(maximize=st.booleans())
    def set_maximize(self, maximize: bool) -> None:
        self.set_option("maximize", maximize)

    @precondition(lambda self: not self.minibatches)
    @rule(n=st.sampled_from([1, 2, 3]))
    def set_accumulate(self, n: int) -> None:
        self.set_option("accumulate", n)

    def set_option(self, name: str, value: Any) -> None:
        setattr(self.optimizer, name, value)
        self.options[name] = value

    @rule(seed=seeds, data=st.data())
    def read_weights(self, seed: int, data: Any) -> None:
        """Others are written into the array, as those of a run before."""
        k = data.draw(st.integers(0, len(self.model) - 1))
        w = normal(seed, *self.model[k].w.shape, dtype=self.model[k].w.dtype)
        arrays(self.optimizer.params)[k][...] = self.model[k].w[...] = w

    # Which parameters there are

    @precondition(lambda self: len(self.rates) < 4)
    @rule(n=st.sampled_from(SIZES), lr=rates, seed=seeds)
    def add_group(self, n: int, lr: float, seed: int) -> None:
        before = len(self.model)
        self.optimizer.add_group(self.group(n, lr, seed))
        for grads in self.minibatches:
            grads += [np.zeros_like(p.w) for p in self.model[before:]]

    @rule(frozen=st.booleans(), data=st.data())
    def freeze_or_thaw(self, frozen: bool, data: Any) -> None:
        """One parameter, or a part of the nest."""
        k = data.draw(st.integers(0, len(self.rates) - 1))
        place = data.draw(st.sampled_from([(k,), (k, "w"), (k, "deep"), (k, "deep", 0), ()]))
        (self.optimizer.freeze if frozen else self.optimizer.thaw)(place)
        for i, p in enumerate(self.model):
            if p.place[: len(place)] != place or p.frozen == frozen:
                continue
            p.frozen = frozen
            for grads in [] if frozen else self.minibatches:  # those from before are gone
                grads[i] = np.zeros_like(p.w)

    @rule()
    def rebind(self) -> None:
        self.optimizer.rebind(copied(self.optimizer.params))

    # Others in its place

    def another(self, params: list[Any]) -> fo.Optimizer:
        groups = [{"params": nest, "lr": lr} for nest, lr in zip(params, self.rates, strict=True)]
        return self.case.make(groups, **self.options)

    def go_on_with(self, optimizer: fo.Optimizer) -> None:
        optimizer.freeze(*(p.place for p in self.model if p.frozen))
        self.optimizer = optimizer

    @rule()
    def reload(self) -> None:
        """A new optimizer over copies goes on."""
        again = self.another(copied(self.optimizer.params))
        again.load_state_dict(self.optimizer.state_dict())
        self.go_on_with(again)

    @rule()
    def save_and_load(self) -> None:
        """The same by a file, into weights that are others until then."""
        again = self.another(self.nest([np.ones_like(p.w) for p in self.model]))
        with tempfile.TemporaryDirectory() as folder:
            self.optimizer.save(path := Path(folder, "run.safetensors"))
            again.load(path)
        self.go_on_with(again)

    @rule(way=st.sampled_from([copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))]))
    def copy(self, way: Callable[[fo.Optimizer], fo.Optimizer]) -> None:
        self.optimizer = way(self.optimizer)

    @precondition(lambda self: hasattr(os, "fork"))
    @rule(seed=seeds)
    def step_in_a_forked_child(self, seed: int) -> None:
        """It has the bits of the parent's next step."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self.optimizer.step(self.nest(self.grads(seed)))
                os.write(write, self.digest())
            finally:  # also where it fails: there must not be two of this test
                os._exit(0)
        os.close(write)
        with open(read, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        self.step(seed)
        assert told == self.digest()

    def digest(self) -> bytes:
        return hashlib.sha256(b"".join(bits(self.optimizer.params, *self.optimizer.state.values()))).digest()

    # The machine

    @rule(n=st.sampled_from([None, 1, 2, 3, 100]))
    def set_num_threads(self, n: int | None) -> None:
        fo.set_num_threads(n)

    @rule(name=st.sampled_from(fo.available_isas()))
    def use_isa(self, name: str) -> None:
        self.isa.close()
        self.isa.enter_context(fo.use_isa(name))

    def teardown(self) -> None:
        if hasattr(self, "isa"):
            self.isa.close()


@contextlib.contextmanager
def reshaped(nest: dict[str, Any]) -> Iterator[None]:
    shape = nest["w"].shape
    nest["w"].shape = (1, *shape)
    yield
    nest["w"].shape = shape


@contextlib.contextmanager
def replaced(nest: dict[str, Any]) -> Iterator[None]:
    own = nest["deep"][0]
    nest["deep"][0] = own.copy()
    yield
    nest["deep"][0] = own


@contextlib.contextmanager
def without(nest: dict[str, Any]) -> Iterator[None]:
    own = nest.pop("w")
    yield
    nest["w"], nest["deep"] = own, nest.pop("deep")  # in their order


@contextlib.contextmanager
def with_another(nest: dict[str, Any]) -> Iterator[None]:
    nest["b"] = np.zeros(2)
    yield
    del nest["b"]


@pytest.mark.parametrize("row", MODELLED, ids=str)
def test_any_sequence(row: Case) -> None:
    limits = settings(
        max_examples=500 if NIGHTLY else 40,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(type(row.rule, (Machine,), {"case": row}), settings=limits)
