"""Whether it computes what it should, refuses what it should, and goes on where it stopped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fusedoptim import Optimizer, _core, kernels, reference
from fusedoptim.cli.doctor.finding import REINSTALL, REPORT, Finding, failed, ok, warning
from fusedoptim.core.storage import Array
from fusedoptim.machine.isa import VARIABLE, available_isas, isa, use_isa
from fusedoptim.machine.threads import VARIABLE as THREADS
from fusedoptim.machine.threads import get_num_threads
from fusedoptim.optim.adam import Adam

PARALLEL = _core.parallel_threshold
RULES = ("sgd", "momentum", "rmsprop", "adam", "lamb")  # without and with a state, with roots, with norms
SIZES = (1, 17, 1000, PARALLEL + 1)  # less than a vector, a tail, many vectors, threads
DTYPES = (np.float32, np.float64)


def normal(seed: int, n: int, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).standard_normal(n).astype(dtype)


# -- instruction sets --------------------------------------------------------------------------------------------------


def instruction_sets() -> Finding:
    """The kernels of every instruction set have the bits of the reference."""
    names = available_isas()
    wrong = {name: difference for name in names if (difference := first_difference(name))}
    if wrong:
        told = "; ".join(f"on {name}, {difference} differs from the reference" for name, difference in wrong.items())
        right = [name for name in names if name not in wrong]
        return failed(told, f"set {VARIABLE}={right[-1]}, which is right, and {REPORT}" if right else REINSTALL)
    checked = f"{len(RULES)} rules have the reference's bits on {', '.join(names)}"
    if isa() != names[-1]:
        return warning(f"{checked}; {isa()} runs, though there is {names[-1]}", f"unset {VARIABLE}")
    return ok(f"{checked}; {isa()} runs")


def first_difference(name: str) -> str | None:
    with use_isa(name):
        cases = ((rule, dtype, n) for rule in RULES for dtype in DTYPES for n in SIZES)
        wrong = (f"{rule} of {n} × {dtype.__name__}" for rule, dtype, n in cases if not is_right(rule, dtype, n))
        return next(wrong, None)


def is_right(rule: str, dtype: Any, n: int) -> bool:
    """Three steps of the kernel and of the reference."""
    got = [normal(1, n, dtype), *(np.zeros(n, dtype) for _ in _core.rule_states[rule])]
    wanted = [array.copy() for array in got]
    for t in (1, 2, 3):
        g, hyper = normal(1 + t, n, dtype), {"t": t} if "t" in _core.rule_hypers[rule] else {}
        for step, (w, *state) in ((getattr(kernels, rule), got), (getattr(reference, rule), wanted)):
            step(w, g, *state, **hyper)
    return bits(*got) == bits(*wanted)


def bits(*arrays: Any) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in arrays]


# -- threads -----------------------------------------------------------------------------------------------------------


def same_bits_with_threads() -> Finding:
    """The bits do not depend on the number of threads."""
    n = get_num_threads()
    if n == 1:
        return ok("one thread is all there is")
    if trained(1) != trained(n):
        return failed(f"Adam has other bits with {n} threads than with 1", f"set {THREADS}=1, and {REPORT}")
    return ok(f"Adam, clipped by norm, has the same bits with 1 thread and with {n}")


def trained(num_threads: int) -> list[bytes]:
    w = normal(0, 3 * PARALLEL + 17)
    optimizer = Adam(w, clip_norm=1.0, num_threads=num_threads)
    for seed in (1, 2, 3):
        optimizer.step(normal(seed, w.size))
    return bits(w, *optimizer.state.values())


# -- refusals ----------------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Callable[[Array], Any]] = {
    "a list": lambda w: w.tolist(),
    "float16": lambda w: w.astype(np.float16),
    "of foreign byte order": lambda w: w.astype(w.dtype.newbyteorder()),
    "strided": lambda w: np.repeat(w, 2)[::2],
    "misaligned": lambda w: np.zeros(w.nbytes + 1, np.uint8)[1:].view(w.dtype),
    "masked": lambda w: np.ma.MaskedArray(w.copy(), mask=w > 0),
    "read-only": lambda w: np.frombuffer(w.tobytes(), w.dtype),
    "too short": lambda w: w[:-1].copy(),
}


def hostile_arrays() -> Finding:
    """What an update would be lost on, or would corrupt, is refused, and nothing has changed then."""
    bad = [*taken(), *overlapping()]
    if bad:
        return failed(
            f"a kernel takes arrays that it should refuse, or changes others first: {', '.join(bad)}", REINSTALL
        )
    return ok(f"{len(HOSTILE) + 1} kinds are refused, with nothing changed")


def taken() -> Iterator[str]:
    for name, spoil in HOSTILE.items():
        w, g, m, v = (abs(normal(seed, 100)) for seed in range(4))
        if not refuses(spoil(w), g, m, v):
            yield name


def overlapping() -> Iterator[str]:
    shared, m, v = (abs(normal(seed, 101)) for seed in range(3))
    if not refuses(shared[1:], shared[:-1], m[1:], v[1:]):
        yield "overlapping"


def refuses(*arrays: Any) -> bool:
    before = bits(*arrays)
    try:
        kernels.adam(*arrays)
    except (TypeError, ValueError):
        return bits(*arrays) == before
    return False


# -- checkpoints -------------------------------------------------------------------------------------------------------


def checkpoint() -> Finding:
    """A run that is saved and loaded goes on with the bits of one that was not."""
    went_on, loaded = (Adam(normal(seed, 1000), accumulate=2, ema=0.9) for seed in (0, 1))
    step(went_on, seeds=(2, 3, 4))  # the second update is half done
    try:
        with TemporaryDirectory() as folder:
            went_on.save(path := Path(folder, "doctor.safetensors"))
            loaded.load(path)
    except ModuleNotFoundError:
        return warning("it cannot save files, for a package is missing", "pip install 'fusedoptim[checkpoint]'")
    for optimizer in (went_on, loaded):
        step(optimizer, seeds=(5, 6, 7))
    results = [bits(optimizer.params, *optimizer.state.values()) for optimizer in (went_on, loaded)]
    if results[0] != results[1]:
        return failed("Adam goes on otherwise after it was saved and loaded", REINSTALL)
    return ok("Adam, saved amid an update and loaded, goes on with the same bits")


def step(optimizer: Optimizer, seeds: tuple[int, ...]) -> None:
    for seed in seeds:
        optimizer.step(normal(seed, 1000))
