"""An optimizer as a file, and back: a state dict in the safetensors format, verified as a whole before anything changes.

The file's metadata has a manifest, JSON with all that is no array, and its checksum. The checksums are CRC-32: they are to
find accidents, which takes no cryptography, and it runs at the speed of memory (6 GB/s where SHA-256 has 1.8).
"""

import json
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fusedoptim import _core
from fusedoptim.core import tree
from fusedoptim.core.groups import Group
from fusedoptim.core.tensors import Array
from fusedoptim.saved import named_schedules, state_dict
from fusedoptim.saved.atomic import replacement
from fusedoptim.saved.fields import IN_MANIFEST, MANIFEST, NEW, count, same_keys
from fusedoptim.schedules import Schedule

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Stateful

FORMAT = 1
MANIFEST_KEY, CHECKSUM_KEY = "fusedoptim", "crc32"  # in the file's metadata
DTYPES = {"F32": np.dtype(np.float32), "F64": np.dtype(np.float64)}
PathLike = str | os.PathLike[str]


def save(opt: "Stateful", path: PathLike, weights: bool) -> None:
    safetensors = _safetensors()
    arrays = _arrays(opt, weights)  # all C-contiguous, as a plan has them; others would be written in a wrong order
    text = _manifest(opt, {name: zlib.crc32(array.data) for name, array in arrays.items()})
    with replacement(path) as fresh:
        try:
            safetensors.numpy.save_file(arrays, fresh, {MANIFEST_KEY: text, CHECKSUM_KEY: _checksum(text)})
        except safetensors.SafetensorError as error:  # of the disk, for the arrays are in order
            raise OSError(f"cannot write {os.fspath(path)!r}: {error}; what was there stays") from None


def load(opt: "Stateful", path: PathLike) -> None:
    """Reads and checks everything, then changes the optimizer."""
    with _about(path):
        manifest, arrays = _read(opt, path)
        saved = {name: manifest[name] for name in IN_MANIFEST if name in manifest}
        saved["groups"] = _groups(opt, manifest)
        saved["state"] = {name: _nest(opt, name, arrays) for name in opt.state}
        weights = _nest(opt, "params", arrays) if _has_weights(arrays) else None
        state_dict.load(opt, saved, weights)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "checkpoints need safetensors, which is not installed; run: pip install 'fusedoptim[checkpoint]'"
        ) from None
    return safetensors


@contextmanager
def _about(path: PathLike) -> Iterator[None]:
    """What is wrong with a file is a ValueError that names it."""
    try:
        yield
    except _safetensors().SafetensorError as error:
        what = f"is not a whole safetensors file ({error})"
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        what = f"does not fit: {error}"
    else:
        return
    raise ValueError(f"the checkpoint {os.fspath(path)!r} {what}; the optimizer is as before, load another file")


# -- what is in a file -------------------------------------------------------------------------------------------------


def _arrays(opt: "Stateful", weights: bool) -> dict[str, Array]:
    """By the names in the file, those of the error messages: ``params["w"]``, ``m["w"]``."""
    pairs = [("params" + tensor.path, tensor.weight) for tensor in opt._tensors if weights]
    pairs += [(name + tensor.path, tensor.states[name]) for name in opt.state for tensor in opt._tensors]
    arrays = dict(pairs)
    if len(arrays) < len(pairs):
        raise ValueError("the keys of params must print differently, for a file has tensors by name")
    return arrays


def _nest(opt: "Stateful", name: str, arrays: Mapping[str, Array]) -> Any:
    return tree.build(opt._skeleton, (arrays[name + tensor.path] for tensor in opt._tensors))


def _has_weights(names: Mapping[str, Any]) -> bool:
    return any(name.startswith("params") for name in names)


def _manifest(opt: "Stateful", checksums: Mapping[str, int]) -> str:
    view = state_dict.view(opt)
    saved = {name: value for name, value in view.items() if name in IN_MANIFEST}
    for group, numbers in zip(opt.groups, view["groups"], strict=True):
        if callable(group.lr):
            numbers["lr"] = {"schedule": named_schedules.describe(group.lr)}
    who = {"format": FORMAT, "version": _core.version, "optimizer": type(opt).__name__}
    return json.dumps(who | saved | {"crc32": checksums}, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has in place of a number or an array of NumPy."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a checkpoint has only numbers, got {value!r}")


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(opt: "Stateful", path: PathLike) -> tuple[dict[str, Any], dict[str, Array]]:
    """Manifest and arrays, as whole as they were written and fit for this optimizer.

    All is read before anything is changed, so that a disk that fails in the middle does no harm.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would wait for ever
        raise ValueError("it is not a regular file")
    header = _header(opt, path)
    # By read() and not by mapping it: a file that is cut off meanwhile is an error then, not a signal.
    with _safetensors().safe_open(path, framework="numpy", backend="pread") as file:
        json.loads(header, object_pairs_hook=_unique)  # of two tensors of a name, safetensors takes the last
        own = _arrays(opt, _has_weights(dict.fromkeys(file.keys())))
        manifest = _check_manifest(opt, file.metadata() or {})
        _check_names(own, file.keys(), "its tensors")
        _check_names(own, manifest["crc32"], "its checksums")
        for name, array in own.items():
            stored = file.get_slice(name)
            got = DTYPES.get(stored.get_dtype(), stored.get_dtype()), tuple(stored.get_shape())
            if got != (array.dtype, array.shape):
                raise ValueError(f"{name} must be {array.dtype} of shape {array.shape}, got {got[0]} of {got[1]}")
        arrays = {name: file.get_tensor(name) for name in own}
    for name, array in arrays.items():
        if zlib.crc32(array.data) != manifest["crc32"][name]:
            raise ValueError(f"{name} is damaged, its checksum differs")
    return manifest, arrays


def _header(opt: "Stateful", path: PathLike) -> bytes:
    """Refuses one that is far longer than that of this optimizer: parsed, it takes 30 times its size of memory."""
    ours = len(_manifest(opt, dict.fromkeys(_arrays(opt, weights=True), 0)))
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > 16 * ours + 2**20:  # of each tensor it has up to ten times as much as the manifest
            raise ValueError(f"its header of {size} bytes is too long to be of this optimizer")
        return file.read(size)


def _check_manifest(opt: "Stateful", metadata: Mapping[str, str]) -> dict[str, Any]:
    if not (text := metadata.get(MANIFEST_KEY)):
        raise ValueError("it was not written by Optimizer.save")
    if metadata.get(CHECKSUM_KEY) != _checksum(text):
        raise ValueError("its manifest is damaged, the checksum differs")
    manifest: Any = json.loads(text, object_pairs_hook=_unique)
    written = manifest.get("format") if isinstance(manifest, dict) else None
    if written != FORMAT:
        raise ValueError(
            f"it has the format {written!r} and this version reads {FORMAT}; install the one that wrote it"
        )
    same_keys("its manifest", manifest, MANIFEST, optional=NEW)
    theirs, ours = (manifest["optimizer"], manifest["rule"]), (type(opt).__name__, opt.rule)
    if theirs != ours:
        raise ValueError("it is of {!r} with the rule {!r}, this optimizer is {!r} with {!r}".format(*theirs, *ours))
    return dict(manifest)


def _check_names(own: Mapping[str, Array], theirs: Any, what: str) -> None:
    if set(own) != set(theirs):
        lacks, has = (sorted(some)[:3] for some in (set(own) - set(theirs), set(theirs) - set(own)))
        raise ValueError(f"{what} are others: it lacks {lacks}, and has {has} that this optimizer does not have")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice in it")
    return found


# -- groups ------------------------------------------------------------------------------------------------------------


def _groups(opt: "Stateful", manifest: Mapping[str, Any]) -> Any:
    """What a state dict has of the groups, and the schedules; that it is of the right form is not known yet."""
    groups = manifest["groups"]
    for group, numbers in zip(opt.groups, groups if isinstance(groups, list) else [], strict=False):
        if isinstance(numbers, dict):
            numbers |= {name: tuple(value) for name, value in numbers.items() if isinstance(value, list)}
            if isinstance(lr := numbers.get("lr"), dict):
                numbers["lr"] = _schedule(opt.rule, group, lr, count('"t"', manifest["t"]))
    return groups


def _schedule(rule: str, group: Group, lr: dict[str, Any], t: int) -> Schedule:
    """The one of a file; where that has no name, the present one."""
    same_keys("a learning rate", lr, ("schedule",))
    if lr["schedule"] is not None:
        schedule = named_schedules.make(lr["schedule"])
        _core.check_hyper(rule, "lr", schedule(t + 1))
        return schedule
    if callable(present := group.lr):
        return cast(Schedule, present)
    raise ValueError("its learning rate is a function that has no name; set opt.lr to it, then load")
