r"""Learning-rate schedules: callables of the step ``t = 1, 2, …`` that an optimizer takes as its ``lr``.

>>> import fusedoptim as fo
>>> lr = fo.schedules.warmup(fo.schedules.inverse_sqrt(0.1, n=100), n=10)
>>> lr(1), lr(100)
(0.1, 0.1)

Any function of t does as well; these can be pickled, and print what they are.
"""

import math
from collections.abc import Callable
from functools import partial

Schedule = Callable[[int], float]

__all__ = ["Schedule", "constant", "cosine", "exponential", "inverse_sqrt", "linear", "step", "warmup"]


def constant(lr: float) -> Schedule:
    r""":math:`lr_t = lr`."""
    return partial(_constant, lr=lr)


def inverse_sqrt(lr: float, n: float) -> Schedule:
    r""":math:`lr_t = lr / \sqrt{t / n}`, a decay that passes ``lr`` at step ``n`` (the lecture's global decay)."""
    return partial(_inverse_sqrt, lr=lr, n=_positive(n))


def exponential(lr: float, gamma: float) -> Schedule:
    r""":math:`lr_t = lr \cdot \gamma^{t-1}`."""
    return partial(_exponential, lr=lr, gamma=gamma)


def step(lr: float, n: int, gamma: float = 0.1) -> Schedule:
    r""":math:`lr_t = lr \cdot \gamma^{\lfloor (t-1) / n \rfloor}`: times ``gamma`` after every ``n`` steps."""
    return partial(_step, lr=lr, n=_positive(n), gamma=gamma)


def linear(lr: float, n: float, end: float = 0.0) -> Schedule:
    r""":math:`lr_t = lr + (end - lr) \min((t-1)/n, 1)`: a straight line, which stays at ``end`` after ``n`` steps."""
    return partial(_linear, lr=lr, n=_positive(n), end=end)


def cosine(lr: float, n: float, end: float = 0.0) -> Schedule:
    r""":math:`lr_t = end + (lr - end) (1 + \cos(\pi \min((t-1)/n, 1))) / 2`: half a cosine wave, then ``end``.

    Loshchilov & Hutter 2017, "SGDR", arXiv:1608.03983, without restarts.
    """
    return partial(_cosine, lr=lr, n=_positive(n), end=end)


def warmup(schedule: Schedule | float, n: float) -> Schedule:
    r""":math:`lr_t = \min(t / n, 1) \cdot schedule(t)`: rises to another schedule (or a number) over ``n`` steps."""
    return partial(_warmup, schedule=schedule if callable(schedule) else constant(schedule), n=_positive(n))


def _positive(n: float) -> float:
    if not n > 0:
        raise ValueError(f"n must be a number of steps > 0, got {n!r}")
    return n


def _constant(t: int, lr: float) -> float:
    return lr


def _inverse_sqrt(t: int, lr: float, n: float) -> float:
    return lr / math.sqrt(t / n)


def _exponential(t: int, lr: float, gamma: float) -> float:
    return float(lr * gamma ** (t - 1))


def _step(t: int, lr: float, n: float, gamma: float) -> float:
    return float(lr * gamma ** ((t - 1) // n))


def _linear(t: int, lr: float, n: float, end: float) -> float:
    return lr + (end - lr) * min((t - 1) / n, 1)


def _cosine(t: int, lr: float, n: float, end: float) -> float:
    return end + (lr - end) * (1 + math.cos(math.pi * min((t - 1) / n, 1))) / 2


def _warmup(t: int, schedule: Schedule, n: float) -> float:
    return min(t / n, 1) * schedule(t)
