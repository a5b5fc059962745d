"""The table that every test is parametrised over: an optimizer, its hyper-parameters, and what it must refuse.

A new optimizer is a new row of CASES, and one of OUTSIDE for each hyper-parameter with a new name.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

import fusedoptim as fo

from .elsewhere import (
    Elsewhere,
    like_adam_mini,
    like_optax,
    like_optax_chain,
    like_rowwise_adagrad,
    like_timm,
    like_torch,
)

DTYPES = (np.float32, np.float64)


@dataclass(eq=False)
class Case:
    """An optimizer with the keywords of its constructor, and what these are called in the kernel and the reference."""

    optimizer: type[fo.Optimizer]
    keywords: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] | None = None  # None: the keywords, or what `renamed` makes of them
    rows: int = 1  # of those state arrays that are rings
    stand_in: type[fo.Optimizer] | None = None  # made in its place
    like: list[Elsewhere] = field(default_factory=list)  # what computes the same
    digest: dict[str, Any] | None = None  # the keywords of digests.py for this rule, if they are not none at all
    discontinuous: bool = False  # a step by a sign alone: as long for the smallest number as for any, but none for zero
    least_eps: float | None = 1e-8  # by which it divides; None: the distance from 1 to the next number

    @cached_property
    def rule(self) -> str:
        return self.make(np.ones((1, 1))).rule

    @property
    def named(self) -> dict[str, Any]:
        """The hyper-parameters, numbers or functions of t, by the names of the kernel."""
        return renamed(self.keywords) if self.hyper is None else self.hyper

    @property
    def kernel(self) -> Callable[..., None]:
        return getattr(fo.kernels, self.rule)

    @property
    def reference(self) -> Callable[..., None]:
        return getattr(fo.reference, self.rule)

    def __str__(self) -> str:
        return f"{self.rule}({','.join(self.keywords) or 'defaults'})"

    def make(self, params: Any, **keywords: Any) -> fo.Optimizer:
        return (self.stand_in or self.optimizer)(params, **(self.keywords | keywords))

    def hyper_at(self, t: int, lr: float | None = None, first: int = 1) -> dict[str, float]:
        """The hyper-parameters of step t, maybe with another learning rate, of a group whose first step was `first`."""
        at_t = {name: value(t) if callable(value) else value for name, value in self.named.items()}
        if lr is not None:
            at_t["lr"] = lr
        if self.optimizer.carried:
            at_t = carried(self, t, lr, first)
        return {"t": t} | at_t if "t" in fo._core.rule_hypers[self.rule] else at_t

    def subnormal_bound(self, dtype: type) -> float:
        """How far off the reference may be, where subnormal numbers count as zero.

        What that takes away, less than the smallest normal number, is at most multiplied by 1 / eps.
        """
        eps = np.finfo(dtype).eps if self.least_eps is None else self.least_eps
        return float(10 / float(eps) * np.finfo(dtype).tiny)

    def state_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [fo._core.state_shape(kind, shape, self.rows) for _, kind in fo._core.rule_states[self.rule]]

    def new_state(self, w: np.ndarray) -> list[np.ndarray]:
        """As an optimizer begins with."""
        state = self.make(w.copy()).state
        return [state[name].copy() for name, _ in fo._core.rule_states[self.rule]]


@cache
def carried(case: Case, t: int, lr: float | None, first: int) -> dict[str, float]:
    """The hyper-parameters of step t, some of which follow from the steps before."""
    group = case.make([{"params": np.zeros((1, 1))} | ({} if lr is None else {"lr": lr})]).groups[0]
    for step in range(first, t):
        group.at(step)
    group.at(t)
    values = zip(fo._core.rule_hypers[case.rule], group._values, strict=False)
    return {name: value for name, value in values if value is not None}


def renamed(keywords: dict[str, Any]) -> dict[str, Any]:
    hyper = dict(keywords)
    hyper |= {f"beta{k}": beta for k, beta in enumerate(hyper.pop("betas", ()), start=1)}
    if not hyper.pop("bias_correction", True):
        hyper["t"] = math.inf
    return hyper


def like_sm3(learning_rate: Any, **keywords: float) -> Elsewhere:
    """optax's, with the arguments that its `sm3` hides."""
    return like_optax_chain(("scale_by_sm3", keywords), ("scale_by_learning_rate", {"learning_rate": learning_rate}))


class NoisySGD(fo.NoisySGD):
    """With noise that does not change, and that all tensors have alike. The real one is in test_noisy_sgd.py."""

    def _draw(self) -> None:
        for tensor in self._tensors:
            noise = tensor.states["noise"]
            noise[...] = np.resize([0.5, -1.25, 2.0], noise.shape)


like_schedule_free = partial(like_torch, module="schedulefree", before=lambda optimizer: optimizer.train())
decay = fo.schedules.inverse_sqrt(0.05, n=100)


def warm(beta1: float, beta3: float, steps: int) -> Callable[[int], float]:
    """AdEMAMix's beta3 at step t, as the paper writes it."""

    def at(t: int) -> float:
        log1, log3, share = math.log(beta1), math.log(beta3), t / steps
        return math.exp(log1 * log3 / ((1 - share) * log3 + share * log1)) if t < steps else beta3

    return at


CASES = [
    Case(fo.SGD, like=[like_torch("SGD", lr=1e-2), like_optax("sgd", learning_rate=1e-2)]),
    Case(fo.SGD, {"lr": 0.3, "weight_decay": 0.1}, like=[like_torch("SGD", lr=0.3, weight_decay=0.1)]),
    Case(
        fo.SGD,
        {"momentum": 0.9},
        like=[like_torch("SGD", lr=1e-2, momentum=0.9), like_optax("sgd", learning_rate=1e-2, momentum=0.9)],
    ),
    Case(
        fo.SGD,
        {"lr": 0.03, "momentum": 0.7, "dampening": 0.3},
        like=[like_torch("SGD", lr=0.03, momentum=0.7, dampening=0.3)],
        digest={"momentum": 0.9, "dampening": 0.1},
    ),
    Case(
        fo.SGD,
        {"lr": 0.03, "momentum": 0.7, "nesterov": True},
        {"lr": 0.03, "momentum": 0.7},
        like=[
            like_torch("SGD", lr=0.03, momentum=0.7, nesterov=True),
            like_optax("sgd", learning_rate=0.03, momentum=0.7, nesterov=True),
        ],
        digest={"momentum": 0.9, "nesterov": True},
    ),
    Case(fo.WindowSGD, rows=10),
    Case(fo.WindowSGD, {"lr": 0.3, "window": 3}, {"lr": 0.3}, rows=3),
    Case(fo.Momentum),
    Case(fo.Momentum, {"lr": fo.schedules.exponential(0.3, 0.9), "beta": 0.7}),
    Case(fo.ASGD, like=[like_torch("ASGD")]),
    Case(
        fo.ASGD,
        {"lr": 0.03, "lambd": 0.01, "alpha": 0.9, "t0": 2.0},
        {"lr": 0.03, "lambd": 0.01},
        like=[like_torch("ASGD", lr=0.03, lambd=0.01, alpha=0.9, t0=2.0)],
        digest={"t0": 10.0},
    ),
    Case(fo.Rprop, like=[like_torch("Rprop")], discontinuous=True),
    Case(
        fo.Rprop,
        {"lr": 0.03, "etas": (0.7, 1.1), "step_sizes": (1e-3, 0.05)},
        {"lr": 0.03, "eta_minus": 0.7, "eta_plus": 1.1, "step_min": 1e-3, "step_max": 0.05},
        like=[like_torch("Rprop", lr=0.03, etas=(0.7, 1.1), step_sizes=(1e-3, 0.05))],
        discontinuous=True,
    ),
    Case(fo.Adagrad, like=[like_torch("Adagrad")], least_eps=1e-10),
    Case(
        fo.Adagrad,
        {"lr": 0.03, "lr_decay": 1e-3, "initial_accumulator_value": 0.5, "eps": 1e-4},
        {"lr": 0.03, "lr_decay": 1e-3, "eps": 1e-4},
        like=[like_torch("Adagrad", lr=0.03, lr_decay=1e-3, initial_accumulator_value=0.5, eps=1e-4)],
    ),
    Case(
        fo.Adagrad,
        {"initial_accumulator_value": 0.25, "eps": 0.0, "eps_root": 1e-7},
        {"eps": 0.0, "eps_root": 1e-7},
        like=[like_optax("adagrad", learning_rate=1e-2, initial_accumulator_value=0.25, eps=1e-7)],
    ),
    Case(
        fo.RMSProp,
        like=[like_torch("RMSprop"), like_optax("rmsprop", learning_rate=1e-2, decay=0.99, eps_in_sqrt=False)],
    ),
    Case(
        fo.RMSProp,  # the lecture's
        {"lr": 0.03, "beta": 0.7, "eps": 0.0, "eps_root": 1e-6},
        like=[like_optax("rmsprop", learning_rate=0.03, decay=0.7, eps=1e-6)],
    ),
    Case(
        fo.RMSProp,
        {"lr": 0.03, "beta": 0.7, "eps": 1e-4, "centered": True},
        {"lr": 0.03, "beta": 0.7, "eps": 1e-4},
        like=[
            like_torch("RMSprop", lr=0.03, alpha=0.7, eps=1e-4, centered=True),
            like_optax("rmsprop", learning_rate=0.03, decay=0.7, eps=1e-4, eps_in_sqrt=False, centered=True),
        ],
        digest={"centered": True},
    ),
    Case(
        fo.RMSProp,
        {"lr": 0.003, "beta": 0.7, "eps": 1e-4, "momentum": 0.8},
        like=[
            like_torch("RMSprop", lr=0.003, alpha=0.7, eps=1e-4, momentum=0.8),
            like_optax("rmsprop", learning_rate=0.003, decay=0.7, eps=1e-4, eps_in_sqrt=False, momentum=0.8),
        ],
        digest={"momentum": 0.9},
    ),
    Case(
        fo.RMSProp,
        {"lr": 0.003, "beta": 0.7, "eps": 1e-4, "centered": True, "momentum": 0.8},
        {"lr": 0.003, "beta": 0.7, "eps": 1e-4, "momentum": 0.8},
        like=[
            like_torch("RMSprop", lr=0.003, alpha=0.7, eps=1e-4, centered=True, momentum=0.8),
            like_optax(
                "rmsprop", learning_rate=0.003, decay=0.7, eps=1e-4, eps_in_sqrt=False, centered=True, momentum=0.8
            ),
        ],
        digest={"centered": True, "momentum": 0.9},
    ),
    Case(fo.Adadelta, like=[like_torch("Adadelta"), like_optax("adadelta", learning_rate=1.0)]),
    Case(
        fo.Adadelta,
        {"lr": 0.3, "rho": 0.7, "eps": 1e-3},
        like=[
            like_torch("Adadelta", lr=0.3, rho=0.7, eps=1e-3),
            like_optax("adadelta", learning_rate=0.3, rho=0.7, eps=1e-3),
        ],
    ),
    Case(fo.Adam, like=[like_torch("Adam"), like_optax("adam", learning_rate=1e-3)]),
    Case(
        fo.Adam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6},
        like=[like_optax("adam", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6)],
    ),
    Case(fo.Adam, {"lr": decay, "eps": 0.0, "eps_root": 1e-6, "bias_correction": False}),  # the lecture's, global decay
    Case(
        fo.Adam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "amsgrad": True},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4},
        like=[like_torch("Adam", lr=0.03, betas=(0.7, 0.95), eps=1e-4, amsgrad=True)],
        digest={"amsgrad": True, "eps_root": 1e-6},
    ),
    Case(
        fo.Adam,
        {"eps_root": 1e-6, "bias_correction": False, "amsgrad": True},
        {"eps_root": 1e-6, "t": math.inf},
        like=[
            like_optax("amsgrad", learning_rate=1e-3, eps_root=1e-6, bias_correction_mu=False, bias_correction_nu=False)
        ],
    ),
    Case(fo.AdamW, like=[like_torch("AdamW")]),
    Case(
        fo.AdamW,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[like_torch("AdamW", lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3)],
    ),
    Case(fo.AdamW, {"lr": decay, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3}),
    Case(fo.AdamW, {"eps_root": 1e-6, "bias_correction": False}),
    Case(
        fo.AdamW,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3, "amsgrad": True},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.3},
        like=[like_torch("AdamW", lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3, amsgrad=True)],
        digest={"amsgrad": True},
    ),
    Case(fo.Adamax, like=[like_torch("Adamax"), like_optax("adamax", learning_rate=2e-3)]),
    Case(
        fo.Adamax,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4},
        like=[
            like_torch("Adamax", lr=0.03, betas=(0.7, 0.95), eps=1e-4),
            like_optax("adamax", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4),
        ],
    ),
    Case(fo.NAdam, like=[like_torch("NAdam")]),
    Case(
        fo.NAdam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "momentum_decay": 0.1},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "mu_decay": 0.96**0.1},
        like=[like_torch("NAdam", lr=0.03, betas=(0.7, 0.95), eps=1e-4, momentum_decay=0.1)],
    ),
    Case(
        fo.NAdam,
        {"momentum_decay": 1e6},
        {"mu_decay": 0.0},
        like=[like_torch("NAdam", momentum_decay=1e6), like_optax("nadam", learning_rate=2e-3)],
    ),
    Case(
        fo.NAdam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3, "decoupled_weight_decay": True},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.3},
        like=[like_torch("NAdam", lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3, decoupled_weight_decay=True)],
        digest={"weight_decay": 0.01, "decoupled_weight_decay": True},
    ),
    Case(fo.RAdam, like=[like_torch("RAdam")]),
    Case(
        fo.RAdam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4},
        like=[like_torch("RAdam", lr=0.03, betas=(0.7, 0.95), eps=1e-4)],
    ),
    Case(
        fo.RAdam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3, "decoupled_weight_decay": True},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.3},
        like=[like_torch("RAdam", lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3, decoupled_weight_decay=True)],
        digest={"weight_decay": 0.01, "decoupled_weight_decay": True},
    ),
    Case(fo.LAMB, like=[like_optax("lamb", learning_rate=1e-3)]),
    Case(
        fo.LAMB,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3},
        like=[like_optax("lamb", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6, weight_decay=0.3)],
    ),
    Case(fo.LAMB, {"lr": decay, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3}),
    Case(fo.LAMB, {"bias_correction": False}),
    Case(
        fo.SignSGD,
        like=[like_optax("sign_sgd", learning_rate=1e-3), like_torch("SignSGD", "pytorch_optimizer", momentum=0.0)],
        discontinuous=True,
    ),
    Case(
        fo.SignSGD,
        {"lr": 0.03, "weight_decay": 0.3},
        like=[like_torch("SignSGD", "pytorch_optimizer", lr=0.03, momentum=0.0, weight_decay=0.3)],
        discontinuous=True,
    ),
    Case(fo.Signum, like=[like_torch("SignSGD", "pytorch_optimizer")], discontinuous=True),
    Case(
        fo.Signum,
        {"lr": 0.03, "beta": 0.7, "weight_decay": 0.3},
        like=[like_torch("SignSGD", "pytorch_optimizer", lr=0.03, momentum=0.7, weight_decay=0.3)],
        discontinuous=True,
    ),
    Case(
        fo.Lion,
        like=[like_optax("lion", learning_rate=1e-4, weight_decay=0.0), like_torch("Lion", "lion_pytorch")],
        discontinuous=True,
    ),
    Case(
        fo.Lion,
        {"lr": 0.03, "betas": (0.7, 0.95), "weight_decay": 0.3},
        like=[
            like_optax("lion", learning_rate=0.03, b1=0.7, b2=0.95, weight_decay=0.3),
            like_torch("Lion", "lion_pytorch", lr=0.03, betas=(0.7, 0.95), weight_decay=0.3),
        ],
        discontinuous=True,
    ),
    Case(
        fo.Lion,
        {"lr": 0.03, "betas": (0.7, 0.95), "weight_decay": 0.3, "cautious": True},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "weight_decay": 0.3},
        like=[like_timm("Lion", "lion", caution=True, lr=0.03, betas=(0.7, 0.95), weight_decay=0.3)],
        digest={"cautious": True},
        discontinuous=True,
    ),
    Case(
        fo.Adam,
        {"cautious": True},
        {},
        like=[like_timm("AdamWLegacy", "adamw", caution=True, lr=1e-3, weight_decay=0.0)],
        digest={"cautious": True},
        discontinuous=True,
    ),
    Case(
        fo.AdamW,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3, "cautious": True},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "weight_decay": 0.3},
        like=[like_timm("AdamWLegacy", "adamw", caution=True, lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3)],
        digest={"cautious": True},
        discontinuous=True,
    ),
    Case(
        fo.Nesterov,
        like=[
            like_torch("SGD", lr=1e-2 * (1 - 0.9), momentum=0.9, nesterov=True),
            like_optax("sgd", learning_rate=1e-2 * (1 - 0.9), momentum=0.9, nesterov=True),
        ],
    ),
    Case(
        fo.Nesterov,
        {"lr": 0.3, "beta": 0.7},
        like=[like_torch("SGD", lr=0.3 * (1 - 0.7), momentum=0.7, nesterov=True)],
    ),
    Case(fo.AdaBelief, like=[like_optax("adabelief", learning_rate=1e-3)]),
    Case(
        fo.AdaBelief,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6},
        like=[like_optax("adabelief", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6)],
    ),
    Case(
        fo.AdaBelief,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-4},
        like=[like_torch("AdaBelief", "pytorch_optimizer", lr=0.03, betas=(0.7, 0.95), eps=1e-4)],
    ),
    Case(fo.AdaBound, like=[like_torch("AdaBound", "pytorch_optimizer")]),
    Case(
        fo.AdaBound,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "final_lr": 0.02, "gamma": 0.005},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "final_lr": 0.02, "gamma": 0.005},
        like=[
            like_torch(
                "AdaBound", "pytorch_optimizer", lr=0.03, betas=(0.7, 0.95), eps=1e-4, final_lr=0.02, gamma=0.005
            )
        ],
    ),
    Case(fo.AdaBound, {"lr": decay}),
    Case(fo.Yogi, like=[like_optax("yogi", learning_rate=1e-2), like_torch("Yogi", "pytorch_optimizer")]),
    Case(
        fo.Yogi,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-2},
        like=[
            like_optax("yogi", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-2),
            like_torch("Yogi", "pytorch_optimizer", lr=0.03, betas=(0.7, 0.95), eps=1e-2),
        ],
    ),
    Case(fo.Yogi, {"lr": decay, "bias_correction": False}),
    Case(fo.AMSGrad, like=[like_optax("amsgrad", learning_rate=1e-3)]),
    Case(
        fo.AMSGrad,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6},
        like=[like_optax("amsgrad", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6)],
    ),
    Case(
        fo.AMSGrad,
        {"lr": 0.03, "bias_correction": False},
        like=[like_optax("amsgrad", learning_rate=0.03, bias_correction_mu=False, bias_correction_nu=False)],
    ),
    Case(fo.Adan, like=[like_torch("Adan", "pytorch_optimizer")]),
    Case(
        fo.Adan,
        {"lr": 0.03, "betas": (0.9, 0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[
            like_torch("Adan", "pytorch_optimizer", lr=0.03, betas=(0.9, 0.7, 0.95), eps=1e-4, weight_decay=0.3),
        ],
    ),
    Case(
        fo.Adan,  # at a beta2 of 1/2, where optax agrees
        {"lr": 0.03, "betas": (0.9, 0.5, 0.95), "eps_root": 1e-6},
        like=[like_optax("adan", learning_rate=0.03, b1=0.9, b2=0.5, b3=0.95, eps_root=1e-6)],
    ),
    Case(fo.AdamaxW, like=[like_optax("adamaxw", learning_rate=2e-3)]),
    Case(
        fo.AdamaxW,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[like_optax("adamaxw", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, weight_decay=0.3)],
    ),
    Case(fo.NAdamW, like=[like_optax("nadamw", learning_rate=1e-3)]),
    Case(
        fo.NAdamW,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3},
        like=[like_optax("nadamw", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6, weight_decay=0.3)],
    ),
    Case(fo.OptimisticGradientDescent, like=[like_optax("optimistic_gradient_descent", learning_rate=1e-2)]),
    Case(
        fo.OptimisticGradientDescent,
        {"lr": 0.3 * 0.5, "optimism": 0.2 / 0.5},
        like=[like_optax("optimistic_gradient_descent", learning_rate=0.3, alpha=0.5, beta=0.2)],
    ),
    Case(fo.NoisySGD, stand_in=NoisySGD, digest={}),  # whose noise is no generator's
    Case(
        fo.NoisySGD,
        {"lr": 0.03, "eta": 0.5, "gamma": 0.9, "seed": 7},
        {"lr": 0.03, "eta": 0.5, "gamma": 0.9},
        stand_in=NoisySGD,
    ),
    Case(
        fo.NoisySGD,
        {"lr": 0.03, "eta": 0.0},
        like=[like_optax("noisy_sgd", learning_rate=0.03, eta=0.0, key=0), like_torch("SGD", lr=0.03)],
        stand_in=NoisySGD,
    ),
    Case(fo.Grams, like=[like_torch("Grams", "pytorch_optimizer")], discontinuous=True),
    Case(
        fo.Grams,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[like_torch("Grams", "pytorch_optimizer", lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3)],
        discontinuous=True,
    ),
    Case(fo.Grams, {"lr": decay, "eps_root": 1e-6, "bias_correction": False}, discontinuous=True),
    Case(
        fo.ADOPT,
        like=[
            like_optax("adopt", "optax.contrib", learning_rate=1e-3),
            like_torch("ADOPT", "pytorch_optimizer", clip_lambda=lambda step: (step - 1) ** 0.25),
        ],
    ),
    Case(
        fo.ADOPT,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 0.9, "clip": 0.5},
        like=[
            like_optax(
                "adopt",
                "optax.contrib",
                learning_rate=0.03,
                b1=0.7,
                b2=0.95,
                eps=0.9,
                clip_value_fn=lambda count: 0.5 * count**0.25,
            )
        ],
    ),
    Case(
        fo.ADOPT,
        {"clip": math.inf, "betas": (0.7, 0.95), "eps": 1e-4},
        like=[
            like_optax("adopt", "optax.contrib", learning_rate=1e-3, b1=0.7, b2=0.95, eps=1e-4, use_clipping=False),
        ],
    ),
    Case(fo.AdEMAMix, like=[like_optax("ademamix", "optax.contrib", learning_rate=1e-3)]),
    Case(
        fo.AdEMAMix,
        {"lr": 0.01, "betas": (0.7, 0.95, 0.99), "alpha": 2.0, "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3},
        like=[
            like_optax(
                "ademamix",
                "optax.contrib",
                learning_rate=0.01,
                b1=0.7,
                b2=0.95,
                b3=0.99,
                alpha=2.0,
                eps=1e-4,
                eps_root=1e-6,
                weight_decay=0.3,
            )
        ],
    ),
    Case(
        fo.AdEMAMix,
        {"betas": (0.7, 0.95, 0.99), "warmup": 50},
        {"beta1": 0.7, "beta2": 0.95, "alpha": lambda t: 5 * min(t / 50, 1), "beta3": warm(0.7, 0.99, 50)},
        like=[like_torch("AdEMAMix", "pytorch_optimizer", betas=(0.7, 0.95, 0.99), t_alpha_beta3=50)],
        digest={"warmup": 50},
    ),
    Case(fo.ScheduleFreeSGD, like=[like_schedule_free("SGDScheduleFree")]),
    Case(
        fo.ScheduleFreeSGD,
        {"lr": 0.03, "momentum": 0.7, "warmup_steps": 20, "r": 0.5, "weight_lr_power": 1.5},
        like=[
            like_schedule_free("SGDScheduleFree", lr=0.03, momentum=0.7, warmup_steps=20, r=0.5, weight_lr_power=1.5)
        ],
    ),
    Case(fo.ScheduleFreeAdamW, like=[like_schedule_free("AdamWScheduleFree")]),
    Case(
        fo.ScheduleFreeAdamW,
        {
            "lr": 0.03,
            "betas": (0.7, 0.95),
            "eps": 1e-4,
            "weight_decay": 0.3,
            "warmup_steps": 20,
            "r": 0.5,
            "weight_lr_power": 1.5,
        },
        like=[
            like_schedule_free(
                "AdamWScheduleFree",
                lr=0.03,
                betas=(0.7, 0.95),
                eps=1e-4,
                weight_decay=0.3,
                warmup_steps=20,
                r=0.5,
                weight_lr_power=1.5,
            ),
        ],
        digest={"r": 0.5, "weight_lr_power": 1.5, "warmup_steps": 10},
    ),
    Case(fo.LARS, like=[like_optax("lars", learning_rate=1e-2)]),
    Case(
        fo.LARS,
        {"lr": 30.0, "momentum": 0.7, "weight_decay": 0.3, "trust_coefficient": 2e-3, "eps": 0.1},
        like=[
            like_optax("lars", learning_rate=30.0, momentum=0.7, weight_decay=0.3, trust_coefficient=2e-3, eps=0.1),
        ],
    ),
    Case(
        fo.LARS,
        {"lr": 30.0, "momentum": 0.7, "nesterov": True, "weight_decay": 0.3, "trust_coefficient": 2e-3, "eps": 0.1},
        {"lr": 30.0, "momentum": 0.7, "weight_decay": 0.3, "trust_coefficient": 2e-3, "eps": 0.1},
        like=[
            like_optax(
                "lars",
                learning_rate=30.0,
                momentum=0.7,
                nesterov=True,
                weight_decay=0.3,
                trust_coefficient=2e-3,
                eps=0.1,
            ),
        ],
        digest={"nesterov": True},
    ),
    Case(
        fo.Fromage,
        like=[like_optax("fromage", learning_rate=1e-2), like_torch("Fromage", "pytorch_optimizer", lr=1e-2)],
    ),
    Case(
        fo.Fromage,
        {"lr": 0.3, "min_norm": 10.0},
        like=[like_optax("fromage", learning_rate=0.3, min_norm=10.0)],
    ),
    Case(fo.NovoGrad, like=[like_optax("novograd", learning_rate=1e-3)]),
    Case(
        fo.NovoGrad,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3},
        like=[like_optax("novograd", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6, weight_decay=0.3)],
    ),
    Case(fo.SM3, like=[like_optax("sm3", learning_rate=0.1)]),
    Case(
        fo.SM3,
        {"lr": 0.03, "momentum": 0.7, "eps_root": 0.5},
        like=[like_sm3(learning_rate=0.03, b1=0.7, eps=0.5)],
    ),
    Case(fo.SM3, {"lr": decay, "momentum": 0.0}),
    Case(fo.Adafactor, like=[like_torch("Adafactor")], least_eps=None),
    Case(
        fo.Adafactor,
        {"lr": 0.3, "beta2_decay": -0.6, "eps": (0.01, 6.0), "d": 1.1, "weight_decay": 0.3},
        {"lr": 0.3, "beta2_decay": -0.6, "eps1": 0.01, "eps2": 6.0, "d": 1.1, "weight_decay": 0.3},
        like=[like_torch("Adafactor", lr=0.3, beta2_decay=-0.6, eps=(0.01, 6.0), d=1.1, weight_decay=0.3)],
    ),
    Case(fo.Adafactor, {"lr": decay, "d": 0.5}, least_eps=None),
    Case(fo.RowWiseAdagrad, like=[like_rowwise_adagrad(lr=1e-2)]),
    Case(fo.RowWiseAdagrad, {"lr": 0.3, "eps": 1e-2}, like=[like_rowwise_adagrad(lr=0.3, eps=1e-2)]),
    Case(fo.RowWiseAdam, like=[like_adam_mini()]),
    Case(
        fo.RowWiseAdam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[like_adam_mini(lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3)],
    ),
    Case(fo.RowWiseAdam, {"lr": decay, "bias_correction": False}),
]

# Of optimizers for matrices alone, which the tests that draw vectors cannot run: test_muon.py does.
MATRIX_CASES = [
    Case(fo.Muon),
    Case(
        fo.Muon,
        {
            "lr": 0.03,
            "weight_decay": 0.3,
            "momentum": 0.7,
            "nesterov": False,
            "ns_coefficients": (2.0, -1.5, 0.5),
            "eps": 0.5,
            "ns_steps": 7,
            "adjust_lr_fn": "match_rms_adamw",
        },
    ),
    Case(fo.Muon, {"lr": fo.schedules.exponential(0.3, 0.9), "adjust_lr_fn": "original"}),
]

# Of optimizers that are stepped in a way of their own, with a rule of another class: runs.py does.
OWN_STEP = [
    Case(fo.PolyakSGD),
    Case(fo.PolyakSGD, {"lr": 0.5, "max_learning_rate": 0.3, "f_min": 0.1, "eps": 0.1}),
    Case(fo.SparseAdam),
    Case(fo.SparseAdam, {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4}),
]

DEFAULTS = [case for case in CASES if not case.keywords]  # one for each optimizer

# Only to compare with others: an L2 penalty, which is of the step, and a limit too singular for the other tests.
ELSEWHERE = [
    Case(
        fo.SGD,
        {"momentum": 0.9, "weight_decay": 0.1},
        like=[like_torch("SGD", lr=1e-2, momentum=0.9, weight_decay=0.1)],
    ),
    *(
        Case(getattr(fo, ours), {"lr": 1e-2, "weight_decay": 0.1}, like=[like_torch(theirs, lr=1e-2, weight_decay=0.1)])
        for ours, theirs in {
            "ASGD": "ASGD",
            "Adagrad": "Adagrad",
            "RMSProp": "RMSprop",
            "Adadelta": "Adadelta",
            "Adam": "Adam",
            "Adamax": "Adamax",
            "NAdam": "NAdam",
            "RAdam": "RAdam",
        }.items()
    ),
    Case(fo.RAdam, {"eps": 0.0}, like=[like_torch("RAdam", eps=0.0), like_optax("radam", learning_rate=1e-3, eps=0.0)]),
]


def structure(case: Case) -> tuple[Any, ...]:
    """What the driver and the optimizer know of a rule."""
    rule = case.rule
    shapes = frozenset(shape for _, shape in fo._core.rule_states[rule])
    return (
        shapes,
        rule in fo._core.measured_rules,
        case.optimizer.carried is not None,
        "t" in fo._core.rule_hypers[rule],
    )


# One of each structure, with its defaults where there is such a row.
KINDS = list({structure(case): case for case in reversed(DEFAULTS + CASES)}.values())

# Values that each hyper-parameter must refuse: numbers with a ValueError, what is no number with a TypeError.
NOT_NUMBERS: list[Any] = ["0.1", None, 1j, [0.1]]
NEGATIVE_OR_NOT_FINITE = [-1.0, -1e-300, math.nan, math.inf, -math.inf, np.float32(-1), 10**400, *NOT_NUMBERS]
OUTSIDE_0_1 = [1.0, 1, 1.5, -0.1, math.nan, math.inf, *NOT_NUMBERS]
NOT_POSITIVE = [0.0, 0, *NEGATIVE_OR_NOT_FINITE]
NOT_A_COUNT = [0, -1, 1.5, math.nan, *NOT_NUMBERS]

NOT_A_FLAG: list[Any] = ["no", None, 1, 0.0]

NOT_A_LIMIT = [0, 0.0, -1, -0.5, math.nan, -math.inf, "1", 1j, [1.0], np.complex64(1), 10**400]

OUTSIDE: dict[str, list[Any]] = {
    "lr": NEGATIVE_OR_NOT_FINITE,
    "weight_decay": NEGATIVE_OR_NOT_FINITE,
    "beta": OUTSIDE_0_1,
    "beta1": OUTSIDE_0_1,
    "beta2": OUTSIDE_0_1,
    "betas": [(0.9, 1.0), (1.0, 0.9), (-0.1, 0.9), (0.9, math.nan), 0.9, (0.9,), (0.9,) * 4, None, ("0.9", 0.9)],
    "momentum": OUTSIDE_0_1,
    "eps": NEGATIVE_OR_NOT_FINITE,
    "eps_root": NEGATIVE_OR_NOT_FINITE,
    "beta3": OUTSIDE_0_1,
    "alpha": NEGATIVE_OR_NOT_FINITE,
    "warmup": [*(value for value in NOT_A_COUNT if value is not None), math.inf, True],
    "warmup_steps": [-1, 1.5, math.nan, math.inf, True, *NOT_NUMBERS],
    "r": NEGATIVE_OR_NOT_FINITE,
    "weight_lr_power": NEGATIVE_OR_NOT_FINITE,
    "z_weight": NEGATIVE_OR_NOT_FINITE,
    "clip": [0, 0.0, -1, -1e-300, math.nan, -math.inf, *NOT_NUMBERS],
    "trust_coefficient": NEGATIVE_OR_NOT_FINITE,
    "min_norm": NEGATIVE_OR_NOT_FINITE,
    "dampening": OUTSIDE_0_1,
    "rho": OUTSIDE_0_1,
    "lr_decay": NEGATIVE_OR_NOT_FINITE,
    "initial_accumulator_value": NEGATIVE_OR_NOT_FINITE,
    "momentum_decay": NEGATIVE_OR_NOT_FINITE,
    "mu_decay": NEGATIVE_OR_NOT_FINITE,
    "mu_product": NEGATIVE_OR_NOT_FINITE,
    "lambd": NEGATIVE_OR_NOT_FINITE,
    "t0": NEGATIVE_OR_NOT_FINITE,
    "slowdown": NEGATIVE_OR_NOT_FINITE,
    "mu": NEGATIVE_OR_NOT_FINITE,
    "etas": [
        (0.0, 1.2),
        (1.0, 1.2),
        (0.5, 1.0),
        (0.5, math.inf),
        (math.nan, 1.2),
        ("0.5", 1.2),
        0.5,
        (0.5,),
        None,
        "ab",
    ],
    "step_sizes": [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1e-6, math.inf), (1e-6, math.nan), 1.0, (1.0, 2.0, 3.0), None],
    "eta_minus": OUTSIDE_0_1,
    "eta_plus": NOT_POSITIVE,
    "step_min": NOT_POSITIVE,
    "step_max": NOT_POSITIVE,
    "optimism": NEGATIVE_OR_NOT_FINITE,
    "eta": NEGATIVE_OR_NOT_FINITE,
    "gamma": NEGATIVE_OR_NOT_FINITE,
    "final_lr": NEGATIVE_OR_NOT_FINITE,
    "seed": [-1, 1.5, math.nan, True, *NOT_NUMBERS],
    "t": [*NOT_A_COUNT, -math.inf],
    "window": [*NOT_A_COUNT, math.inf, True],
    "beta2_decay": [0.1, 1e-300, math.nan, -math.inf, *NOT_NUMBERS],
    "eps1": [-1.0, -1e-300, math.nan, *NOT_NUMBERS],
    "eps2": NEGATIVE_OR_NOT_FINITE,
    "d": [0.0, *NEGATIVE_OR_NOT_FINITE],
    "nesterov": NOT_A_FLAG,
    "ns_coefficients": [(1.0, 2.0), (1.0, 2.0, math.nan), (1.0, 2.0, "3"), 1.0, None, "abc"],
    "ns_steps": [*NOT_A_COUNT, math.inf, True],
    "adjust_lr_fn": ["", "Original", 1, True, ["original"]],
    "accumulate": [*NOT_A_COUNT, math.inf, True],
    "num_threads": [0, -1, 1.5, "2", True],
    "clip_norm": NOT_A_LIMIT,
    "clip_value": NOT_A_LIMIT,
    "ema": [1.0, 1, 1.5, -0.1, math.nan, math.inf, "0.1", 1j, [0.1], 10**400],
    "maximize": NOT_A_FLAG,
    "cautious": NOT_A_FLAG,
    "bias_correction": NOT_A_FLAG,
    "centered": NOT_A_FLAG,
    "amsgrad": NOT_A_FLAG,
    "decoupled_weight_decay": NOT_A_FLAG,
    "nonfinite": ["x", "Skip", None, True, ["skip"]],
}


def outside(names: Any) -> Iterator[tuple[str, Any]]:
    """Each hyper-parameter of these names with each value it must refuse."""
    return ((name, value) for name in names if name in OUTSIDE for value in OUTSIDE[name])
