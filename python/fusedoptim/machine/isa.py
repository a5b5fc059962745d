"""Which instruction set runs. All of them compute the same bits; a lower one is for tests and for comparison."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from fusedoptim import _core

VARIABLE = "FUSEDOPTIM_ISA"


def isa() -> str:
    """The instruction set that runs: ``"baseline"``, ``"avx2"`` or ``"avx512"``."""
    return _core.isa()


def available_isas() -> tuple[str, ...]:
    """The instruction sets this CPU can run, from the lowest."""
    return tuple(_core.available_isas())


@contextmanager
def use_isa(name: str) -> Iterator[None]:
    """Runs every step inside the ``with`` block (of all threads) on one instruction set.

    >>> import fusedoptim as fo
    >>> with fo.use_isa("baseline"):
    ...     fo.isa()
    'baseline'
    """
    before = _core.isa()
    _set("name", name)
    try:
        yield
    finally:
        _core.set_isa(before)


def configure() -> None:
    """Reads the environment."""
    if value := os.environ.get(VARIABLE):
        _set(f"the environment variable {VARIABLE}", value)


def _set(what: str, name: object) -> None:
    if not isinstance(name, str) or not _core.set_isa(name):
        raise ValueError(f"{what} must be one of {', '.join(available_isas())} on this CPU, got {name!r}")
