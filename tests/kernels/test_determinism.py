"""The digests of tests/digests.json on every instruction set, and with threads; and that they would tell a difference."""

import hashlib
import math

import numpy as np
import pytest

import fusedoptim as fo

from ..cases import DTYPES
from ..digests import (
    FILE,
    MANY,
    OF_MANY,
    OMITTED,
    OPTIONS,
    STEPS,
    canonical,
    committed,
    digest,
    numbers,
    options,
    rules,
)

COMMITTED = committed()


def test_every_rule_has_its_digests() -> None:
    assert COMMITTED.keys() == set(rules()), f"add them: python -m tests.digests writes {FILE.name}"
    assert OMITTED.keys() | COMMITTED.keys() == set(fo._core.rule_states)
    assert set(OPTIONS) == {option for rule in COMMITTED for dtype in DTYPES for option in options(rule, dtype)}


@pytest.mark.parametrize("rule", rules())
def test_digests(rule: str, isa: str) -> None:
    with fo.use_isa(isa):
        found = {
            dtype.__name__: {option: digest(rule, dtype, option) for option in options(rule, dtype)} for dtype in DTYPES
        }
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


def test_schedules() -> None:
    """The rates of a hundred steps."""
    rates = [
        fo.schedules.exponential(0.1, gamma=0.97),
        fo.schedules.step(0.1, n=7, gamma=0.3),
        fo.schedules.cosine(0.1, n=90, end=0.001),
        fo.schedules.polynomial(0.1, n=90, power=1.7),
        fo.schedules.restarts(0.1, n=9, growth=1.5),
        fo.schedules.one_cycle(0.1, n=90),
        fo.schedules.inverse_sqrt(0.1, n=10),
    ]
    found = np.array([[rate(t) for t in range(1, STEPS + 1)] for rate in rates], "<f8")
    assert hashlib.sha256(found).hexdigest() == "880ea4fffe6a817675d7a34a15120c028a2eb460c63a8729a56358f47adbd69a"
