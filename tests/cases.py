"""The table that every test is parametrised over: an optimizer, its hyper-parameters, and what it must refuse.

A new optimizer is a new row of CASES, and one of OUTSIDE for each hyper-parameter with a new name.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

import fusedoptim as fo

from .elsewhere import Elsewhere, like_optax, like_rowwise_adagrad, like_rowwise_adam, like_torch

DTYPES = (np.float32, np.float64)


@dataclass(eq=False)
class Case:
    """An optimizer with the keywords of its constructor, and what these are called in the kernel and the reference."""

    optimizer: type[fo.Optimizer]
    keywords: dict[str, Any] = field(default_factory=dict)
    hyper: dict[str, Any] | None = None  # None: the keywords, or what `renamed` makes of them
    rows: int = 1  # of those state arrays that are rings
    like: list[Elsewhere] = field(default_factory=list)  # what computes the same

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
        return self.optimizer(params, **(self.keywords | keywords))

    def hyper_at(self, t: int) -> dict[str, float]:
        """The hyper-parameters of step t."""
        at_t = {name: value(t) if callable(value) else value for name, value in self.named.items()}
        return {"t": t} | at_t if "t" in fo._core.rule_hypers[self.rule] else at_t

    def state_shapes(self, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [fo.tensors.state_shape(kind, shape, self.rows) for _, kind in fo._core.rule_states[self.rule]]

    def new_state(self, w: np.ndarray) -> list[np.ndarray]:
        """As an optimizer begins with."""
        state = self.make(w.copy()).state
        return [state[name].copy() for name, _ in fo._core.rule_states[self.rule]]


def renamed(keywords: dict[str, Any]) -> dict[str, Any]:
    hyper = dict(keywords)
    hyper |= {f"beta{k}": beta for k, beta in enumerate(hyper.pop("betas", ()), start=1)}
    if not hyper.pop("bias_correction", True):
        hyper["t"] = math.inf
    return hyper


decay = fo.schedules.inverse_sqrt(0.05, n=100)

CASES = [
    Case(fo.SGD, like=[like_torch("SGD", lr=1e-2), like_optax("sgd", learning_rate=1e-2)]),
    Case(fo.SGD, {"lr": 0.3, "weight_decay": 0.1}, like=[like_torch("SGD", lr=0.3, weight_decay=0.1)]),
    Case(fo.WindowSGD, rows=10),
    Case(fo.WindowSGD, {"lr": 0.3, "window": 3}, {"lr": 0.3}, rows=3),
    Case(fo.Momentum),
    Case(fo.Momentum, {"lr": fo.schedules.exponential(0.3, 0.9), "beta": 0.7}),
    Case(fo.RMSProp, like=[like_torch("RMSprop")]),
    Case(fo.RMSProp, {"lr": 0.03, "beta": 0.7, "eps": 0.0, "eps_root": 1e-6}),  # the lecture's
    Case(fo.Adam, like=[like_torch("Adam"), like_optax("adam", learning_rate=1e-3)]),
    Case(
        fo.Adam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6},
        like=[like_optax("adam", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6)],
    ),
    Case(fo.Adam, {"lr": decay, "eps": 0.0, "eps_root": 1e-6, "bias_correction": False}),  # the lecture's, global decay
    Case(fo.AdamW, like=[like_torch("AdamW")]),
    Case(
        fo.AdamW,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[like_torch("AdamW", lr=0.03, betas=(0.7, 0.95), eps=1e-4, weight_decay=0.3)],
    ),
    Case(fo.AdamW, {"lr": decay, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3}),
    Case(fo.AdamW, {"eps_root": 1e-6, "bias_correction": False}),
    Case(fo.LAMB, like=[like_optax("lamb", learning_rate=1e-3)]),
    Case(
        fo.LAMB,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3},
        like=[like_optax("lamb", learning_rate=0.03, b1=0.7, b2=0.95, eps=1e-4, eps_root=1e-6, weight_decay=0.3)],
    ),
    Case(fo.LAMB, {"lr": decay, "betas": (0.7, 0.95), "eps": 1e-4, "eps_root": 1e-6, "weight_decay": 0.3}),
    Case(fo.LAMB, {"bias_correction": False}),
    Case(fo.RowWiseAdagrad, like=[like_rowwise_adagrad(lr=1e-2)]),
    Case(fo.RowWiseAdagrad, {"lr": 0.3, "eps": 1e-2}, like=[like_rowwise_adagrad(lr=0.3, eps=1e-2)]),
    Case(fo.RowWiseAdam, like=[like_rowwise_adam()]),
    Case(
        fo.RowWiseAdam,
        {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-4, "weight_decay": 0.3},
        like=[like_rowwise_adam(lr=0.03, beta1=0.7, beta2=0.95, eps=1e-4, weight_decay=0.3)],
    ),
    Case(fo.RowWiseAdam, {"lr": decay, "bias_correction": False}),
]

DEFAULTS = [case for case in CASES if not case.keywords]  # one for each optimizer

# Subnormal numbers count as zero in a kernel. What that takes away, less than the smallest normal number, is at most
# multiplied by 1 / eps = 1e8, the largest factor in the rules above.
SUBNORMAL_FACTOR = 1e9

# Values that each hyper-parameter must refuse: numbers with a ValueError, what is no number with a TypeError.
NOT_NUMBERS: list[Any] = ["0.1", None, 1j, [0.1]]
NEGATIVE_OR_NOT_FINITE = [-1.0, -1e-300, math.nan, math.inf, -math.inf, np.float32(-1), 10**400, *NOT_NUMBERS]
OUTSIDE_0_1 = [1.0, 1, 1.5, -0.1, math.nan, math.inf, *NOT_NUMBERS]
NOT_A_COUNT = [0, -1, 1.5, math.nan, *NOT_NUMBERS]

NOT_A_FLAG: list[Any] = ["no", None, 1, 0.0]

NOT_A_LIMIT = [0, 0.0, -1, -0.5, math.nan, -math.inf, "1", 1j, [1.0], np.complex64(1), 10**400]

OUTSIDE: dict[str, list[Any]] = {
    "lr": NEGATIVE_OR_NOT_FINITE,
    "weight_decay": NEGATIVE_OR_NOT_FINITE,
    "beta": OUTSIDE_0_1,
    "beta1": OUTSIDE_0_1,
    "beta2": OUTSIDE_0_1,
    "betas": [(0.9, 1.0), (1.0, 0.9), (-0.1, 0.9), (0.9, math.nan), 0.9, (0.9,), (0.9, 0.9, 0.9), None, ("0.9", 0.9)],
    "eps": NEGATIVE_OR_NOT_FINITE,
    "eps_root": NEGATIVE_OR_NOT_FINITE,
    "t": [*NOT_A_COUNT, -math.inf],
    "window": [*NOT_A_COUNT, math.inf, True],
    "accumulate": [*NOT_A_COUNT, math.inf, True],
    "num_threads": [0, -1, 1.5, "2", True],
    "clip_norm": NOT_A_LIMIT,
    "clip_value": NOT_A_LIMIT,
    "ema": [1.0, 1, 1.5, -0.1, math.nan, math.inf, "0.1", 1j, [0.1], 10**400],
    "maximize": NOT_A_FLAG,
    "bias_correction": NOT_A_FLAG,
    "nonfinite": ["x", "Skip", None, True, ["skip"]],
}


def outside(names: Any) -> Iterator[tuple[str, Any]]:
    """Each hyper-parameter of these names with each value it must refuse."""
    return ((name, value) for name in names if name in OUTSIDE for value in OUTSIDE[name])
