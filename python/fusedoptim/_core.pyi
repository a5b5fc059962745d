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
    "adabelief",
    "adabelief_rows",
    "adadelta",
    "adadelta_rows",
    "adafactor",
    "adagrad",
    "adagrad_rows",
    "adam",
    "adam_amsgrad",
    "adam_amsgrad_rows",
    "adam_rows",
    "adamax",
    "adamax_rows",
    "adamaxw",
    "adamaxw_rows",
    "adamw",
    "adamw_amsgrad",
    "adamw_amsgrad_rows",
    "adamw_rows",
    "adan",
    "adan_rows",
    "ademamix",
    "ademamix_rows",
    "adopt",
    "adopt_rows",
    "amsgrad",
    "amsgrad_rows",
    "asgd",
    "asgd_rows",
    "available_isas",
    "cautious_adam",
    "cautious_adamw",
    "cautious_lion",
    "check_hyper",
    "check_weight",
    "fromage",
    "grams",
    "grams_rows",
    "has_openmp",
    "heavy_ball",
    "heavy_ball_rows",
    "isa",
    "lamb",
    "lars",
    "lion",
    "lion_rows",
    "measured_rules",
    "momentum",
    "momentum_rows",
    "muon",
    "nadam",
    "nadam_decoupled",
    "nadam_decoupled_rows",
    "nadam_rows",
    "nadamw",
    "nadamw_rows",
    "nesterov",
    "nesterov_lars",
    "nesterov_momentum",
    "nesterov_momentum_rows",
    "nesterov_rows",
    "noisy_sgd",
    "noisy_sgd_rows",
    "novograd",
    "num_cpus",
    "num_threads",
    "optimistic_gradient_descent",
    "optimistic_gradient_descent_rows",
    "parallel_threshold",
    "radam",
    "radam_decoupled",
    "radam_decoupled_rows",
    "radam_rows",
    "rmsprop",
    "rmsprop_centered",
    "rmsprop_centered_momentum",
    "rmsprop_centered_momentum_rows",
    "rmsprop_centered_rows",
    "rmsprop_momentum",
    "rmsprop_momentum_rows",
    "rmsprop_rows",
    "rowwise_adagrad",
    "rowwise_adagrad_rows",
    "rowwise_adam",
    "rowwise_adam_rows",
    "rprop",
    "rprop_rows",
    "rule_hypers",
    "rule_passes",
    "rule_states",
    "rules_of_rows",
    "schedule_free_adamw",
    "schedule_free_adamw_rows",
    "schedule_free_sgd",
    "schedule_free_sgd_rows",
    "set_cpu_quota",
    "set_default_threads",
    "set_isa",
    "sgd",
    "sgd_rows",
    "sign_sgd",
    "sign_sgd_rows",
    "signum",
    "signum_rows",
    "sm3",
    "threads_set_by",
    "traffic0",
    "traffic1",
    "traffic2",
    "traffic3",
    "traffic4",
    "traffic_read",
    "traffic_ring",
    "version",
    "window_sgd",
    "yogi",
    "yogi_rows",
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
    def accumulate(self, grads: typing.Any, options: Options, outcome: list) -> None: ...
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
    def norm(self, grads: typing.Any, options: Options) -> float: ...
    def step(
        self,
        grads: typing.Any,
        values: list,
        t: typing.SupportsFloat | typing.SupportsIndex,
        options: Options,
        outcome: list,
    ) -> typing.Any: ...
    def step_one(
        self,
        tensor: typing.SupportsInt | typing.SupportsIndex,
        grad: typing.Any,
        values: list,
        t: typing.SupportsFloat | typing.SupportsIndex,
        options: Options,
        outcome: list,
    ) -> None: ...
    @property
    def bound(self) -> typing.Any: ...

def accumulate(w: numpy.ndarray, g: numpy.ndarray) -> None: ...
def adabelief(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    s: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-16,
    eps_root: float = 1e-16,
    t: float = 1.0,
) -> None: ...
def adabelief_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    s: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-16,
    eps_root: float = 1e-16,
    t: float = 1.0,
) -> None: ...
def adadelta(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    d: numpy.ndarray,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-06,
) -> None: ...
def adadelta_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    d: numpy.ndarray,
    *,
    lr: float = 1.0,
    rho: float = 0.9,
    eps: float = 1e-06,
) -> None: ...
def adafactor(
    w: numpy.ndarray,
    g: numpy.ndarray,
    row_var: numpy.ndarray,
    col_var: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta2_decay: float = -0.8,
    eps1: float = ...,
    eps2: float = 0.001,
    d: float = 1.0,
    weight_decay: float = 0.0,
    t: float = 1.0,
) -> None: ...
def adagrad(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def adagrad_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
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
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def adam_amsgrad(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    v_max: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def adam_amsgrad_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    v_max: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
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
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def adamax(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    u: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
) -> None: ...
def adamax_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    u: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
) -> None: ...
def adamaxw(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    u: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
    weight_decay: float = 0.0001,
) -> None: ...
def adamaxw_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    u: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
    weight_decay: float = 0.0001,
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
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.01,
) -> None: ...
def adamw_amsgrad(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    v_max: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.01,
) -> None: ...
def adamw_amsgrad_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    v_max: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
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
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.01,
) -> None: ...
def adan(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    n: numpy.ndarray,
    prev: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.98,
    beta2: float = 0.92,
    beta3: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def adan_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    n: numpy.ndarray,
    prev: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.98,
    beta2: float = 0.92,
    beta3: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def ademamix(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    m_slow: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    beta3: float = 0.9999,
    alpha: float = 5.0,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def ademamix_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    m_slow: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    beta3: float = 0.9999,
    alpha: float = 5.0,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def adopt(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.9999,
    eps: float = 1e-06,
    clip: float = 1.0,
    t: float = 1.0,
) -> None: ...
def adopt_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.9999,
    eps: float = 1e-06,
    clip: float = 1.0,
    t: float = 1.0,
) -> None: ...
def amsgrad(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    v_max: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def amsgrad_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    v_max: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def asgd(
    w: numpy.ndarray,
    g: numpy.ndarray,
    ax: numpy.ndarray,
    *,
    lr: float = 0.01,
    lambd: float = 0.0001,
    slowdown: float = 1.0,
    mu: float = 1.0,
) -> None: ...
def asgd_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    ax: numpy.ndarray,
    *,
    lr: float = 0.01,
    lambd: float = 0.0001,
    slowdown: float = 1.0,
    mu: float = 1.0,
) -> None: ...
def available_isas() -> list[str]: ...
def cautious_adam(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
) -> None: ...
def cautious_adamw(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.01,
) -> None: ...
def cautious_lion(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.0001,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None: ...
def check_hyper(rule: str, name: str, value: typing.Any) -> None: ...
def check_weight(weight: typing.Any, path: str) -> None: ...
def fromage(w: numpy.ndarray, g: numpy.ndarray, *, lr: float = 0.01, min_norm: float = 1e-06) -> None: ...
def grams(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-06,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def grams_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-06,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def has_openmp() -> bool: ...
def heavy_ball(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    momentum: float = 0.9,
    dampening: float = 0.0,
    t: float = 1.0,
) -> None: ...
def heavy_ball_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    momentum: float = 0.9,
    dampening: float = 0.0,
    t: float = 1.0,
) -> None: ...
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
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def lars(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust_coefficient: float = 0.001,
    eps: float = 0.0,
) -> None: ...
def lion(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.0001,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
) -> None: ...
def lion_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.0001,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
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
def muon(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    u: numpy.ndarray,
    *,
    lr: float = 0.001,
    momentum: float = 0.95,
    weight_decay: float = 0.1,
) -> None: ...
def nadam(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    mu_decay: float = 0.9998367253526753,
    mu_product: float = 1.0,
    t: float = 1.0,
) -> None: ...
def nadam_decoupled(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    mu_decay: float = 0.9998367253526753,
    mu_product: float = 1.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def nadam_decoupled_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    mu_decay: float = 0.9998367253526753,
    mu_product: float = 1.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def nadam_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.002,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    mu_decay: float = 0.9998367253526753,
    mu_product: float = 1.0,
    t: float = 1.0,
) -> None: ...
def nadamw(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0001,
) -> None: ...
def nadamw_rows(
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
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0001,
) -> None: ...
def nesterov(w: numpy.ndarray, g: numpy.ndarray, m: numpy.ndarray, *, lr: float = 0.01, beta: float = 0.9) -> None: ...
def nesterov_lars(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust_coefficient: float = 0.001,
    eps: float = 0.0,
) -> None: ...
def nesterov_momentum(
    w: numpy.ndarray, g: numpy.ndarray, m: numpy.ndarray, *, lr: float = 0.01, momentum: float = 0.9
) -> None: ...
def nesterov_momentum_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    momentum: float = 0.9,
) -> None: ...
def nesterov_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.9,
) -> None: ...
def noisy_sgd(
    w: numpy.ndarray,
    g: numpy.ndarray,
    noise: numpy.ndarray,
    *,
    lr: float = 0.01,
    eta: float = 0.01,
    gamma: float = 0.55,
    t: float = 1.0,
) -> None: ...
def noisy_sgd_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    noise: numpy.ndarray,
    *,
    lr: float = 0.01,
    eta: float = 0.01,
    gamma: float = 0.55,
    t: float = 1.0,
) -> None: ...
def novograd(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.25,
    eps: float = 1e-06,
    eps_root: float = 0.0,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def num_cpus() -> int: ...
def num_threads(requested: typing.SupportsInt | typing.SupportsIndex = 0) -> int: ...
def optimistic_gradient_descent(
    w: numpy.ndarray, g: numpy.ndarray, prev: numpy.ndarray, *, lr: float = 0.01, optimism: float = 1.0, t: float = 1.0
) -> None: ...
def optimistic_gradient_descent_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    prev: numpy.ndarray,
    *,
    lr: float = 0.01,
    optimism: float = 1.0,
    t: float = 1.0,
) -> None: ...
def radam(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
) -> None: ...
def radam_decoupled(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def radam_decoupled_rows(
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
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def radam_rows(
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
    t: float = 1.0,
) -> None: ...
def rmsprop(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
) -> None: ...
def rmsprop_centered(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
) -> None: ...
def rmsprop_centered_momentum(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    m: numpy.ndarray,
    b: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    momentum: float = 0.9,
) -> None: ...
def rmsprop_centered_momentum_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    m: numpy.ndarray,
    b: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    momentum: float = 0.9,
) -> None: ...
def rmsprop_centered_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
) -> None: ...
def rmsprop_momentum(
    w: numpy.ndarray,
    g: numpy.ndarray,
    v: numpy.ndarray,
    b: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    momentum: float = 0.9,
) -> None: ...
def rmsprop_momentum_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    v: numpy.ndarray,
    b: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta: float = 0.99,
    eps: float = 1e-08,
    eps_root: float = 0.0,
    momentum: float = 0.9,
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
    eps_root: float = 0.0,
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
    t: float = 1.0,
    weight_decay: float = 0.0,
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
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def rprop(
    w: numpy.ndarray,
    g: numpy.ndarray,
    prev: numpy.ndarray,
    step: numpy.ndarray,
    *,
    lr: float = 0.01,
    eta_minus: float = 0.5,
    eta_plus: float = 1.2,
    step_min: float = 1e-06,
    step_max: float = 50.0,
) -> None: ...
def rprop_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    prev: numpy.ndarray,
    step: numpy.ndarray,
    *,
    lr: float = 0.01,
    eta_minus: float = 0.5,
    eta_plus: float = 1.2,
    step_min: float = 1e-06,
    step_max: float = 50.0,
) -> None: ...
def schedule_free_adamw(
    w: numpy.ndarray,
    g: numpy.ndarray,
    z: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.0025,
    beta1: float = 0.9,
    z_weight: float = 1.0,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def schedule_free_adamw_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    z: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.0025,
    beta1: float = 0.9,
    z_weight: float = 1.0,
    beta2: float = 0.999,
    eps: float = 1e-08,
    t: float = 1.0,
    weight_decay: float = 0.0,
) -> None: ...
def schedule_free_sgd(
    w: numpy.ndarray,
    g: numpy.ndarray,
    z: numpy.ndarray,
    *,
    lr: float = 1.0,
    momentum: float = 0.9,
    z_weight: float = 1.0,
) -> None: ...
def schedule_free_sgd_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    z: numpy.ndarray,
    *,
    lr: float = 1.0,
    momentum: float = 0.9,
    z_weight: float = 1.0,
) -> None: ...
def set_cpu_quota(n: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def set_default_threads(n: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def set_isa(name: str) -> bool: ...
def sgd(w: numpy.ndarray, g: numpy.ndarray, *, lr: float = 0.01, weight_decay: float = 0.0) -> None: ...
def sgd_rows(
    w: numpy.ndarray, rows: numpy.ndarray, g_rows: numpy.ndarray, *, lr: float = 0.01, weight_decay: float = 0.0
) -> None: ...
def sign_sgd(w: numpy.ndarray, g: numpy.ndarray, *, lr: float = 0.001, weight_decay: float = 0.0) -> None: ...
def sign_sgd_rows(
    w: numpy.ndarray, rows: numpy.ndarray, g_rows: numpy.ndarray, *, lr: float = 0.001, weight_decay: float = 0.0
) -> None: ...
def signum(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta: float = 0.9,
    weight_decay: float = 0.0,
) -> None: ...
def signum_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    *,
    lr: float = 0.001,
    beta: float = 0.9,
    weight_decay: float = 0.0,
) -> None: ...
def sm3(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.1,
    momentum: float = 0.9,
    eps_root: float = 1e-08,
) -> None: ...
def threads_set_by() -> str: ...
def traffic0(w: numpy.ndarray, g: numpy.ndarray) -> None: ...
def traffic1(w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray) -> None: ...
def traffic2(w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray) -> None: ...
def traffic3(w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray, c: numpy.ndarray) -> None: ...
def traffic4(
    w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray, c: numpy.ndarray, d: numpy.ndarray
) -> None: ...
def traffic_read(w: numpy.ndarray, g: numpy.ndarray) -> None: ...
def traffic_ring(
    w: numpy.ndarray, g: numpy.ndarray, a: numpy.ndarray, b: numpy.ndarray, c: numpy.ndarray, newest: numpy.ndarray
) -> None: ...
def window_sgd(
    w: numpy.ndarray, g: numpy.ndarray, ring: numpy.ndarray, *, lr: float = 0.01, t: float = 1.0
) -> None: ...
def yogi(
    w: numpy.ndarray,
    g: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 0.001,
    t: float = 1.0,
) -> None: ...
def yogi_rows(
    w: numpy.ndarray,
    rows: numpy.ndarray,
    g_rows: numpy.ndarray,
    m: numpy.ndarray,
    v: numpy.ndarray,
    *,
    lr: float = 0.01,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 0.001,
    t: float = 1.0,
) -> None: ...

measured_rules: list = ...
parallel_threshold: int = 32768
rule_hypers: dict = ...
rule_passes: dict = ...
rule_states: dict = ...
rules_of_rows: list = ...
version: str = "0.1.0"
