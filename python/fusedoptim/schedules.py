r"""Learning-rate schedules: callables of the step ``t = 1, 2, …`` that an optimizer takes as its ``lr``.

>>> import fusedoptim as fo
>>> lr = fo.schedules.warmup(fo.schedules.inverse_sqrt(0.1, n=100), n=10)
>>> lr(1), lr(100)
(0.1, 0.1)

Any function of t does as well; these can be pickled, and print what they are.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fusedoptim.numerics import elementary

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
]


def constant(lr: float) -> Schedule:
    r""":math:`lr_t = lr`."""
    return partial(_constant, lr=lr)


def inverse_sqrt(lr: float, n: float) -> Schedule:
    r""":math:`lr_t = lr / \sqrt{t / n}`, a decay that passes ``lr`` at step ``n`` (global decay)."""
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


def polynomial(lr: float, n: float, power: float = 2.0, end: float = 0.0) -> Schedule:
    r""":math:`lr_t = end + (lr - end) (1 - \min((t-1)/n, 1))^{power}`; power 1 is :func:`linear`."""
    return partial(_polynomial, lr=lr, n=_positive(n), power=power, end=end)


def restarts(lr: float, n: float, growth: float = 1.0, end: float = 0.0) -> Schedule:
    r"""Cosine with warm restarts: :func:`cosine` over ``n`` steps, then again over ``growth * n``, and so on.

    :math:`lr_t = end + (lr - end) (1 + \cos(\pi (t - 1 - s_k) / n_k)) / 2`, where run :math:`k = 0, 1, \dots` has
    :math:`n_k = \lceil n \cdot growth^k \rceil` steps and begins after :math:`s_k = n_0 + \dots + n_{k-1}`.

    Loshchilov & Hutter 2017, "SGDR", arXiv:1608.03983, with :math:`T_0 = n` and :math:`T_{mult} = growth`.
    """
    if growth < 1:
        raise ValueError(f"growth must be a number >= 1, got {growth!r}")
    return partial(_restarts, lr=lr, n=_positive(n), growth=growth, end=end)


def one_cycle(lr: float, n: float, rise: float = 0.3, start: float = 0.04, end: float = 4e-6) -> Schedule:
    r"""Half a cosine wave up from ``start * lr`` to ``lr``, half a wave down to ``end * lr``, in ``n`` steps.

    With :math:`p = rise \cdot n`: :func:`cosine` from :math:`start \cdot lr` to :math:`lr` over :math:`p` steps, then from
    :math:`lr` to :math:`end \cdot lr` over :math:`n - p` steps, and then :math:`end \cdot lr`.

    Smith & Topin 2018, "Super-Convergence", arXiv:1708.07120; the defaults are those of torch's OneCycleLR.
    """
    if not 0 < rise < 1:
        raise ValueError(f"rise must be a share of n in (0, 1), got {rise!r}")
    return partial(_one_cycle, lr=lr, n=_positive(n), rise=rise, start=start, end=end)


def warmup(schedule: Schedule | float, n: float) -> Schedule:
    r""":math:`lr_t = \min(t / n, 1) \cdot schedule(t)`: rises to another schedule (or a number) over ``n`` steps."""
    return partial(_warmup, schedule=_schedule(schedule), n=_positive(n))


def join(schedules: Sequence[Schedule | float], boundaries: Sequence[int]) -> Schedule:
    r"""One schedule (or number) after the other: the first up to step ``boundaries[0]`` inclusive, and so on.

    :math:`lr_t = schedule_k(t - b_k)` for :math:`b_k < t \le b_{k+1}`, where :math:`b_0 = 0`: each counts its own steps
    from 1. There is one boundary fewer than there are schedules.

    >>> lr = join([warmup(0.1, n=5), linear(0.1, n=10)], [5])
    >>> lr(5), lr(6), lr(11)
    (0.1, 0.1, 0.05)
    """
    if len(boundaries) != len(schedules) - 1 or list(boundaries) != sorted(set(boundaries)):
        raise ValueError(f"{len(schedules)} schedules need {len(schedules) - 1} rising boundaries, got {boundaries!r}")
    return partial(_join, schedules=tuple(map(_schedule, schedules)), boundaries=tuple(boundaries))


@dataclass
class Plateau:
    r"""Times ``factor`` whenever a metric has stopped falling. Tell it the metric with :meth:`observe`.

    :math:`lr \leftarrow \max(factor \cdot lr, end)` at the observation number :math:`patience + 1` in a row that is no
    improvement. It has a state of its own, which an optimizer's state dict leaves out: pickle it with that, or save a
    checkpoint, which has it.

    Parameters
    ----------
    lr : float
        The rate to begin with; changes.
    factor : float, default 0.1
    patience : int, default 10
        Observations without improvement that are borne; the next one reduces the rate.
    threshold : float, default 1e-4
        A metric has improved when it is below ``best - threshold * abs(best)``. For one that should rise, observe its
        negative.
    end : float, default 0
        The rate is never reduced below this.

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

    def observe(self, metric: float) -> bool:
        """Takes a new value of the metric; True where that reduced the rate."""
        margin = self.threshold * abs(self.best) if math.isfinite(self.best) else 0.0
        if metric < self.best - margin:
            self.best, self.waited = metric, 0
            return False
        self.waited += 1
        if self.waited <= self.patience:
            return False
        self.waited = 0
        self.lr = max(self.lr * self.factor, self.end)
        return True

    def __call__(self, t: int) -> float:
        return self.lr


def _positive(n: float) -> float:
    if not n > 0:
        raise ValueError(f"n must be a number of steps > 0, got {n!r}")
    return n


def _schedule(schedule: Schedule | float) -> Schedule:
    return schedule if callable(schedule) else constant(schedule)


def _constant(t: int, lr: float) -> float:
    return lr


def _inverse_sqrt(t: int, lr: float, n: float) -> float:
    return lr / math.sqrt(t / n)


def _exponential(t: int, lr: float, gamma: float) -> float:
    return lr * elementary.power(gamma, t - 1)


def _step(t: int, lr: float, n: float, gamma: float) -> float:
    return lr * elementary.power(gamma, (t - 1) // n)


def _linear(t: int, lr: float, n: float, end: float) -> float:
    return lr + (end - lr) * min((t - 1) / n, 1)


def _cosine(t: float, lr: float, n: float, end: float) -> float:
    return end + (lr - end) * elementary.half_wave(min((t - 1) / n, 1))


def _polynomial(t: int, lr: float, n: float, power: float, end: float) -> float:
    return end + (lr - end) * elementary.power(1 - min((t - 1) / n, 1), power)


def _restarts(t: int, lr: float, n: float, growth: float, end: float) -> float:
    length = n
    if growth == 1:
        t = (t - 1) % math.ceil(n) + 1  # as the loop does, at once
    while t > math.ceil(length):
        t -= math.ceil(length)
        length *= growth
    return _cosine(t, lr, math.ceil(length), end)


def _one_cycle(t: int, lr: float, n: float, rise: float, start: float, end: float) -> float:
    peak = rise * n
    if t - 1 < peak:
        return _cosine(t, start * lr, peak, lr)
    return _cosine(t - peak, lr, n - peak, end * lr)


def _join(t: int, schedules: tuple[Schedule, ...], boundaries: tuple[int, ...]) -> float:
    k = bisect_left(boundaries, t)
    return schedules[k](t - boundaries[k - 1] if k > 0 else t)


def _warmup(t: int, schedule: Schedule, n: float) -> float:
    return min(t / n, 1) * schedule(t)
