"""All ranks do a thing, or none: what each is about to do is compared first."""

import hashlib
from typing import Any

import numpy as np

from fusedoptim.distributed.transport import Transport

REFUSED = 0  # the mark of a rank that will not
Settings = dict[str, Any]


def agree(transport: Transport, settings: Settings, error: Exception | None = None) -> None:
    """Returns if no rank has an error and all have the same settings, which takes a message of 8 bytes; else raises on every rank.

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
        _explain(transport, settings, error)
    if error is not None:
        raise error


def _mark(settings: Settings) -> int:
    digest = hashlib.blake2b(repr(settings).encode(errors="replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1


def _explain(transport: Transport, settings: Settings, error: Exception | None) -> None:
    """Raises what is wrong, on the ranks where it is not this rank's own error."""
    words = None if error is None else f"{type(error).__name__}: {error}"
    told = transport.gather_objects((words, {name: repr(value) for name, value in settings.items()}))
    if error is not None:
        return
    for rank, (refusal, _) in enumerate(told):
        if refusal is not None:
            raise RuntimeError(f"rank {rank} has refused, so no rank has changed anything: {refusal}")
    ours = told[0][1]
    for rank, (_, theirs) in enumerate(told):
        for name in [*ours, *theirs]:
            if ours.get(name) != theirs.get(name):
                raise ValueError(
                    f"all ranks must have the same {name}: on rank 0 it is {ours.get(name, 'missing')}, "
                    f"on rank {rank} {theirs.get(name, 'missing')}; no rank has changed anything"
                )
