"""Refusals name the remedy of what people do: one table of calls and words."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits


def other(package: str, *path: str) -> Any:
    """Something of a package that may not be there."""
    found: Any = pytest.importorskip(package, reason=f"{package} is not installed")
    for name in path:
        found = getattr(found, name)
    return found


def stepped(**grads: Any) -> None:
    given = {"w": np.ones((2, 2)), "b": np.ones(())} | grads
    fo.SGD({"w": np.zeros((2, 2)), "b": np.zeros(())}).step(given)


def stepped_rows(rows: Any) -> None:
    fo.SGD(np.zeros((4, 2))).step(fo.RowGrad(rows, np.ones((2, 2))))


def bound(grad: Any) -> None:
    fo.SGD(np.zeros(())).bind(grad)


HUGE: Any = 10**5000  # which Python does not print
MASKED = np.ma.MaskedArray(np.ones((2, 2)), mask=np.eye(2))

# The call, and the words, in order.
SAID: dict[str, tuple[Callable[[], Any], str]] = {
    "no gradient": (lambda: stepped(w=None), r'^grads\["w"\].*NoneType.*opt\.freeze'),
    "a number for a matrix": (
        lambda: stepped(w=1.0),
        r"float; pass the array, which for a weight of shape \(\) is np\.array",
    ),
    "a number of a class of theirs": (
        lambda: stepped(b=type("Own", (np.float64,), {})(1)),
        r'^grads\["b"\] must be .*Own',
    ),
    "a truth for a number": (lambda: stepped(b=True), "got bool"),
    "a number of another dtype": (lambda: stepped(b=np.float32(1)), r"must be float64.*got float32; convert it"),
    "a number that no float holds": (lambda: stepped(b=HUGE), r'^grads\["b"\] must be a numpy\.ndarray, got int'),
    "a number that is zeroed": (lambda: fo.SGD(np.zeros(())).step(1.0, zero_grads=True), r"np\.array\(grads\)"),
    "a number that is bound": (lambda: bound(1.0), r"np\.array\(grads\)"),
    "a list for an array": (lambda: stepped(w=[[1.0, 2.0], [3.0, 4.0]]), r'np\.array\(grads\["w"\]\)'),
    "a JAX array": (lambda: stepped(w=other("jax", "numpy").ones((2, 2))), r'pass np\.asarray\(grads\["w"\]\)'),
    "a JAX weight": (lambda: fo.SGD(other("jax", "numpy").ones(2)), r"np\.array\(params\).*immutable"),
    "a tensor": (lambda: stepped(w=other("torch").ones(2, 2)), r'grads\["w"\]\.detach\(\)\.numpy\(\).*CPU'),
    "a parameter": (lambda: fo.SGD([other("torch").nn.Parameter(other("torch").ones(2))]), r"detach\(\)\.numpy\(\)"),
    "a sparse matrix": (lambda: stepped(w=other("scipy.sparse").eye(2)), r"\.toarray\(\).*RowGrad"),
    "a generator of weights": (lambda: fo.SGD(np.ones(2) for _ in range(2)), r"generator; pass list\(params\)"),
    "values of a dict": (lambda: fo.SGD({"w": np.ones(2)}.values()), r"dict_values; pass list\(params\)"),
    "a generator of gradients": (lambda: fo.SGD([np.ones(2)]).step(x for x in ()), r"generator; pass list\(grads\)"),
    "one group": (lambda: fo.SGD({"params": np.ones(2), "lr": 0.1}), r"one group.*in a list: \[\{…\}\]"),
    "rows as a mask": (
        lambda: stepped_rows(np.array([True, False, True, False])),
        r"bool; .*np\.flatnonzero\(grads\.rows\)",
    ),
    "complex": (lambda: stepped(w=np.ones((2, 2), complex)), r'imaginary parts: grads\["w"\]\.view\(np\.float64\)'),
    "complex64": (lambda: stepped(w=np.ones((2, 2), np.complex64)), r"\.view\(np\.float32\)"),
    "a mask of a gradient": (lambda: stepped(w=MASKED), r'masked array.*grads\["w"\]\.filled\(0\)'),
    "a mask in an arena": (lambda: fo.arena({"w": MASKED}), r'masked array.*nest\["w"\]\.filled\(0\)'),
    "zero_grads in words": (
        lambda: fo.SGD(np.ones(2)).step(np.ones(2), zero_grads="no"),
        "^zero_grads must be True or False",
    ),  # type: ignore[arg-type]
    "a window beyond all": (lambda: fo.WindowSGD(np.ones(2), window=2**62), r"^window must be .* < 2\*\*31, got 4611"),
    "minibatches beyond all": (lambda: fo.SGD(np.ones(2), accumulate=2**62), r"^accumulate must be .* < 2\*\*31"),
    "a rate that is not printed": (lambda: fo.SGD(np.ones(2), lr=HUGE), "^lr must be .*, got a number of 16610 bits"),
    "a negative t": (lambda: setattr(fo.SGD(np.ones(2)), "t", -1), "^t must be a whole number >= 0.* got -1"),
    "t is NaN": (lambda: setattr(fo.SGD(np.ones(2)), "t", np.nan), "^t must be a whole number >= 0.* got nan"),
    "a near keyword": (lambda: fo.Adam(np.ones(2), clip=1.0), r"'clip' for Adam; did you mean 'clip_norm'\?"),  # type: ignore[call-arg]
    "another's keyword": (
        lambda: fo.Adam(np.ones(2), learning_rate=1.0),
        r"did you mean 'lr'\?\n.*help\(fusedoptim\.Adam\)",
    ),  # type: ignore[call-arg]
    "no near keyword": (
        lambda: fo.Adam(np.ones(2), q=1.0),
        r"'q' for Adam\nit takes params, lr, betas.*fusedoptim\.Common",
    ),  # type: ignore[call-arg]
    "near in a group": (lambda: fo.Adam([{"params": np.ones(2), "weightdecay": 1}]), r"'weight_decay'\?\n.*Group"),
    "for all in a group": (
        lambda: fo.Adam([{"params": np.ones(2), "ema": 0.5}]),
        r"'ema' in group 0.*\n.*for all groups",
    ),
    "near in a kernel": (
        lambda: fo.kernels.sgd(np.ones(2), np.ones(2), lrs=1),
        r"'lr'\?\n.*help\(fusedoptim\.kernels\.sgd\)",
    ),
    "twice in a kernel": (lambda: fo.kernels.sgd(np.ones(2), np.ones(2), w=1), "^repeated keyword 'w' for kernels.sgd"),
    "in Muon's kernel": (
        lambda: fo.kernels.muon(*np.ones((3, 2, 2)), moment=1),
        r"did you mean 'momentum'\?\n.*kernels\.muon",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_words(what: str) -> None:
    call, words = SAID[what]
    with pytest.raises((TypeError, ValueError)) as refused:
        call()
    said = str(refused.value)
    assert re.search(words, said, re.DOTALL), said
    assert len(said.splitlines()) <= 2, said


def test_a_value_that_cannot_be_printed_is_refused_all_the_same() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise OSError

    with pytest.raises(TypeError, match=r"^lr must be .*, got a .*Shy that cannot be printed$"):
        fo.SGD(np.ones(2), lr=Shy())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "number", [3.0, 3, np.float32(3), np.ones(3, np.float32).sum()], ids=lambda x: type(x).__name__
)
def test_a_number_is_the_gradient_of_a_weight_without_axes(number: Any, dtype: type) -> None:
    """As of NumPy's sums: in `step`, in `update`, and of several minibatches."""
    number = dtype(number) if isinstance(number, np.generic) else number
    params, twins = ({"b": np.ones((), dtype), "w": np.ones(2, dtype)} for _ in range(2))
    optimizer, twin = (fo.Adam(each, accumulate=2) for each in (params, twins))
    g = np.ones(2, dtype)
    for _ in range(4):
        optimizer.step({"b": number, "w": g})
        twin.step({"b": np.array(number, dtype), "w": g})
    for each, grad in ((params, number), (twins, np.array(number, dtype))):
        single = fo.SGD(each)
        with single.stepping():
            single.update("b", grad)
    assert optimizer.t == 2
    assert_same_bits(params["b"], twins["b"], "b")


def test_a_nest_that_is_not_one_group() -> None:
    """Weights may have such keys."""
    fo.SGD({"params": np.ones(2), "lr": np.ones(())})
    fo.SGD({"params": {"w": np.ones(2)}, "other": np.ones(2)})
    fo.SGD({"params": np.ones(2)})
