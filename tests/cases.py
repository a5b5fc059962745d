"""The table that every test is parametrised over: an optimizer, its hyper-parameters, and what it must refuse.

A new optimizer is a new row of CASES, and one of OUTSIDE for each hyper-parameter with a new name.
"""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
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

# What is one keyword of the constructor and several of a rule, and what a rule need not know.
PARTS = {
    "betas": ("beta1", "beta2", "beta3"),
    "etas": ("eta_minus", "eta_plus"),
    "step_sizes": ("step_min", "step_max"),
    "eps": ("eps1", "eps2"),  # of Adafactor
}
CHOICES = {"amsgrad", "cautious", "centered", "decoupled_weight_decay", "nesterov"}  # of the rule
OF_THE_STATE = {"initial_accumulator_value", "seed", "window"}

# What makes an implementation of others with the keywords of a row.
Like = Callable[[dict[str, Any]], Elsewhere]

BY_SIGN = (fo.Grams, fo.Lion, fo.Rprop, fo.SignSGD, fo.Signum)


@dataclass(eq=False)
class Case:
    """An optimizer with the keywords of its constructor, and what these are called in the kernel and the reference."""

    optimizer: type[fo.Optimizer]
    keywords: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] | None = None  # None: the keywords, or what `renamed` makes of them
    rows: int = 1  # of those state arrays that are rings
    stand_in: type[fo.Optimizer] | None = None  # made in its place
    like: list[Like] = field(default_factory=list)  # what computes the same
    digest: dict[str, Any] | None = None  # the keywords of digests.py for this rule, if they are not none at all
    least_eps: float | None = 1e-8  # by which it divides; None: the distance from 1 to the next number

    @cached_property
    def rule(self) -> str:
        return self.make(np.ones((1, 1))).rule

    @cached_property
    def named(self) -> dict[str, Any]:
        """The hyper-parameters, numbers or functions of t, by the names of the kernel."""
        unknown = (CHOICES | OF_THE_STATE) - inspect.signature(self.reference).parameters.keys()
        return renamed(self.keywords, unknown) if self.hyper is None else self.hyper

    @property
    def others(self) -> list[Elsewhere]:
        """What computes the same, with these keywords."""
        return [like(self.keywords) for like in self.like]

    @property
    def discontinuous(self) -> bool:
        """A step by a sign alone: as long for the smallest number as for any, but none for zero."""
        return self.optimizer in BY_SIGN or "cautious" in self.keywords

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

    def hyper_at(self, t: int, lr: float | None = None) -> dict[str, float]:
        """The hyper-parameters of step t, maybe with another learning rate."""
        at_t = {name: value(t) if callable(value) else value for name, value in self.named.items()}
        if lr is not None:
            at_t["lr"] = lr
        if self.optimizer.carried is not None:
            at_t = carried(self, t, lr)
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
def group_of(case: Case, lr: float | None) -> fo.Group:
    return case.make([{"params": np.zeros((1, 1))} | ({} if lr is None else {"lr": lr})]).groups[0]


def carry(case: Case, t: int, lr: float | None, before: Any) -> tuple[dict[str, float], Any]:
    """The hyper-parameters of step t, some of which follow from the steps before, and what follows from it."""
    group = group_of(case, lr)
    values, after = group.carry(group.at(t), t - 1, before)
    named = zip(fo._core.rule_hypers[case.rule], values, strict=False)
    return {name: value for name, value in named if value is not None}, after


@cache
def carried(case: Case, t: int, lr: float | None) -> dict[str, float]:
    """The hyper-parameters of step t, the rate being the same in all before."""
    before = case.optimizer.carried
    for step in range(1, t + 1):
        hyper, before = carry(case, step, lr, before)
    return hyper


def renamed(keywords: dict[str, Any], unknown: set[str]) -> dict[str, Any]:
    hyper = {name: value for name, value in keywords.items() if name not in unknown}
    for name, parts in PARTS.items():
        if isinstance(hyper.get(name), tuple):
            hyper |= dict(zip(parts, hyper.pop(name), strict=False))
    if not hyper.pop("bias_correction", True):
        hyper["t"] = math.inf
    return hyper


NO_OTHERS: dict[str, str | None] = {}


def same(
    make: Callable[..., Elsewhere], *args: str, names: Mapping[str, str | None] = NO_OTHERS, **defaults: Any
) -> Like:
    """With the keywords of the row, some by other `names` or left out, and `defaults` where the row has none."""

    def like(keywords: dict[str, Any]) -> Elsewhere:
        there = {names.get(name, name): value for name, value in keywords.items()}
        return make(*args, **{name: value for name, value in (defaults | there).items() if name is not None})

    return like


def optax(name: str, module: str = "optax", names: Mapping[str, str | None] = NO_OTHERS, **defaults: Any) -> Like:
    def make(betas: tuple[float, ...] = (), **keywords: Any) -> Elsewhere:
        return like_optax(name, module, **keywords, **{f"b{k}": beta for k, beta in enumerate(betas, start=1)})

    return same(make, names={"lr": "learning_rate", **names}, **defaults)


def like_sm3(learning_rate: Any, **keywords: float) -> Elsewhere:
    """optax's, with the arguments that its `sm3` hides."""
    return like_optax_chain(("scale_by_sm3", keywords), ("scale_by_learning_rate", {"learning_rate": learning_rate}))


torch = partial(same, like_torch)
pytorch_optimizer = partial(same, partial(like_torch, module="pytorch_optimizer"))
contrib = partial(optax, module="optax.contrib")
schedule_free = partial(same, partial(like_torch, module="schedulefree", before=lambda optimizer: optimizer.train()))
sm3 = same(like_sm3, names={"lr": "learning_rate", "momentum": "b1", "eps_root": "eps"})
timm = partial(same, like_timm, names={"cautious": "caution"})
uncorrected = partial(optax, bias_correction_mu=False, bias_correction_nu=False)
uncorrected_amsgrad = uncorrected("amsgrad", names={"bias_correction": None, "amsgrad": None}, learning_rate=1e-3)


class NoisySGD(fo.NoisySGD):
    """With noise that does not change, and that all tensors have alike. The real one is in test_noisy_sgd.py."""

    def _draw(self) -> None:
        for tensor in self._tensors:
            noise = tensor.states["noise"]
            noise[...] = np.resize([0.5, -1.25, 2.0], noise.shape)


def warm(beta1: float, beta3: float, steps: int) -> Callable[[int], float]:
    """AdEMAMix's beta3 at step t, as the paper writes it."""

    def at(t: int) -> float:
        log1, log3, share = math.log(beta1), math.log(beta3), t / steps
        return math.exp(log1 * log3 / ((1 - share) * log3 + share * log1)) if t < steps else beta3

    return at


decay = fo.schedules.inverse_sqrt(0.05, n=100)

# Keywords of many rows.
LION: dict[str, Any] = {"lr": 0.03, "betas": (0.7, 0.95), "weight_decay": 0.3}
ADAM: dict[str, Any] = {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4}
ADAMW = ADAM | {"weight_decay": 0.3}
DECOUPLED = ADAMW | {"decoupled_weight_decay": True}
DECOUPLED_DIGEST = {"weight_decay": 0.01, "decoupled_weight_decay": True}
ROOT = ADAM | {"eps_root": 1e-6}
ROOT_DECAY = ROOT | {"weight_decay": 0.3}
RMS: dict[str, Any] = {"lr": 0.003, "beta": 0.7, "eps": 1e-4}
LARS: dict[str, Any] = {"lr": 30.0, "momentum": 0.7, "weight_decay": 0.3, "trust_coefficient": 2e-3, "eps": 0.1}
AVERAGED: dict[str, Any] = {"warmup_steps": 20, "r": 0.5, "weight_lr_power": 1.5}

torch_sgd, optax_sgd = torch("SGD", lr=1e-2), optax("sgd", learning_rate=1e-2)
torch_rmsprop = torch("RMSprop", names={"beta": "alpha"})
optax_rmsprop = optax("rmsprop", names={"beta": "decay"}, learning_rate=1e-2, decay=0.99, eps_in_sqrt=False)

CASES = [
    Case(fo.SGD, like=[torch_sgd, optax_sgd]),
    Case(fo.SGD, {"lr": 0.3, "weight_decay": 0.1}, like=[torch_sgd]),
    Case(fo.SGD, {"momentum": 0.9}, like=[torch_sgd, optax_sgd]),
    Case(
        fo.SGD,
        {"lr": 0.03, "momentum": 0.7, "dampening": 0.3},
        like=[torch_sgd],
        digest={"momentum": 0.9, "dampening": 0.1},
    ),
    Case(
        fo.SGD,
        {"lr": 0.03, "momentum": 0.7, "nesterov": True},
        like=[torch_sgd, optax_sgd],
        digest={"momentum": 0.9, "nesterov": True},
    ),
    Case(fo.WindowSGD, rows=10),
    Case(fo.WindowSGD, {"lr": 0.3, "window": 3}, rows=3),
    Case(fo.Momentum),
    Case(fo.Momentum, {"lr": fo.schedules.exponential(0.3, 0.9), "beta": 0.7}),
    Case(fo.ASGD, like=[torch("ASGD")]),
    Case(
        fo.ASGD,
        {"lr": 0.03, "lambd": 0.01, "alpha": 0.9, "t0": 2.0},
        {"lr": 0.03, "lambd": 0.01},
        like=[torch("ASGD")],
        digest={"t0": 10.0},
    ),
    Case(fo.Rprop, like=[torch("Rprop")]),
    Case(fo.Rprop, {"lr": 0.03, "etas": (0.7, 1.1), "step_sizes": (1e-3, 0.05)}, like=[torch("Rprop")]),
    Case(fo.Adagrad, like=[torch("Adagrad")], least_eps=1e-10),
    Case(
        fo.Adagrad,
        {"lr": 0.03, "lr_decay": 1e-3, "initial_accumulator_value": 0.5, "eps": 1e-4},
        like=[torch("Adagrad")],
    ),
    Case(
        fo.Adagrad,
        {"initial_accumulator_value": 0.25, "eps": 0.0, "eps_root": 1e-7},
        like=[optax("adagrad", names={"eps": None, "eps_root": "eps"}, learning_rate=1e-2)],
    ),
    Case(fo.RMSProp, like=[torch_rmsprop, optax_rmsprop]),
    Case(
        fo.RMSProp,  # the lecture's
        {"lr": 0.03, "beta": 0.7, "eps": 0.0, "eps_root": 1e-6},
        like=[optax("rmsprop", names={"beta": "decay", "eps": None, "eps_root": "eps"})],
    ),
    Case(
        fo.RMSProp,
        RMS | {"lr": 0.03, "centered": True},
        like=[torch_rmsprop, optax_rmsprop],
        digest={"centered": True},
    ),
    Case(fo.RMSProp, RMS | {"momentum": 0.8}, like=[torch_rmsprop, optax_rmsprop], digest={"momentum": 0.9}),
    Case(
        fo.RMSProp,
        RMS | {"centered": True, "momentum": 0.8},
        like=[torch_rmsprop, optax_rmsprop],
        digest={"centered": True, "momentum": 0.9},
    ),
    Case(fo.Adadelta, like=[torch("Adadelta"), optax("adadelta", learning_rate=1.0)]),
    Case(fo.Adadelta, {"lr": 0.3, "rho": 0.7, "eps": 1e-3}, like=[torch("Adadelta"), optax("adadelta")]),
    Case(fo.Adam, like=[torch("Adam"), optax("adam", learning_rate=1e-3)]),
    Case(fo.Adam, ROOT, like=[optax("adam")]),
    Case(fo.Adam, {"lr": decay, "eps": 0.0, "eps_root": 1e-6, "bias_correction": False}),  # the lecture's, global decay
    Case(fo.Adam, ADAM | {"amsgrad": True}, like=[torch("Adam")], digest={"amsgrad": True, "eps_root": 1e-6}),
    Case(fo.Adam, {"eps_root": 1e-6, "bias_correction": False, "amsgrad": True}, like=[uncorrected_amsgrad]),
    Case(fo.AdamW, like=[torch("AdamW")]),
    Case(fo.AdamW, ADAMW, like=[torch("AdamW")]),
    Case(fo.AdamW, ROOT_DECAY | {"lr": decay}),
    Case(fo.AdamW, {"eps_root": 1e-6, "bias_correction": False}),
    Case(fo.AdamW, ADAMW | {"amsgrad": True}, like=[torch("AdamW")], digest={"amsgrad": True}),
    Case(fo.Adamax, like=[torch("Adamax"), optax("adamax", learning_rate=2e-3)]),
    Case(fo.Adamax, ADAM, like=[torch("Adamax"), optax("adamax")]),
    Case(fo.NAdam, like=[torch("NAdam")]),
    Case(
        fo.NAdam,
        ADAM | {"momentum_decay": 0.1},
        {"lr": 0.03, "beta1": 0.7, "beta2": 0.95, "eps": 1e-4, "mu_decay": 0.96**0.1},
        like=[torch("NAdam")],
    ),
    Case(
        fo.NAdam,
        {"momentum_decay": 1e6},
        {"mu_decay": 0.0},
        like=[torch("NAdam"), optax("nadam", names={"momentum_decay": None}, learning_rate=2e-3)],
    ),
    Case(fo.NAdam, DECOUPLED, like=[torch("NAdam")], digest=DECOUPLED_DIGEST),
    Case(fo.RAdam, like=[torch("RAdam")]),
    Case(fo.RAdam, ADAM, like=[torch("RAdam")]),
    Case(fo.RAdam, DECOUPLED, like=[torch("RAdam")], digest=DECOUPLED_DIGEST),
    Case(fo.LAMB, like=[optax("lamb", learning_rate=1e-3)]),
    Case(fo.LAMB, ROOT_DECAY, like=[optax("lamb")]),
    Case(fo.LAMB, ROOT_DECAY | {"lr": decay}),
    Case(fo.LAMB, {"bias_correction": False}),
    Case(fo.SignSGD, like=[optax("sign_sgd", learning_rate=1e-3), pytorch_optimizer("SignSGD", momentum=0.0)]),
    Case(fo.SignSGD, {"lr": 0.03, "weight_decay": 0.3}, like=[pytorch_optimizer("SignSGD", momentum=0.0)]),
    Case(fo.Signum, like=[pytorch_optimizer("SignSGD")]),
    Case(
        fo.Signum,
        {"lr": 0.03, "beta": 0.7, "weight_decay": 0.3},
        like=[pytorch_optimizer("SignSGD", names={"beta": "momentum"})],
    ),
    Case(fo.Lion, like=[optax("lion", learning_rate=1e-4, weight_decay=0.0), torch("Lion", "lion_pytorch")]),
    Case(fo.Lion, LION, like=[optax("lion"), torch("Lion", "lion_pytorch")]),
    Case(fo.Lion, LION | {"cautious": True}, like=[timm("Lion", "lion")], digest={"cautious": True}),
    Case(
        fo.Adam,
        {"cautious": True},
        like=[timm("AdamWLegacy", "adamw", lr=1e-3, weight_decay=0.0)],
        digest={"cautious": True},
    ),
    Case(fo.AdamW, ADAMW | {"cautious": True}, like=[timm("AdamWLegacy", "adamw")], digest={"cautious": True}),
    Case(
        fo.Nesterov,
        like=[
            torch("SGD", lr=1e-2 * (1 - 0.9), momentum=0.9, nesterov=True),
            optax("sgd", learning_rate=1e-2 * (1 - 0.9), momentum=0.9, nesterov=True),
        ],
    ),
    Case(
        fo.Nesterov,
        {"lr": 0.3, "beta": 0.7},
        like=[torch("SGD", names={"lr": None, "beta": "momentum"}, lr=0.3 * (1 - 0.7), nesterov=True)],
    ),
    Case(fo.AdaBelief, like=[optax("adabelief", learning_rate=1e-3)]),
    Case(fo.AdaBelief, ROOT, like=[optax("adabelief")]),
    Case(fo.AdaBelief, ADAM | {"eps_root": 1e-4}, like=[pytorch_optimizer("AdaBelief", names={"eps_root": None})]),
    Case(fo.AdaBound, like=[pytorch_optimizer("AdaBound")]),
    Case(fo.AdaBound, ADAM | {"final_lr": 0.02, "gamma": 0.005}, like=[pytorch_optimizer("AdaBound")]),
    Case(fo.AdaBound, {"lr": decay}),
    Case(fo.Yogi, like=[optax("yogi", learning_rate=1e-2), pytorch_optimizer("Yogi")]),
    Case(fo.Yogi, ADAM | {"eps": 1e-2}, like=[optax("yogi"), pytorch_optimizer("Yogi")]),
    Case(fo.Yogi, {"lr": decay, "bias_correction": False}),
    Case(fo.AMSGrad, like=[optax("amsgrad", learning_rate=1e-3)]),
    Case(fo.AMSGrad, ROOT, like=[optax("amsgrad")]),
    Case(fo.AMSGrad, {"lr": 0.03, "bias_correction": False}, like=[uncorrected_amsgrad]),
    Case(fo.Adan, like=[pytorch_optimizer("Adan")]),
    Case(fo.Adan, ADAMW | {"betas": (0.9, 0.7, 0.95)}, like=[pytorch_optimizer("Adan")]),
    Case(  # at a beta2 of 1/2, where optax agrees
        fo.Adan, {"lr": 0.03, "betas": (0.9, 0.5, 0.95), "eps_root": 1e-6}, like=[optax("adan")]
    ),
    Case(fo.AdamaxW, like=[optax("adamaxw", learning_rate=2e-3)]),
    Case(fo.AdamaxW, ADAMW, like=[optax("adamaxw")]),
    Case(fo.NAdamW, like=[optax("nadamw", learning_rate=1e-3)]),
    Case(fo.NAdamW, ROOT_DECAY, like=[optax("nadamw")]),
    Case(fo.OptimisticGradientDescent, like=[optax("optimistic_gradient_descent", learning_rate=1e-2)]),
    Case(
        fo.OptimisticGradientDescent,
        {"lr": 0.3 * 0.5, "optimism": 0.2 / 0.5},
        like=[
            optax(
                "optimistic_gradient_descent",
                names={"lr": None, "optimism": None},
                learning_rate=0.3,
                alpha=0.5,
                beta=0.2,
            )
        ],
    ),
    Case(fo.NoisySGD, stand_in=NoisySGD, digest={}),  # whose noise is no generator's
    Case(fo.NoisySGD, {"lr": 0.03, "eta": 0.5, "gamma": 0.9, "seed": 7}, stand_in=NoisySGD),
    Case(
        fo.NoisySGD,
        {"lr": 0.03, "eta": 0.0},
        like=[optax("noisy_sgd", key=0), torch("SGD", names={"eta": None})],
        stand_in=NoisySGD,
    ),
    Case(fo.Grams, like=[pytorch_optimizer("Grams")]),
    Case(fo.Grams, ADAMW, like=[pytorch_optimizer("Grams")]),
    Case(fo.Grams, {"lr": decay, "eps_root": 1e-6, "bias_correction": False}),
    Case(
        fo.ADOPT,
        like=[
            contrib("adopt", learning_rate=1e-3),
            pytorch_optimizer("ADOPT", clip_lambda=lambda step: (step - 1) ** 0.25),
        ],
    ),
    Case(
        fo.ADOPT,
        ADAM | {"eps": 0.9, "clip": 0.5},
        like=[contrib("adopt", names={"clip": None}, clip_value_fn=lambda count: 0.5 * count**0.25)],
    ),
    Case(
        fo.ADOPT,
        {"clip": math.inf, "betas": (0.7, 0.95), "eps": 1e-4},
        like=[contrib("adopt", names={"clip": None}, learning_rate=1e-3, use_clipping=False)],
    ),
    Case(fo.AdEMAMix, like=[contrib("ademamix", learning_rate=1e-3)]),
    Case(
        fo.AdEMAMix,
        {"lr": 0.01, "betas": (0.7, 0.95, 0.99), "alpha": 2.0, "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3},
        like=[contrib("ademamix")],
    ),
    Case(
        fo.AdEMAMix,
        {"betas": (0.7, 0.95, 0.99), "warmup": 50},
        {"beta1": 0.7, "beta2": 0.95, "alpha": lambda t: 5 * min(t / 50, 1), "beta3": warm(0.7, 0.99, 50)},
        like=[pytorch_optimizer("AdEMAMix", names={"warmup": "t_alpha_beta3"})],
        digest={"warmup": 50},
    ),
    Case(fo.ScheduleFreeSGD, like=[schedule_free("SGDScheduleFree")]),
    Case(fo.ScheduleFreeSGD, {"lr": 0.03, "momentum": 0.7} | AVERAGED, like=[schedule_free("SGDScheduleFree")]),
    Case(fo.ScheduleFreeAdamW, like=[schedule_free("AdamWScheduleFree")]),
    Case(
        fo.ScheduleFreeAdamW,
        ADAMW | AVERAGED,
        like=[schedule_free("AdamWScheduleFree")],
        digest={"r": 0.5, "weight_lr_power": 1.5, "warmup_steps": 10},
    ),
    Case(fo.LARS, like=[optax("lars", learning_rate=1e-2)]),
    Case(fo.LARS, LARS, like=[optax("lars")]),
    Case(fo.LARS, LARS | {"nesterov": True}, like=[optax("lars")], digest={"nesterov": True}),
    Case(fo.Fromage, like=[optax("fromage", learning_rate=1e-2), pytorch_optimizer("Fromage", lr=1e-2)]),
    Case(fo.Fromage, {"lr": 0.3, "min_norm": 10.0}, like=[optax("fromage")]),
    Case(fo.NovoGrad, like=[optax("novograd", learning_rate=1e-3)]),
    Case(fo.NovoGrad, ROOT_DECAY, like=[optax("novograd")]),
    Case(fo.SM3, like=[optax("sm3", learning_rate=0.1)]),
    Case(fo.SM3, {"lr": 0.03, "momentum": 0.7, "eps_root": 0.5}, like=[sm3]),
    Case(fo.SM3, {"lr": decay, "momentum": 0.0}),
    Case(fo.Adafactor, like=[torch("Adafactor")], least_eps=None),
    Case(
        fo.Adafactor,
        {"lr": 0.3, "beta2_decay": -0.6, "eps": (0.01, 6.0), "d": 1.1, "weight_decay": 0.3},
        like=[torch("Adafactor")],
    ),
    Case(fo.Adafactor, {"lr": decay, "d": 0.5}, least_eps=None),
    Case(fo.RowWiseAdagrad, like=[same(like_rowwise_adagrad, lr=1e-2)]),
    Case(fo.RowWiseAdagrad, {"lr": 0.3, "eps": 1e-2}, like=[same(like_rowwise_adagrad)]),
    Case(fo.RowWiseAdam, like=[same(like_adam_mini)]),
    Case(fo.RowWiseAdam, ADAMW, like=[same(like_adam_mini)]),
    Case(fo.RowWiseAdam, {"lr": decay, "bias_correction": False}),
]

# Of optimizers for matrices alone, which the tests that draw vectors cannot run: test_muon.py does.
MUON: dict[str, Any] = {"lr": 0.03, "weight_decay": 0.3, "momentum": 0.7, "nesterov": False, "eps": 0.5, "ns_steps": 7}
MATRIX_CASES = [
    Case(fo.Muon),
    Case(fo.Muon, MUON | {"ns_coefficients": (2.0, -1.5, 0.5), "adjust_lr_fn": "match_rms_adamw"}),
    Case(fo.Muon, {"lr": fo.schedules.exponential(0.3, 0.9), "adjust_lr_fn": "original"}),
]

# Of optimizers that are stepped in a way of their own, with a rule of another class: runs.py does.
OWN_STEP = [
    Case(fo.PolyakSGD),
    Case(fo.PolyakSGD, {"lr": 0.5, "max_learning_rate": 0.3, "f_min": 0.1, "eps": 0.1}),
    Case(fo.SparseAdam),
    Case(fo.SparseAdam, ADAM),
]

DEFAULTS = [case for case in CASES if not case.keywords]  # one for each optimizer

# Only to compare with others: an L2 penalty, which is of the step, and a limit too singular for the other tests.
ELSEWHERE = [
    Case(fo.SGD, {"momentum": 0.9, "weight_decay": 0.1}, like=[torch_sgd]),
    *(
        Case(kind, {"lr": 1e-2, "weight_decay": 0.1}, like=[torch("RMSprop" if kind is fo.RMSProp else kind.__name__)])
        for kind in (fo.ASGD, fo.Adagrad, fo.RMSProp, fo.Adadelta, fo.Adam, fo.Adamax, fo.NAdam, fo.RAdam)
    ),
    Case(fo.RAdam, {"eps": 0.0}, like=[torch("RAdam"), optax("radam", learning_rate=1e-3)]),
]


def structure(case: Case) -> tuple[Any, ...]:
    """What the driver and the optimizer know of a rule."""
    rule = case.rule
    shapes = frozenset(shape for _, shape in fo._core.rule_states[rule])
    has_t = "t" in fo._core.rule_hypers[rule]
    return shapes, rule in fo._core.measured_rules, case.optimizer.carried is not None, has_t


# One of each structure, with its defaults where there is such a row.
KINDS = list({structure(case): case for case in reversed(DEFAULTS + CASES)}.values())

# Values that each hyper-parameter must refuse: numbers with a ValueError, what is no number with a TypeError.
NOT_NUMBERS: list[Any] = ["0.1", None, 1j, [0.1]]
NEGATIVE_OR_NOT_FINITE = [-1.0, -1e-300, math.nan, math.inf, -math.inf, np.float32(-1), 10**400, *NOT_NUMBERS]
OUTSIDE_0_1 = [1.0, 1, 1.5, -0.1, math.nan, math.inf, *NOT_NUMBERS]
NOT_POSITIVE = [0.0, 0, *NEGATIVE_OR_NOT_FINITE]
NOT_A_COUNT = [0, -1, 1.5, math.nan, *NOT_NUMBERS]
NOT_A_LENGTH = [*NOT_A_COUNT, math.inf, True]

NOT_A_FLAG: list[Any] = ["no", None, 1, 0.0]

NOT_A_LIMIT = [0, 0.0, -1, -0.5, math.nan, -math.inf, "1", 1j, [1.0], np.complex64(1), 10**400]

OUTSIDE: dict[str, list[Any]] = {
    **dict.fromkeys(["lr", "eps", "eps2", "eps_root", "min_norm", "r"], NEGATIVE_OR_NOT_FINITE),
    **dict.fromkeys(["weight_decay", "lr_decay", "momentum_decay", "mu_decay"], NEGATIVE_OR_NOT_FINITE),
    **dict.fromkeys(["weight_lr_power", "z_weight", "trust_coefficient", "optimism"], NEGATIVE_OR_NOT_FINITE),
    **dict.fromkeys(["initial_accumulator_value", "mu_product", "slowdown", "final_lr"], NEGATIVE_OR_NOT_FINITE),
    **dict.fromkeys(["alpha", "eta", "gamma", "lambd", "mu", "t0"], NEGATIVE_OR_NOT_FINITE),
    **dict.fromkeys(["beta", "beta1", "beta2", "beta3", "momentum", "dampening", "rho", "eta_minus"], OUTSIDE_0_1),
    **dict.fromkeys(["eta_plus", "step_min", "step_max"], NOT_POSITIVE),
    **dict.fromkeys(
        ["maximize", "cautious", "bias_correction", "ema_bias_correction", "centered", "amsgrad"], NOT_A_FLAG
    ),
    **dict.fromkeys(["decoupled_weight_decay", "nesterov"], NOT_A_FLAG),
    **dict.fromkeys(["window", "ns_steps", "accumulate"], NOT_A_LENGTH),
    **dict.fromkeys(["clip_norm", "clip_value"], NOT_A_LIMIT),
    "betas": [(0.9, 1.0), (1.0, 0.9), (-0.1, 0.9), (0.9, math.nan), 0.9, (0.9,), (0.9,) * 4, None, ("0.9", 0.9)],
    "warmup": [*(value for value in NOT_A_COUNT if value is not None), math.inf, True],
    "warmup_steps": [-1, 1.5, math.nan, math.inf, True, *NOT_NUMBERS],
    "clip": [0, 0.0, -1, -1e-300, math.nan, -math.inf, *NOT_NUMBERS],
    "etas": [
        *[(0.0, 1.2), (1.0, 1.2), (0.5, 1.0), (0.5, math.inf), (math.nan, 1.2)],
        *[("0.5", 1.2), 0.5, (0.5,), None, "ab"],
    ],
    "step_sizes": [(0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (1e-6, math.inf), (1e-6, math.nan), 1.0, (1.0, 2.0, 3.0), None],
    "seed": [-1, 1.5, math.nan, True, *NOT_NUMBERS],
    "t": [*NOT_A_COUNT, -math.inf],
    "beta2_decay": [0.1, 1e-300, math.nan, -math.inf, *NOT_NUMBERS],
    "eps1": [-1.0, -1e-300, math.nan, *NOT_NUMBERS],
    "d": [0.0, *NEGATIVE_OR_NOT_FINITE],
    "ns_coefficients": [(1.0, 2.0), (1.0, 2.0, math.nan), (1.0, 2.0, "3"), 1.0, None, "abc"],
    "adjust_lr_fn": ["", "Original", 1, True, ["original"]],
    "num_threads": [0, -1, 1.5, "2", True],
    "ema": [1.0, 1, 1.5, -0.1, math.nan, math.inf, "0.1", 1j, [0.1], 10**400],
    "state_dtype": ["float16", "Float8", 1, True, ["bfloat16"], {"bfloat16"}],
    "rounding": ["up", 0, True, ["split"]],
    "copy_to": [1, "w", True, 1.5],
    "nonfinite": ["x", "Skip", None, True, ["skip"]],
}


def outside(names: Any) -> Iterator[tuple[str, Any]]:
    """Each hyper-parameter of these names with each value it must refuse."""
    return ((name, value) for name in names if name in OUTSIDE for value in OUTSIDE[name])
