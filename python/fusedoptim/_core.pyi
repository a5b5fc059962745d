"""
The compiled kernels, and what runs them.
"""

import collections.abc
import typing

import numpy

__all__: list[str] = [
    "Options",
    "Plan",
    "accumulate",
    "adam",
    "adam_rows",
    "adamw",
    "adamw_rows",
    "available_isas",
    "check_hyper",
    "check_weight",
    "has_openmp",
    "isa",
    "lamb",
    "measured_rules",
    "momentum",
    "momentum_rows",
    "num_threads",
    "parallel_threshold",
    "rmsprop",
    "rmsprop_rows",
    "rowwise_adagrad",
    "rowwise_adagrad_rows",
    "rowwise_adam",
    "rowwise_adam_rows",
    "rule_hypers",
    "rule_states",
    "rules_of_rows",
    "set_cpu_quota",
    "set_default_threads",
    "set_isa",
    "sgd",
    "sgd_rows",
    "traffic0",
    "traffic1",
    "traffic2",
    "version",
    "window_sgd",
]

class Options:
    keeps_ema: bool
    maximize: bool
    require_finite: bool
    zero_grads: bool
    def __init__(self) -> None: ...
    @property
    def accumulate(self) -> int: ...
    @accumulate.setter
    def accumulate(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    @property
    def clip_norm(self) -> float: ...
    @clip_norm.setter
    def clip_norm(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def clip_value(self) -> float: ...
    @clip_value.setter
    def clip_value(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def ema(self) -> float: ...
    @ema.setter
    def ema(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def grad_scale(self) -> float: ...
    @grad_scale.setter
    def grad_scale(self, arg0: typing.SupportsFloat | typing.SupportsIndex) -> None: ...
    @property
    def num_threads(self) -> int: ...
    @num_threads.setter
    def num_threads(self, arg0: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class Plan:
    def __init__(self, rule: str, n_groups: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def accumulate(self, grads: typing.Any, options: Options) -> None: ...
    def add(
        self,
        group: typing.SupportsInt | typing.SupportsIndex,
        path: str,
        arrays: collections.abc.Sequence[typing.Any],
        grad_sum: typing.Any,
        ema: typing.Any,
    ) -> None: ...
    def bind(self, grads: list) -> None: ...
    def finish(self) -> None: ...
    def step(
        self, grads: typing.Any, values: list, t: typing.SupportsFloat | typing.SupportsIndex, options: Options
    ) -> typing.Any: ...
    def step_one(
        self,
        tensor: typing.SupportsInt | typing.SupportsIndex,
        grad: typing.Any,
        values: list,
        t: typing.SupportsFloat | typing.SupportsIndex,
        options: Options,
    ) -> None: ...
    @property
    def bound(self) -> typing.Any: ...

def accumulate(w: numpy.ndarray, g: numpy.ndarray) -> None: ...
def adam(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0,
    t: float = 1,
) -> None: ...
def adam_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0,
    t: float = 1,
) -> None: ...
def adamw(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0,
    t: float = 1,
    weight_decay: float = 0.01,
) -> None: ...
def adamw_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0,
    t: float = 1,
    weight_decay: float = 0.01,
) -> None: ...
def available_isas() -> list[str]: ...
def check_hyper(rule: str, name: str, value: typing.Any) -> None: ...
def check_weight(weight: typing.Any, path: str) -> None: ...
def has_openmp() -> bool: ...
def isa() -> str: ...
def lamb(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-06,
    eps_root: float = 0,
    t: float = 1,
    weight_decay: float = 0,
) -> None: ...
def momentum(w: numpy.ndarray, g: numpy.ndarray, m: numpy.ndarray, *, lr: float = 0.01, beta: float = 0.9) -> None: ...
def momentum_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.9,
) -> None: ...
def num_threads(requested: typing.SupportsInt | typing.SupportsIndex = 0) -> int: ...
def rmsprop(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0,
) -> None: ...
def rmsprop_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0,
) -> None: ...
def rowwise_adagrad(
    w: numpy.ndarray, g: numpy.ndarray, v: numpy.ndarray, *, lr: float = 0.01, eps: float = 1e-08
) -> None: ...
def rowwise_adagrad_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    eps: float = 1e-08,
) -> None: ...
def rowwise_adam(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1,
    weight_decay: float = 0,
) -> None: ...
def rowwise_adam_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1,
    weight_decay: float = 0,
) -> None: ...
def set_cpu_quota(n: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def set_default_threads(n: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def set_isa(name: str) -> bool: ...
def sgd(w: numpy.ndarray, g: numpy.ndarray, *, lr: float = 0.01, weight_decay: float = 0) -> None: ...
def sgd_rows(
    w: numpy.ndarray, rows: numpy.ndarray, g_rows: numpy.ndarray, *, lr: float = 0.01, weight_decay: float = 0
) -> None: ...
def traffic0(w: numpy.ndarray, g: numpy.ndarray) -> None: ...
def traffic1(w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray) -> None: ...
def traffic2(w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray) -> None: ...
def window_sgd(w: numpy.ndarray, g: numpy.ndarray, ring: numpy.ndarray, *, lr: float = 0.01, t: float = 1) -> None: ...

measured_rules: list = ["lamb", "rowwise_adagrad", "rowwise_adam"]
parallel_threshold: int = 32768
rule_hypers: dict = ...
rule_states: dict = ...
rules_of_rows: list = ["sgd", "momentum", "rmsprop", "adam", "adamw", "rowwise_adagrad", "rowwise_adam"]
version: str = "0.1.0"
