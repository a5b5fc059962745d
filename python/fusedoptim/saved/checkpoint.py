"""An optimizer as a file, and back: a state dict in the safetensors format, verified as a whole before anything changes.

The file's metadata has a manifest, JSON with all that is no array, and its checksum. The checksums are CRC-32: they are to
find accidents, which takes no cryptography, and it runs at the speed of memory (6 GB/s where SHA-256 has 1.8).
"""

import json
import os
import re
import stat
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.tensors import Array
from fusedoptim.saved import metadata, state_dict
from fusedoptim.saved.atomic import replace_file
from fusedoptim.saved.fields import IN_MANIFEST, MANIFEST, NEW, OPTIONAL, Saved, same_keys
from fusedoptim.saved.reader import read_arrays, read_header, unique

if TYPE_CHECKING:
    from fusedoptim.optim.stateful import Stateful

FORMAT = 2
READ = (1, 2)  # the first has no metadata
SAFETENSORS = [0, 4, 4]  # the first version that writes a file without tensors rightly
MANIFEST_KEY, CHECKSUM_KEY = "fusedoptim", "crc32"  # in the file's metadata
PathLike = str | os.PathLike[str]


def save(opt: "Stateful", path: PathLike, weights: bool, given: Mapping[str, Any] | None) -> None:
    safetensors = _safetensors()
    noted = metadata.plain({} if given is None else given)
    for tensor in opt._tensors:
        checks.keys_of_a_file(tensor.key)
    # All are C-contiguous, as a plan has them; others would be written in a wrong order.
    arrays = _arrays(opt, [*["params"] * weights, *opt.state])
    text = _manifest(opt, {name: zlib.crc32(array.data) for name, array in arrays.items()}, noted)

    def write(fresh: Path) -> None:
        try:
            safetensors.numpy.save_file(arrays, fresh, {MANIFEST_KEY: text, CHECKSUM_KEY: _checksum(text)})
        except safetensors.SafetensorError as error:  # of the disk, for the arrays are in order
            raise OSError(f"cannot write {os.fspath(path)!r}: {error}; what was there stays") from None

    replace_file(path, write)


def load(opt: "Stateful", path: PathLike, hyper: str) -> dict[str, Any]:
    """Reads and checks everything, then changes the optimizer; returns the metadata."""
    with _about(path):
        manifest, nests = _read(opt, path)
        weights = nests.pop("params", None)
        saved = {name: manifest[name] for name in IN_MANIFEST if name in manifest} | {"state": nests}
        state_dict.restore(opt, cast(Saved, saved), weights, hyper)
    return dict(manifest["metadata"])


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "save() needs safetensors, which is not installed; run: pip install 'fusedoptim[checkpoint]'"
        ) from None
    if list(map(int, re.findall(r"\d+", safetensors.__version__)))[:3] < SAFETENSORS:
        raise ImportError(
            f"save() needs safetensors {'.'.join(map(str, SAFETENSORS))} or later, "
            f"got {safetensors.__version__}; run: pip install --upgrade 'fusedoptim[checkpoint]'"
        )
    return safetensors


@contextmanager
def _about(path: PathLike) -> Iterator[None]:
    """What is wrong with a file is a ValueError that names it."""
    try:
        yield
    except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
        what = f"the checkpoint {os.fspath(path)!r} does not fit: {error}"
    else:
        return
    raise ValueError(f"{what}; the optimizer is as before, load another file")


# -- what is in a file -------------------------------------------------------------------------------------------------


def _arrays(opt: "Stateful", nests: Iterable[str]) -> dict[str, Array]:
    """By the names in the file, those of the error messages: ``params["w"]``, ``m["w"]``.

    What this optimizer does not keep, though another might, is as its weights are.
    """
    return {name + tensor.path: tensor.states.get(name, tensor.weight) for name in nests for tensor in opt._tensors}


def _manifest(opt: "Stateful", checksums: Mapping[str, int], noted: dict[str, Any]) -> str:
    saved = {name: value for name, value in state_dict.view(opt).items() if name in IN_MANIFEST}
    who = {"format": FORMAT, "version": _core.version, "optimizer": type(opt).__name__}
    return json.dumps(who | saved | {"metadata": noted, "crc32": checksums}, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has in place of a number or an array of NumPy."""
    if isinstance(value, np.generic | np.ndarray) and not isinstance(value, np.longdouble):  # which no float has
        return value.tolist()
    raise TypeError(f"a checkpoint has only numbers, got {value!r}")


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


# -- reading -----------------------------------------------------------------------------------------------------------


def _read(opt: "Stateful", path: PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and nests of arrays, as whole as they were written and fit for this optimizer.

    All is read before anything is changed, so that a disk that fails in the middle does no harm.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would wait for ever
        raise ValueError("it is not a regular file")
    with open(path, "rb") as file:
        header, stored = read_header(file, _longest_header(opt))
        nests = _nests(opt, stored)
        own = _arrays(opt, nests)
        manifest = _check_manifest(opt, header)
        _check_names(own, stored, "its tensors")
        _check_names(own, manifest["crc32"], "its checksums")
        arrays = read_arrays(file, stored, own)
    for name, array in arrays.items():
        if zlib.crc32(array.data) != manifest["crc32"][name]:
            raise ValueError(f"{name} is damaged, its checksum differs")
    return manifest, {
        name: tree.build(opt._skeleton, (arrays[name + tensor.path] for tensor in opt._tensors)) for name in nests
    }


def _nests(opt: "Stateful", stored: Iterable[str]) -> list[str]:
    """Those of a file that has these arrays: what an optimizer may lack only where they are there."""
    there = {re.split(r"[.[]", name, maxsplit=1)[0] for name in stored}
    known = dict.fromkeys(["params", *opt.state, *OPTIONAL])
    return [name for name in known if name in there or name not in {"params", *OPTIONAL}]


def _longest_header(opt: "Stateful") -> int:
    """Of each tensor it has up to ten times as much as the manifest."""
    ours = len(_manifest(opt, dict.fromkeys(_arrays(opt, {"params", *OPTIONAL, *opt.state}), 0), {}))
    return 16 * ours + 4 * metadata.MOST


def _check_manifest(opt: "Stateful", header: Mapping[str, str]) -> dict[str, Any]:
    if not (text := header.get(MANIFEST_KEY)):
        raise ValueError("it was not written by Optimizer.save")
    if header.get(CHECKSUM_KEY) != _checksum(text):
        raise ValueError("its manifest is damaged, the checksum differs")
    manifest: Any = json.loads(text, object_pairs_hook=unique)
    written = manifest.get("format") if isinstance(manifest, dict) else None
    if written not in READ:
        raise ValueError(f"it has the format {written!r} and this version reads {READ}; install the one that wrote it")
    manifest = {"metadata": {}} | manifest
    same_keys("its manifest", manifest, MANIFEST, optional=NEW)
    metadata.plain(manifest["metadata"])
    theirs, ours = (manifest["optimizer"], manifest["rule"]), (type(opt).__name__, opt.rule)
    if theirs != ours:
        raise ValueError("it is of {!r} with the rule {!r}, this optimizer is {!r} with {!r}".format(*theirs, *ours))
    return dict(manifest)


def _check_names(own: Mapping[str, Any], theirs: Any, what: str) -> None:
    if set(own) != set(theirs):
        lacks, has = (sorted(some)[:3] for some in (set(own) - set(theirs), set(theirs) - set(own)))
        raise ValueError(f"{what} are others: it lacks {lacks}, and has {has} that this optimizer does not have")
