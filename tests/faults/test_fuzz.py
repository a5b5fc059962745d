"""Calls with arguments drawn at random, many of them bad: no crash, and what is refused has changed nothing.

Of what each single fault says test_hostile.py has the table; here they come in combinations.
"""

import math
import random
from typing import Any

import numpy as np

import fusedoptim as fo

from ..cases import DEFAULTS, Case
from ..nests import copied, gradients, normal, snapshot
from ..nightly import NIGHTLY
from .test_hostile import ROLES, SHAPE, kernel_arrays

VALUES: list[Any] = [
    *[0, 1, -1, 0.5, 1e300, 10**400, math.nan, math.inf, -math.inf],
    *["1", None, True, 1j, [0.1], (), b"", object()],
]
KEYWORDS = ["lr", "beta", "t", "eps", "w", "g", "m", "nonsense", "grad_scale", "zero_grads", "\ud800"]
SPOILS = [make for role in ROLES.values() for make, *_ in role.values()]
REFUSALS = (TypeError, ValueError, IndexError, KeyError, RuntimeError, FloatingPointError, UnicodeEncodeError)


def spoiled(rng: random.Random, array: np.ndarray) -> Any:
    try:
        return rng.choice(SPOILS)(array.copy())
    except (ValueError, IndexError, KeyError):  # not of so few axes, or of another dtype already
        return None


def hostile_kernel_call(rng: random.Random, case: Case) -> bool:
    """Whether it was refused."""
    arrays = list(kernel_arrays(case).values())
    for k in rng.sample(range(len(arrays)), rng.randint(0, 2)):
        arrays[k] = rng.choice([spoiled(rng, arrays[k]), rng.choice(VALUES), rng.choice(arrays)])
    arrays = arrays[: rng.choice([len(arrays)] * 5 + [1])] + [1.0] * rng.choice([0] * 9 + [1])
    before = [a.tobytes() for a in arrays if isinstance(a, np.ndarray)]
    keywords = {rng.choice(KEYWORDS): rng.choice(VALUES) for _ in range(rng.randint(0, 2))}
    try:
        case.kernel(*arrays, **keywords)
    except REFUSALS:
        assert [a.tobytes() for a in arrays if isinstance(a, np.ndarray)] == before
        return True
    return False


def hostile_step(rng: random.Random, case: Case) -> bool:
    params = {"a": normal(0, *SHAPE), "b": [normal(1, 5), normal(2, 0)]}
    optimizer = case.make(params, accumulate=rng.choice([1, 2]))
    good = gradients(params, 3)
    grads: Any = copied(good)
    for _ in range(rng.randint(0, 2)):
        if not isinstance(grads["b"], list):
            break
        place = rng.choice([grads, grads["b"]])
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        leaf = place[key]
        bad = [rng.choice(VALUES), params["a"], fo.RowGrad(np.array([9]), normal(0, 1, 3))]
        place[key] = rng.choice([*bad, spoiled(rng, leaf) if isinstance(leaf, np.ndarray) else None])
    keywords = {rng.choice(["grad_scale", "zero_grads"]): rng.choice(VALUES)} if rng.random() < 0.3 else {}
    before = snapshot(optimizer)
    try:
        optimizer.step(rng.choice([grads] * 9 + VALUES[:3]), **keywords)
    except REFUSALS:
        assert snapshot(optimizer) == before
        optimizer.step(good)  # and goes on
        return True
    return False


def test_hostile_calls() -> None:
    rng, calls, refused = random.Random(0), 10_000 if NIGHTLY else 1000, 0
    with np.errstate(all="ignore"):
        for call in range(calls):
            case = rng.choice(DEFAULTS)
            refused += (hostile_kernel_call, hostile_step)[call % 2](rng, case)
    assert calls / 4 < refused < calls, "most were good, or all were bad"
