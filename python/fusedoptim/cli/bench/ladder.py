"""The ladder: a rule over growing arrays. First every competitor is checked, then all are timed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from timeit import Timer

from fusedoptim.cli.bench.competitors import OURS, Workload
from fusedoptim.cli.bench.timing import Spread, interleave, ratio


@dataclass(frozen=True)
class Rung:
    """What was measured for one rule at one size."""

    rule: str
    n: int
    ns_per_param: dict[str, Spread]
    speedup: dict[str, Spread]  # of ours over each other competitor; over the limit it is the share of it we reach
    gb_per_second: float


def climb(rules: Iterable[str], exponents: Iterable[int], repetitions: int) -> Iterator[Rung]:
    return (measure(Workload(rule, 2**exponent), repetitions) for rule in rules for exponent in exponents)


def measure(work: Workload, repetitions: int) -> Rung:
    competitors = work.competitors()
    work.check(competitors)
    timers = {name: Timer(step) for name, step in competitors.items()}
    seconds = interleave(timers, repetitions, lambda name: work.reset())
    per_param = {name: Spread.of(samples, 1e9 / work.n) for name, samples in seconds.items()}
    speedup = {name: ratio(samples, seconds[OURS]) for name, samples in seconds.items() if name != OURS}
    return Rung(work.rule, work.n, per_param, speedup, work.bytes_moved / work.n / per_param[OURS].median)
