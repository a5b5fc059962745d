"""Which instruction set runs. All of them compute the same bits; a lower one is for tests and for comparison."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fusedoptim import _core
from fusedoptim.numerics.numbers import shown

VARIABLE = "FUSEDOPTIM_ISA"

_lock = threading.Lock()
_open: dict[object, str] = {}  # the blocks of `use_isa`, in the order of their beginning; before them, what ran without


def isa() -> str:
    """The instruction set that runs: ``"baseline"``, ``"avx2"`` or ``"avx512"``."""
    return _core.isa()


def available_isas() -> tuple[str, ...]:
    """The instruction sets this CPU can run, from the lowest."""
    return tuple(_core.available_isas())


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Runs every step inside the ``with`` block (of all threads) on one instruction set.

    Of blocks that overlap, in whatever order they end, the one that began last has its way; after all, what ran before.

    >>> import fusedoptim as fo
    >>> with fo.use_isa("baseline"):
    ...     fo.isa()
    'baseline'
    """
    block = object()
    with _lock:
        before = _core.isa()
        _set("name", name)
        _open.setdefault("before", before)
        _open[block] = name
    try:
        yield
    finally:
        with _lock:
            del _open[block]
            _core.set_isa(list(_open.values())[-1])
            if len(_open) == 1:
                _open.clear()


def configure() -> None:
    """Reads the environment."""
    if value := os.environ.get(VARIABLE):
        _set(f"the environment variable {VARIABLE}", value)


def _set(what: str, name: object) -> None:
    if not isinstance(name, str) or not _core.set_isa(name):
        raise ValueError(f"{what} must be one of {', '.join(available_isas())} on this CPU, got {shown(name)}")
