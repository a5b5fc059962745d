r"""Learning-rate schedules: callables of the step ``t = 1, 2, …`` that an optimizer takes as its ``lr``.

>>> import fusedoptim as fo
>>> lr = fo.schedules.warmup_cosine(0.1, n=100, warmup=4)
>>> lr(1), lr(4), lr(100)
(0.025, 0.1, 0.0)
>>> lr
warmup_cosine(0.1, n=100, warmup=4)

Any function of t does as well. These are values: equal where their arguments are, hashable, they can be pickled, and print
what makes them. All but :class:`Plateau` cannot be changed.

Arguments are numbers of Python, NumPy, torch, JAX or the like, taken by value: finite and not negative, where nothing else
is said. A rate is `lr`, `end` or `start`; `n` is a number of steps, above 0, which need not be whole. Anything else raises a
TypeError or ValueError that names the argument, as does a `t` that is not a whole number from 1 to 2**53.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast

from fusedoptim.numerics import elementary
from fusedoptim.numerics.numbers import MOST_STEPS, plain_number, whole_number

Schedule = Callable[[int], float]

__all__ = [
    "Plateau",
    "Schedule",
    "constant",
    "cosine",
    "exponential",
    "inverse_sqrt",
    "join",
    "linear",
    "one_cycle",
    "polynomial",
    "restarts",
    "step",
    "warmup",
    "warmup_cosine",
    "warmup_inverse_sqrt",
    "warmup_linear",
]


@dataclass(frozen=True, repr=False)
class _Frozen(ABC):
    """A function of t, and the arguments that it was made with."""

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _checked(field.name, getattr(self, field.name)))

    def __call__(self, t: int) -> float:
        return self._at(whole_number("t", t, least=1))

    @abstractmethod
    def _at(self, t: int) -> float:
        """The rate of a step."""

    def __repr__(self) -> str:
        return _call(self)


@dataclass(frozen=True, repr=False)
class constant(_Frozen):
    r""":math:`lr_t = lr`."""

    lr: float

    def _at(self, t: int) -> float:
        return self.lr


@dataclass(frozen=True, repr=False)
class inverse_sqrt(_Frozen):
    r""":math:`lr_t = lr / \sqrt{t / n}`, a decay that passes ``lr`` at step ``n`` (global decay)."""

    lr: float
    n: float

    def _at(self, t: int) -> float:
        return self.lr / math.sqrt(t / self.n)


@dataclass(frozen=True, repr=False)
class exponential(_Frozen):
    r""":math:`lr_t = lr \cdot \gamma^{t-1}`."""

    lr: float
    gamma: float

    def _at(self, t: int) -> float:
        return self.lr * elementary.power(self.gamma, t - 1)


@dataclass(frozen=True, repr=False)
class step(_Frozen):
    r""":math:`lr_t = lr \cdot \gamma^{\lfloor (t-1) / n \rfloor}`: times ``gamma`` after every ``n`` steps."""

    lr: float
    n: float
    gamma: float = 0.1

    def _at(self, t: int) -> float:
        return self.lr * elementary.power(self.gamma, (t - 1) // self.n)


@dataclass(frozen=True, repr=False)
class linear(_Frozen):
    r""":math:`lr_t = lr + (end - lr) \min((t-1)/n, 1)`: a straight line, which stays at ``end`` after ``n`` steps."""

    lr: float
    n: float
    end: float = 0.0

    def _at(self, t: int) -> float:
        return self.lr + (self.end - self.lr) * min((t - 1) / self.n, 1)


@dataclass(frozen=True, repr=False)
class cosine(_Frozen):
    r""":math:`lr_t = end + (lr - end) (1 + \cos(\pi \min((t-1)/n, 1))) / 2`: half a cosine wave, then ``end``.

    Loshchilov & Hutter 2017, "SGDR", arXiv:1608.03983, without restarts.
    """

    lr: float
    n: float
    end: float = 0.0

    def _at(self, t: int) -> float:
        return _wave(t, self.lr, self.n, self.end)


@dataclass(frozen=True, repr=False)
class polynomial(_Frozen):
    r""":math:`lr_t = end + (lr - end) (1 - \min((t-1)/n, 1))^{power}`; power 1 is :class:`linear`."""

    lr: float
    n: float
    power: float = 2.0
    end: float = 0.0

    def _at(self, t: int) -> float:
        return self.end + (self.lr - self.end) * elementary.power(1 - min((t - 1) / self.n, 1), self.power)


@dataclass(frozen=True, repr=False)
class restarts(_Frozen):
    r"""Cosine with warm restarts: :class:`cosine` over ``n`` steps, then again over ``growth * n``, and so on.

    :math:`lr_t = end + (lr - end) (1 + \cos(\pi (t - 1 - s_k) / n_k)) / 2`, where run :math:`k = 0, 1, \dots` has
    :math:`n_k = \lceil n \cdot growth^k \rceil` steps and begins after :math:`s_k = n_0 + \dots + n_{k-1}`.

    `growth` is 1, or from 1.01 to 2**53: the runs are counted one by one, which would take long where they hardly grow. So
    would many that are shorter than a step: but for `growth` = 1, `n` is at least 1.

    Loshchilov & Hutter 2017, "SGDR", arXiv:1608.03983, with :math:`T_0 = n` and :math:`T_{mult} = growth`.
    """

    lr: float
    n: float
    growth: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n < 1 < self.growth:
            raise ValueError(f"n of restarts that grow must be a number of steps >= 1, got {self.n!r}")

    def _at(self, t: int) -> float:
        length = self.n
        if self.growth == 1:
            t = (t - 1) % math.ceil(length) + 1  # as the loop does, at once
        while t > (steps := math.ceil(length)):
            t -= steps
            length *= self.growth
        return _wave(t, self.lr, steps, self.end)


@dataclass(frozen=True, repr=False)
class one_cycle(_Frozen):
    r"""Half a cosine wave up from ``start * lr`` to ``lr``, half a wave down to ``end * lr``, in ``n`` steps.

    With :math:`p = rise \cdot n`: :class:`cosine` from :math:`start \cdot lr` to :math:`lr` over :math:`p` steps, then from
    :math:`lr` to :math:`end \cdot lr` over :math:`n - p` steps, and then :math:`end \cdot lr`.

    Smith & Topin 2018, "Super-Convergence", arXiv:1708.07120; the defaults are those of torch's OneCycleLR, whose turns come
    one step earlier: ``one_cycle(lr, n=N - 1, rise=(rise * N - 1) / (N - 1))`` has its rates for ``total_steps=N``.
    """

    lr: float
    n: float
    rise: float = 0.3
    start: float = 0.04
    end: float = 4e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.rise * self.n < self.n:
            raise ValueError(f"rise must be a share of n in (0, 1), got {self.rise!r} of {self.n!r}")

    def _at(self, t: int) -> float:
        peak = self.rise * self.n
        if t - 1 < peak:
            return _wave(t, self.start * self.lr, peak, self.lr)
        return _wave(t - peak, self.lr, self.n - peak, self.end * self.lr)


@dataclass(frozen=True, repr=False)
class warmup(_Frozen):
    r""":math:`lr_t = \min(t / n, 1) \cdot schedule(t)`: a factor that rises over ``n`` steps, times a schedule or number.

    The schedule goes on meanwhile. One that falls has fallen by step ``n``, and ``warmup(cosine(lr, n=100), n=20)`` never
    gets above ``0.91 * lr``: :class:`warmup_cosine`, :class:`warmup_linear` and :class:`warmup_inverse_sqrt` reach `lr`.
    """

    schedule: Schedule | float
    n: float

    def _at(self, t: int) -> float:
        return min(t / self.n, 1) * cast(Schedule, self.schedule)(t)


@dataclass(frozen=True, repr=False)
class _WarmedUp(_Frozen):
    lr: float
    n: float
    warmup: int
    end: float = 0.0
    start: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup >= self.n:
            raise ValueError(f"warmup must be a number of steps < n = {self.n!r}, got {self.warmup!r}")

    def _at(self, t: int) -> float:
        peak = max(self.warmup, 1)
        if t <= peak:
            return _between(self.start, self.lr, t / peak)
        return _between(self.end, self.lr, self._left((t - peak) / (self.n - peak)) if t < self.n else 0.0)

    @staticmethod
    @abstractmethod
    def _left(share: float) -> float:
        """How much of the fall is left after such a share of it."""


@dataclass(frozen=True, repr=False)
class warmup_cosine(_WarmedUp):
    r"""Rises by the same amount each step up to ``lr`` at step ``warmup``; falls along a cosine to ``end`` at step ``n``.

    .. math::

        lr_t = \begin{cases}
            start + (lr - start) \, t / warmup & t \le warmup \\
            end + (lr - end) (1 + \cos(\pi (t - warmup) / (n - warmup))) / 2 & warmup < t < n \\
            end & t \ge n
        \end{cases}

    `warmup` is a whole number below `n`, the number of all steps; 0 does as 1: the first step has `lr`. The rates are those
    of optax's warmup_cosine_decay_schedule(start, lr, warmup, n, end) at t.

    >>> [round(lr, 3) for lr in map(warmup_cosine(0.1, n=6, warmup=2), range(1, 8))]
    [0.05, 0.1, 0.085, 0.05, 0.015, 0.0, 0.0]
    """

    @staticmethod
    def _left(share: float) -> float:
        return elementary.half_wave(share)


@dataclass(frozen=True, repr=False)
class warmup_linear(_WarmedUp):
    r"""Rises as :class:`warmup_cosine` does; falls by the same amount each step to ``end`` at step ``n``.

    :math:`lr_t = lr + (end - lr) (t - warmup) / (n - warmup)` for :math:`warmup < t < n`.

    >>> [round(lr, 3) for lr in map(warmup_linear(0.1, n=6, warmup=2), range(1, 8))]
    [0.05, 0.1, 0.075, 0.05, 0.025, 0.0, 0.0]
    """

    @staticmethod
    def _left(share: float) -> float:
        return 1 - share


@dataclass(frozen=True, repr=False)
class warmup_inverse_sqrt(_Frozen):
    r"""Rises as :class:`warmup_cosine` does; falls for ever, as :class:`inverse_sqrt` with `n` = `warmup`.

    :math:`lr_t = lr / \sqrt{t / warmup}` for :math:`t > warmup`.

    Vaswani et al. 2017, "Attention Is All You Need", arXiv:1706.03762, with :math:`lr = (d \cdot warmup)^{-1/2}`.

    >>> [round(lr, 3) for lr in map(warmup_inverse_sqrt(0.1, warmup=2), (1, 2, 8, 32))]
    [0.05, 0.1, 0.05, 0.025]
    """

    lr: float
    warmup: int
    start: float = 0.0

    def _at(self, t: int) -> float:
        peak = max(self.warmup, 1)
        return _between(self.start, self.lr, t / peak) if t <= peak else self.lr / math.sqrt(t / peak)


@dataclass(frozen=True, repr=False)
class join(_Frozen):
    r"""One schedule (or number) after the other: the first up to step ``boundaries[0]`` inclusive, and so on.

    :math:`lr_t = schedule_k(t - b_k)` for :math:`b_k < t \le b_{k+1}`, where :math:`b_0 = 0`: each counts its own steps
    from 1. There is one boundary fewer than there are schedules; they are whole numbers, and rise.

    >>> lr = join([warmup(0.1, n=5), linear(0.1, n=10)], [5])
    >>> lr(5), lr(6), lr(11)
    (0.1, 0.1, 0.05)
    """

    schedules: Sequence[Schedule | float]
    boundaries: Sequence[int]

    def __post_init__(self) -> None:
        super().__post_init__()
        n, given = len(self.schedules), self.boundaries
        if len(given) != n - 1 or list(given) != sorted(set(given)):
            raise ValueError(f"{n} schedules need {n - 1} rising boundaries, got {given!r}")

    def _at(self, t: int) -> float:
        k = bisect_left(self.boundaries, t)
        return cast(Schedule, self.schedules[k])(t - self.boundaries[k - 1] if k > 0 else t)


@dataclass(repr=False)
class Plateau:
    r"""Times ``factor`` whenever a metric has stopped falling. Tell it the metric with :meth:`Plateau.observe`.

    :math:`lr \leftarrow \max(factor \cdot lr, end)`, where that is lower, at the observation number :math:`patience + 1` in
    a row that is no improvement. It has a state of its own, which an optimizer's state dict leaves out: pickle it with that,
    or save a checkpoint, which has it.

    Parameters
    ----------
    lr : float
        The rate to begin with; changes.
    factor : float, default 0.1, in [0, 1]
    patience : int, default 10
        Observations without improvement that are borne; the next one reduces the rate.
    threshold : float, default 1e-4
        A metric has improved when it is below ``best - threshold * abs(best)``. For one that should rise, observe its
        negative.
    end : float, default 0
        The rate is never reduced below this. Where it is below from the start, it stays.
    best : float, default infinity
        The best metric so far.
    waited : int, default 0
        Observations since then, or since the rate was reduced.

    Examples
    --------
    >>> from fusedoptim.schedules import Plateau
    >>> lr = Plateau(0.1, factor=0.5, patience=0)
    >>> lr.observe(3.0), lr.observe(3.0), lr(t=1)
    (False, True, 0.05)
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    end: float = 0.0
    best: float = math.inf
    waited: int = 0

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, _checked(name, value) if name in Plateau.__annotations__ else value)

    def __repr__(self) -> str:
        return _call(self)

    def observe(self, metric: float) -> bool:
        """Takes a new value of the metric, any number; True where that reduced the rate. NaN is no improvement."""
        metric = plain_number("metric", metric)
        margin = self.threshold * abs(self.best) if math.isfinite(self.best) else 0.0
        if metric < self.best - margin:
            self.best, self.waited = metric, 0
            return False
        self.waited += 1
        if self.waited <= self.patience:
            return False
        self.waited = 0
        before, self.lr = self.lr, min(self.lr, max(self.lr * self.factor, self.end))
        return self.lr < before

    def __call__(self, t: int) -> float:
        return self.lr


# -- formulas that several share ---------------------------------------------------------------------------------------


def _wave(t: float, lr: float, n: float, end: float) -> float:
    return end + (lr - end) * elementary.half_wave(min((t - 1) / n, 1))


def _between(a: float, b: float, share: float) -> float:
    """From a to b, and exactly so at the ends."""
    return a * (1 - share) + b * share


# -- arguments ---------------------------------------------------------------------------------------------------------

DOMAINS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "n": ("a finite number of steps > 0", lambda n: 0 < n < math.inf),
    "growth": ("1, or a number from 1.01 to 2**53", lambda growth: growth == 1 or 1.01 <= growth <= MOST_STEPS),
    "factor": ("a number in [0, 1]", lambda factor: 0 <= factor <= 1),
    "best": ("a number", lambda best: not math.isnan(best)),
}
ANY_OTHER: tuple[str, Callable[[float], bool]] = ("a finite number >= 0", lambda number: 0 <= number < math.inf)
WHOLE = {"patience", "waited", "warmup"}


def _checked(name: str, value: Any) -> Any:
    """What becomes of an argument of this name, in any schedule."""
    if name == "schedule":
        return _schedule(name, value)
    if name == "schedules":
        return tuple(_schedule(name, item) for item in _items(name, value))
    if name == "boundaries":
        return tuple(whole_number(name, item, least=0) for item in _items(name, value))
    if name in WHOLE:
        return whole_number(name, value, least=0)
    number = plain_number(name, value)
    words, fits = DOMAINS.get(name, ANY_OTHER)
    if not fits(number):
        raise ValueError(f"{name} must be {words}, got {value!r}")
    return number


def _schedule(name: str, value: Any) -> Schedule:
    if callable(value):
        return cast(Schedule, value)
    return constant(plain_number(f"{name}, where it is no function of t,", value))


def _items(name: str, values: Any) -> Iterable[Any]:
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list, got {values!r:.99}; put it into one: [{values!r:.99}]")
    return values


def _call(schedule: Any) -> str:
    """The call that makes it, without the arguments that have their defaults."""
    first, *others = ((field, getattr(schedule, field.name)) for field in fields(schedule))
    shown = [repr(first[1])] + [f"{field.name}={value!r}" for field, value in others if value != field.default]
    return f"{type(schedule).__name__}({', '.join(shown)})"
