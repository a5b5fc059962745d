"""The digests of tests/digests.json on every instruction set, and with threads; and that they would tell a difference."""

import math
import re
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest

import fusedoptim as fo

from .cases import DTYPES
from .digests import FILE, MANY, OF_MANY, OMITTED, OPTIONS, STEPS, canonical, committed, digest, numbers, options, rules

COMMITTED = committed()
PAGE = Path(__file__).parents[1] / "docs" / "determinism.md"


def test_every_rule_has_its_digests() -> None:
    assert COMMITTED.keys() == set(rules()), f"add them: python -m tests.digests writes {FILE.name}"
    assert OMITTED.keys() | COMMITTED.keys() == set(fo._core.rule_states)
    assert set(OPTIONS) == {option for rule in COMMITTED for option in options(rule)}


@pytest.mark.parametrize("rule", rules())
def test_digests(rule: str, isa: str) -> None:
    with fo.use_isa(isa):
        found = {dtype.__name__: {option: digest(rule, dtype, option) for option in options(rule)} for dtype in DTYPES}
    assert found == COMMITTED[rule], f"the bits of {rule} are not those of earlier versions: see docs/determinism.md"


@pytest.mark.parametrize("rule", sorted(OF_MANY))
def test_digests_with_threads(rule: str, isa: str, dtype: type) -> None:
    assert sum(map(math.prod, MANY)) > fo._core.parallel_threshold
    with fo.use_isa(isa):
        assert digest(rule, dtype, "many elements", 3) == COMMITTED[rule][dtype.__name__]["many elements"]


def test_no_two_are_the_same() -> None:
    """An option that is not taken, or an input that does not arrive, would make them so."""
    found = [value for of_rule in COMMITTED.values() for of_dtype in of_rule.values() for value in of_dtype.values()]
    assert len(set(found)) == len(found)


def test_a_digest_tells_one_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    step = fo.Adam.step

    def wrong(self: fo.Adam, *args: object) -> None:
        step(self, *args)
        if self.t == STEPS:
            last = self.params[-1]
            last[...] = np.nextafter(last, last.dtype.type(np.inf))

    before = digest("adam", np.float64, "plain")
    monkeypatch.setattr(fo.Adam, "step", wrong)
    assert digest("adam", np.float64, "plain") != before == COMMITTED["adam"]["float64"]["plain"]


def test_what_a_digest_leaves_out(dtype: type) -> None:
    """Payloads and signs of NaN, and subnormal numbers; the sign of zero is promised."""
    small = np.finfo(dtype).smallest_subnormal
    negative_nan = np.copysign(dtype(np.nan), dtype(-1))
    assert canonical(np.array([negative_nan, small, -small])) == canonical(np.array([np.nan, 0.0, -0.0], dtype))
    assert canonical(np.array([0.0], dtype)) != canonical(np.array([-0.0], dtype))


def test_the_input_is_what_it_was() -> None:
    """With another one all digests differ, and no kernel is to blame."""
    (x,) = numbers(1, np.float64, (1000,))
    assert [float(value).hex() for value in x[:3]] == [
        "0x1.73aa500000000p-5",
        "0x1.f843280000000p-15",
        "-0x1.28699c0000000p-2",
    ]
    assert numbers(1, np.float32, (1000,))[0].tolist() == x.tolist()
    assert (x == 0).any() and (x < 0).any() and np.abs(x).max() < 2
    assert np.abs(x[x != 0]).min() < 1e-5


# base of each step, exponent, and how clear the rounding is: a half is an exact result, 0 a tie
STEP_NUMBERS = range(1, STEPS + 1)
POWERS = {
    "adafactor": ([float(t) for t in STEP_NUMBERS], -0.59),
    "noisy_sgd": ([float(t) for t in STEP_NUMBERS], -0.47),
    "asgd": ([1 + 1e-4 * 1e-2 * t for t in range(STEPS)], -0.55),
    "nadam": ([0.96], 4e-3),
    "schedule_free_adamw": ([2.5e-3], 2.0),
}


@pytest.mark.parametrize("rule", POWERS)
def test_the_powers_that_digests_need_are_the_same_everywhere(rule: str) -> None:
    """A pow() that is off by less than 0.511 units, as a good one is, has no choice."""
    bases, exponent = POWERS[rule]
    assert all(clearness(base, exponent) > 0.011 for base in bases)


def test_other_powers_are_not() -> None:
    """glibc on a CPU without fused multiply-add rounds the other way."""
    assert min(clearness(float(t), -0.8) for t in STEP_NUMBERS) < 0.001


def clearness(base: float, exponent: float) -> float:
    """How far base^exponent is from the middle between two float64 numbers, in units of their distance."""
    with localcontext() as context:
        context.prec = 40
        exact = (Decimal(base).ln() * Decimal(exponent)).exp()
        unit = Decimal(math.ulp(float(exact)))
        return float(abs(exact / unit % 1 - Decimal("0.5")))


@pytest.mark.skipif(not PAGE.exists(), reason=f"{PAGE} is not there")
def test_the_page_names_tests_that_there_are() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE.read_text())
    assert len(named) > 5
    for file, test in named:
        assert f"\ndef {test}(" in Path(__file__).with_name(file).read_text(), f"{file} has no {test}"
