"""What a program puts into a file of its own: an epoch, the state of a random number generator."""

import json
from typing import Any

import numpy as np

MOST = 1 << 18  # characters; the header of a file, which has them, is read as a whole
DEEPEST = 100


def plain(metadata: Any) -> dict[str, Any]:
    """A dict as a file gives it back, or an error that names what JSON cannot have."""
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict, got {metadata!r}")
    made: dict[str, Any] = _plain("metadata", metadata, DEEPEST)
    if (size := len(json.dumps(made))) > MOST:
        raise ValueError(f"metadata must be at most {MOST} characters as JSON, got {size}; keep arrays in another file")
    return made


def _plain(name: str, value: Any, room: int) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if room == 0:
        raise ValueError(f"metadata must be at most {DEEPEST} levels deep; is a part of it inside itself?")
    if isinstance(value, list | tuple):
        return [_plain(f"{name}[{k}]", child, room - 1) for k, child in enumerate(value)]
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be a number, string, bool, None, list or dict, got {value!r}")
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{name} must have strings as keys, got {key!r}")
    return {str(key): _plain(f"{name}[{key!r}]", child, room - 1) for key, child in value.items()}
