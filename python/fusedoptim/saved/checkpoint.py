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
from fusedoptim.core.storage import REST, SCALE, Array, Dtype, bits, float_of
from fusedoptim.core.tensors import Tensor
from fusedoptim.numerics.formats import is_bfloat16
from fusedoptim.saved import metadata, state_dict
from fusedoptim.saved.atomic import replace_file
from fusedoptim.saved.convert import ALSO, layout_of, may_differ
from fusedoptim.saved.fields import IN_MANIFEST, MANIFEST, NEW, OPTIONAL, Saved, same_keys
from fusedoptim.saved.reader import DTYPES, Like, read_arrays, read_header, unique

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
    text = _manifest(opt, {name: zlib.crc32(bits(array).data) for name, array in arrays.items()}, noted)
    named = {name: _named(array) for name, array in arrays.items()}

    def write(fresh: Path) -> None:
        try:
            safetensors.numpy.save_file(named, fresh, {MANIFEST_KEY: text, CHECKSUM_KEY: _checksum(text)})
        except safetensors.SafetensorError as error:  # of the disk, for the arrays are in order
            raise OSError(f"cannot write {os.fspath(path)!r}: {error}; what was there stays") from None

    replace_file(path, write)


def load(opt: "Stateful", path: PathLike, hyper: str, converts: bool) -> dict[str, Any]:
    """Reads and checks everything, then changes the optimizer; returns the metadata."""
    with _about(path):
        manifest, nests = _read(opt, path, converts)
        weights = nests.pop("params", None)
        saved = {name: manifest[name] for name in IN_MANIFEST if name in manifest} | {"state": nests}
        state_dict.restore(opt, cast(Saved, saved), weights, hyper, converts)
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
    """By the names in the file, those of the error messages: ``params["w"]``, ``m["w"]``."""
    return {
        name + tensor.path: tensor.weight if name == "params" else tensor.states[name]
        for name in nests
        for tensor in opt._tensors
    }


def _named(array: Array) -> Array:
    """The array with a dtype that has a name in the file's format: bfloat16 is that of ml_dtypes."""
    if not is_bfloat16(array.dtype):
        return array
    try:
        import ml_dtypes
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "save() of bfloat16 needs ml_dtypes, which is not installed; run: pip install 'fusedoptim[bfloat16]'"
        ) from None
    named: Array = array.view(ml_dtypes.bfloat16)
    return named


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


def _read(opt: "Stateful", path: PathLike, converts: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Manifest and nests of arrays, as whole as they were written and fit for this optimizer.

    All is read before anything is changed, so that a disk that fails in the middle does no harm.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would wait for ever
        raise ValueError("it is not a regular file")
    with open(path, "rb") as file:
        header, stored = read_header(file, _longest_header(opt))
        there = nests_in(stored)
        manifest = _check_manifest(opt, header)
        likes: dict[str, Like] = {}
        for tensor in opt._tensors:
            own = _theirs(opt, tensor, stored) if converts else _ours(opt, tensor)
            likes |= {name + tensor.path: own[name] for name in own if is_read(name, there)}
        _check_names(likes, stored, "its tensors")
        _check_names(likes, manifest["crc32"], "its checksums")
        arrays = read_arrays(file, stored, likes)
    for name, array in arrays.items():
        if zlib.crc32(bits(array).data) != manifest["crc32"][name]:
            raise ValueError(f"{name} is damaged, its checksum differs")
    nests = [name for name in own if is_read(name, there)]
    return manifest, {
        name: tree.build(opt._skeleton, (arrays[name + tensor.path] for tensor in opt._tensors)) for name in nests
    }


def nests_in(stored: Iterable[str]) -> set[str]:
    """The nests of which a file has these arrays."""
    return {re.split(r"[.[]", name, maxsplit=1)[0] for name in stored}


def is_read(nest: str, there: set[str]) -> bool:
    """Whether a nest is to be read: what an optimizer may lack only where it is there."""
    return nest in there or nest not in {"params", *OPTIONAL}


def _ours(opt: "Stateful", tensor: Tensor) -> dict[str, Like]:
    """Shapes and dtypes of what a file has of a tensor, if it is of an optimizer like this one."""
    shape, floats = tensor.weight.shape, float_of(tensor.weight.dtype)
    likes = {"params": (shape, tensor.weight.dtype)} | dict.fromkeys(OPTIONAL, (shape, floats))
    return likes | {name: (array.shape, array.dtype) for name, array in tensor.states.items()}


def _theirs(opt: "Stateful", tensor: Tensor, stored: Mapping[str, Any]) -> dict[str, Like]:
    """The same of one that keeps them in the bits that the file says."""

    def dtype_of(name: str) -> Dtype | None:
        entry = stored.get(name + tensor.path)
        return DTYPES.get(str(entry.get("dtype"))) if isinstance(entry, dict) else None

    names = ["params", REST, *OPTIONAL, *(name for name, _ in _core.rule_states[opt.rule])]
    dtypes = {name: dtype for name in names if (dtype := dtype_of(name)) is not None}
    weight = dtypes.get("params", tensor.weight.dtype)
    layout = layout_of(opt.rule, dtypes)
    return {"params": (tensor.weight.shape, weight)} | {
        kept.name: kept.array(tensor.weight.shape, weight, opt._slots) for kept in layout
    }


def _longest_header(opt: "Stateful") -> int:
    """Of each tensor it has up to ten times as much as the manifest."""
    names = {"params", REST, *OPTIONAL, *opt.state, *(name + SCALE for name in opt.state)}
    ours = len(_manifest(opt, {name + tensor.path: 0 for name in names for tensor in opt._tensors}, {}))
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


def _check_names(own: Mapping[str, Like], theirs: Any, what: str) -> None:
    if set(own) != set(theirs):
        lacks, has = (sorted(some)[:3] for some in (set(own) - set(theirs), set(theirs) - set(own)))
        also = ALSO if may_differ({re.split(r"[.[]", name, maxsplit=1)[0] for name in set(own) ^ set(theirs)}) else ""
        raise ValueError(f"{what} are others: it lacks {lacks}, and has {has} that this optimizer does not have{also}")
