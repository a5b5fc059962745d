"""Any sequence of what one can do with an optimizer leaves the bits of the NumPy reference.

The model is the specification on plain arrays.
"""

import contextlib
import copy
import hashlib
import math
import os
import tempfile
from dataclasses import dataclass
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
from ..cases import KINDS, Case
from ..nests import bits, normal
from ..nightly import NIGHTLY

# One of each structure; numbers that are carried from step to step would need a history in the model.
MODELLED = [case for case in KINDS if not case.optimizer._follows and case.optimizer.carried is None]
SIZES = [1, 33, 4097, fo._core.parallel_threshold + 5]

seeds, rates = st.integers(0, 1000), st.sampled_from([1e-3, 0.1, 0.5])


@dataclass
class Parameter:
    """One weight of the model; each is a group of its own."""

    lr: float
    w: np.ndarray
    state: list[np.ndarray]
    ema: np.ndarray


class Machine(RuleBasedStateMachine):
    @initialize(
        case=st.sampled_from(MODELLED),
        accumulate=st.sampled_from([1, 1, 2]),
        clip_norm=st.sampled_from([None, 0.5]),
        ema=st.sampled_from([None, 0.9]),
        lr=rates,
    )
    def begin(self, case: Case, accumulate: int, clip_norm: float | None, ema: float | None, lr: float) -> None:
        self.case, self.t, self.minibatches = case, 0, []
        self.options: dict[str, Any] = {"accumulate": accumulate, "clip_norm": clip_norm, "ema": ema}
        self.model: list[Parameter] = []
        self.isa = contextlib.ExitStack()
        self.optimizer = self.case.make([self.group(33, lr, 0), self.group(4097, 0.1, 1)], **self.options)

    def group(self, n: int, lr: float, seed: int) -> dict[str, Any]:
        w = normal(seed, n, dtype=(np.float32, np.float64)[seed % 2])
        self.model.append(Parameter(lr, w.copy(), self.case.new_state(w), w.copy()))
        return {"params": w, "lr": lr}

    def grads(self, seed: int) -> list[np.ndarray]:
        return [normal(seed + k, *p.w.shape, dtype=p.w.dtype) for k, p in enumerate(self.model)]

    # The model

    def update(self, which: list[int], minibatches: list[list[np.ndarray]], lr: float | None = None) -> None:
        """One step of these parameters with the mean of the minibatches, maybe at a rate of its own."""
        self.t += 1
        of_each = list(zip(*minibatches, strict=True))
        scale, limit = 1.0, self.options["clip_norm"]
        norm = fo.reference.norm([fo.reference.gradient(gs, gs[0]) for gs in of_each])
        if limit is not None and norm > limit:
            scale = limit / norm
        for k in which:
            p = self.model[k]
            g = fo.reference.gradient(of_each[k], p.w, scale=scale, clip_value=math.inf, weight_decay=0.0)
            self.case.reference(p.w, g, *p.state, **self.case.hyper_at(self.t, p.lr if lr is None else lr))
            if self.options["ema"] is not None:
                fo.reference.average(p.ema, p.w, decay=self.options["ema"], t=self.t)

    def model_step(self, grads: list[np.ndarray], lr: float | None = None) -> None:
        self.minibatches.append(grads)
        if len(self.minibatches) == self.options["accumulate"]:
            self.update(list(range(len(self.model))), self.minibatches, lr)
            self.minibatches = []

    @invariant()
    def same_bits(self) -> None:
        if not hasattr(self, "optimizer"):
            return
        assert (self.optimizer.t, self.optimizer.accumulated) == (self.t, len(self.minibatches))
        names = [name for name, _ in fo._core.rule_states[self.case.rule]]
        for k, p in enumerate(self.model):
            assert_same_bits(self.optimizer.params[k], p.w, f"w of {k} at t={self.t}")
            for name, state in zip(names, p.state, strict=True):
                assert_same_bits(self.optimizer.state[name][k], state, f"{name} of {k} at t={self.t}")
            if self.options["ema"] is not None:
                assert_same_bits(self.optimizer.ema_params[k], p.ema, f"ema of {k} at t={self.t}")

    # What one can do

    @rule(seed=seeds)
    def step(self, seed: int) -> None:
        self.optimizer.step(self.grads(seed))
        self.model_step(self.grads(seed))

    @rule(seed=seeds, lr=rates)
    def step_at_a_rate(self, seed: int, lr: float) -> None:
        self.optimizer.step(self.grads(seed), lr=lr)
        self.model_step(self.grads(seed), lr)

    @rule(seed=seeds)
    def bound(self, seed: int) -> None:
        grads = self.grads(seed)
        self.optimizer.bind(grads)
        self.optimizer.step(zero_grads=True)
        assert not any(g.any() for g in grads)
        self.model_step(self.grads(seed))

    @precondition(lambda self: self.options["accumulate"] == 1 and self.options["clip_norm"] is None)
    @rule(seed=seeds, lr=st.none() | rates, data=st.data())
    def one_by_one(self, seed: int, lr: float | None, data: Any) -> None:
        which = data.draw(st.lists(st.integers(0, len(self.model) - 1), unique=True))
        grads = self.grads(seed)
        with self.optimizer.stepping(lr=lr):
            for k in which:
                self.optimizer.update(k, grads[k])
        if which:
            self.update(which, [grads], lr)

    @rule(seed=seeds)
    def refused(self, seed: int) -> None:
        bad = [*self.grads(seed)[:-1], np.zeros(7, np.int8)]
        with pytest.raises((TypeError, ValueError)):
            self.optimizer.step(bad)

    @rule(lr=rates, data=st.data())
    def set_lr(self, lr: float, data: Any) -> None:
        k = data.draw(st.integers(0, len(self.model) - 1))
        self.optimizer.groups[k].lr = self.model[k].lr = lr

    @precondition(lambda self: len(self.model) < 4 and not self.minibatches)
    @rule(n=st.sampled_from(SIZES), lr=rates, seed=seeds)
    def add_group(self, n: int, lr: float, seed: int) -> None:
        self.optimizer.add_group(self.group(n, lr, seed))

    @rule()
    def reload(self) -> None:
        """A new optimizer over copies goes on."""
        groups = [{"params": w.copy(), "lr": p.lr} for w, p in zip(self.optimizer.params, self.model, strict=True)]
        again = self.case.make(groups, **self.options)
        again.load_state_dict(self.optimizer.state_dict())
        self.optimizer = again

    @rule()
    def save_and_load(self) -> None:
        """The same by a file, into weights that are others until then."""
        groups = [{"params": np.ones_like(p.w), "lr": p.lr} for p in self.model]
        again = self.case.make(groups, **self.options)
        with tempfile.TemporaryDirectory() as folder:
            self.optimizer.save(path := Path(folder, "run.safetensors"))
            again.load(path)
        self.optimizer = again

    @rule()
    def copy(self) -> None:
        self.optimizer = copy.deepcopy(self.optimizer)

    @precondition(lambda self: hasattr(os, "fork"))
    @rule(seed=seeds)
    def step_in_a_forked_child(self, seed: int) -> None:
        """It has the bits of the parent's next step."""
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                self.optimizer.step(self.grads(seed))
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


def test_any_sequence() -> None:
    limits = settings(
        max_examples=2000 if NIGHTLY else 40,
        stateful_step_count=25,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=limits)
