"""Fair timing: competitors take turns within each repetition, so that what else the machine does strikes all alike."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from timeit import Timer

import numpy as np

SAMPLE = 2e-3  # seconds; much longer than the clock's and the scheduler's grain
PAUSE = 5e-3  # before each sample: the threads of the one before spin for a while, on the CPUs that the next one needs


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float], scale: float = 1.0) -> "Spread":
        low, median, high = (scale * np.percentile(values, [25, 50, 75])).tolist()
        return cls(median, low, high)

    @property
    def quartiles(self) -> str:
        return f"{self.low:.3g} ... {self.high:.3g}"


def interleave(
    timers: Mapping[str, Timer],
    repetitions: int,
    reset: Callable[[str], None] = lambda name: None,
    most: float = math.inf,
) -> dict[str, list[float]]:
    """Seconds a call of each, sampled in turns; `reset` comes before each sample of at most so many calls, untimed."""
    calls = {}
    for name, timer in timers.items():
        reset(name)
        calls[name] = calibrate(timer, most)
    seconds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(repetitions):
        for name, timer in timers.items():
            reset(name)
            time.sleep(PAUSE)
            if calls[name] > 1:  # wakes the threads, and brings into cache what stays there
                timer.timeit(calls[name])
            seconds[name].append(timer.timeit(calls[name]) / calls[name])
    return seconds


def calibrate(timer: Timer, most: float = math.inf) -> int:
    """The number of calls that fills a sample, when no other thread is in the way."""
    calls = 1
    while 2 * calls <= most and min(timer.repeat(3, calls)) < SAMPLE:
        calls *= 2
    return calls


def ratio(numerator: list[float], denominator: list[float]) -> Spread:
    """Of the samples of the same repetition, which ran one after the other."""
    return Spread.of([a / b for a, b in zip(numerator, denominator, strict=True)])
