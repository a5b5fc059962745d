"""All ranks do a thing, or none: what each is about to do is compared first."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from fusedoptim.distributed.transport import Transport

REFUSED = 0  # the mark of a rank that will not
Settings = dict[str, Any]


def agree(
    transport: Transport,
    settings: Settings,
    error: Exception | None = None,
    *,
    has_begun: bool = False,
    finish: Callable[[], None] = lambda: None,
) -> None:
    """Returns if no rank has an error and all have the same settings, by messages of 8 bytes; else raises on every rank.

    Where a rank has begun to exchange what will not be used now, all call `finish` before they raise.

    Raises
    ------
    the error
        on the rank that has it,
    RuntimeError
        on the others;
    ValueError
        where settings differ, on all ranks: it names the rank and what differs.
    """
    if transport.size > 1:
        mark = REFUSED if error is not None else _mark(settings)
        marks = transport.gather_numbers(np.array([mark], np.uint64), [1] * transport.size)
        if mark != REFUSED and (marks == mark).all():
            return
        words = None if error is None else f"{type(error).__name__}: {error}"
        told = transport.gather_objects((words, {name: repr(value) for name, value in settings.items()}, has_begun))
        if any(begun for *_, begun in told):
            finish()
        error = error or _difference([(refusal, theirs) for refusal, theirs, _ in told])
    if error is not None:
        raise error


def _mark(settings: Settings) -> int:
    digest = hashlib.blake2b(repr(settings).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _difference(told: list[tuple[str | None, dict[str, str]]]) -> Exception:
    """What is wrong, on the ranks where it is not this rank's own error."""
    for rank, (refusal, _) in enumerate(told):
        if refusal is not None:
            return RuntimeError(f"rank {rank} has refused, so nothing has changed on any rank: {refusal}")
    ours = told[0][1]
    rank, name, theirs = next(
        (rank, name, theirs)
        for rank, (_, theirs) in enumerate(told)
        for name in [*ours, *theirs]
        if ours.get(name) != theirs.get(name)
    )
    return ValueError(
        f"all ranks must have the same {name}: on rank 0 it is {ours.get(name, 'missing')}, on rank {rank} "
        f"{theirs.get(name, 'missing')}; nothing has changed on any rank"
    )


def word(value: Any) -> str:
    """An argument in words that are the same on every rank; of a function without a name the address is left out."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
