"""One file of all ranks: the very file that the optimizer of one process writes, whatever ranks there are.

Each rank writes its segments where they belong in it, and reads them from there; a plain optimizer reads it as its own.
"""

import json
import os
import stat
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fusedoptim.core import checks, tree
from fusedoptim.core.storage import Array, alike
from fusedoptim.distributed import crc
from fusedoptim.distributed.segments import Segment, Stored, own_array, segments, stored
from fusedoptim.distributed.transport import Transport
from fusedoptim.saved import checkpoint, metadata, state_dict
from fusedoptim.saved.atomic import replace_file
from fusedoptim.saved.fields import IN_MANIFEST, OPTIONAL, Saved
from fusedoptim.saved.reader import DTYPES, METADATA, check_places, read_header, read_into

if TYPE_CHECKING:
    from fusedoptim.distributed.collective import Collective

ORDER = ("F64", "F32", "BF16", "F16", "I16", "U8")  # in which the package safetensors has arrays
MOST = 1 << 24  # bytes written at once
PathLike = str | os.PathLike[str]


def together(transport: Transport, do: Callable[[], Any], kind: type[Exception], what: str) -> Any:
    """What `do` returns, or an error on every rank where it has failed on one."""
    error: Exception | None = None
    made: Any = None
    try:
        made = do()
    except Exception as refused:  # noqa: BLE001
        error = refused
    told = transport.gather_objects(None if error is None else f"{type(error).__name__}: {error}")
    if error is not None:
        raise error
    for rank, words in enumerate(told):
        if words is not None:
            raise kind(f"{what} rank {rank} has failed: {words}")
    return made


# -- writing -----------------------------------------------------------------------------------------------------------


def save(opt: "Collective[Any]", path: PathLike, weights: bool, given: dict[str, Any] | None) -> None:
    """All ranks write and sync, or the old file stays."""
    transport = opt._transport

    def prepare() -> tuple[list[str], dict[str, Any]]:
        for key in opt._holdings.keys:
            checks.keys_of_a_file(key[1:])
        return [*["params"] * checks.flag("weights", weights), *opt._inner.state], metadata.plain(given or {})

    kept = f"{os.fspath(path)!r} was not written, what was there stays:"
    nests, noted = together(transport, prepare, ValueError, kept)
    mine, arrays = list(segments(opt, nests)), stored(opt, nests)
    text = checkpoint._manifest(opt._inner, _checksums(transport, arrays, mine), noted)
    header, starts, nbytes = _header(arrays, text)

    def write(fresh: Path | None) -> None:
        """On rank 0 within the replacement of the file; on the others, None, beside it."""
        if fresh is not None:
            with open(fresh, "r+b") as file:
                file.write(header)
                file.truncate(nbytes)
        name = transport.gather_objects(None if fresh is None else os.fspath(fresh))[0]
        if name is not None:
            together(transport, lambda: _write(name, mine, starts), OSError, kept)

    def replace() -> None:
        has_told = False

        def write_first(fresh: Path) -> None:
            nonlocal has_told
            has_told = True
            write(fresh)

        if opt.rank > 0:
            return write(None)
        try:
            replace_file(path, write_first)
        finally:
            if not has_told:
                transport.gather_objects(None)  # so that no rank waits

    together(transport, replace, OSError, kept)


def _write(path: str, mine: list[Segment], starts: dict[str, int]) -> None:
    with open(path, "r+b", buffering=0) as file:
        for segment in mine:
            if segment.is_own:
                _write_at(file.fileno(), starts[segment.name] + segment.at, segment.array.view(np.uint8))
        os.fsync(file.fileno())


def _write_at(file: int, at: int, left: Array) -> None:
    while left.size:
        written = os.pwrite(file, left[:MOST].data, at)
        at, left = at + written, left[written:]


def _header(arrays: list[Stored], text: str) -> tuple[bytes, dict[str, int], int]:
    """The header as the package safetensors writes it, the byte where each array begins, and the bytes of the file."""
    said = {checkpoint.MANIFEST_KEY: text, checkpoint.CHECKSUM_KEY: checkpoint._checksum(text)}
    entries: dict[str, Any] = {METADATA: said}
    end = 0
    for array in sorted(arrays, key=lambda array: (ORDER.index(_code(array)), array.name)):
        begin, end = end, end + array.nbytes
        entries[array.name] = {
            "dtype": _code(array),
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    before = 8 + len(header)
    starts = {array.name: before + entries[array.name]["data_offsets"][0] for array in arrays}
    return len(header).to_bytes(8, "little") + header, starts, before + end


def _code(array: Stored) -> str:
    return next(code for code, dtype in DTYPES.items() if alike(dtype, array.dtype))


def _checksums(transport: Transport, arrays: Iterable[Stored], mine: list[Segment]) -> dict[str, int]:
    """That of each whole array, from those of all ranks' segments."""
    own = [(s.name, s.at, s.array.nbytes, zlib.crc32(s.array.data)) for s in mine if s.is_own and s.array.size]
    parts: dict[str, list[tuple[int, int, int]]] = {}
    for of_rank in transport.gather_objects(own):
        for name, at, nbytes, checksum in of_rank:
            parts.setdefault(name, []).append((at, nbytes, checksum))
    checksums = {}
    for array in arrays:
        whole = 0
        for _, nbytes, checksum in sorted(parts.get(array.name, [])):
            whole = crc.combined(whole, checksum, nbytes)
        checksums[array.name] = whole
    return checksums


# -- reading -----------------------------------------------------------------------------------------------------------


def load(opt: "Collective[Any]", path: PathLike, hyper: str) -> dict[str, Any]:
    """Every rank reads and checks what it has; where that is wrong on one, nothing changes on any."""
    kept = f"the checkpoint {os.fspath(path)!r} does not fit, the optimizer is as before:"
    inner = opt._inner

    def read() -> "Read":
        checks.one_of("hyper", hyper, tuple(state_dict.WHOSE))
        with checkpoint._about(path):
            return _read(opt, path)

    found = together(opt._transport, read, ValueError, kept)
    checksums = _checksums(opt._transport, found.arrays, found.segments)
    with checkpoint._about(path):
        for name, checksum in checksums.items():
            if checksum != found.manifest["crc32"][name]:
                raise ValueError(f"{name} is damaged, its checksum differs")
        saved = {name: found.manifest[name] for name in IN_MANIFEST if name in found.manifest}
        nests = {nest: tree.build(inner._skeleton, iter(arrays)) for nest, arrays in found.nests.items()}
        weights = nests.pop("params", None)
        state_dict.restore(inner, cast(Saved, saved | {"state": nests}), weights, hyper, converts=False)
    return dict(found.manifest["metadata"])


@dataclass
class Read:
    """What a rank has read of a file."""

    manifest: dict[str, Any]
    arrays: list[Stored]
    segments: list[Segment]
    nests: dict[str, list[Array]]  # of each nest, what belongs to this rank's tensors


def _read(opt: "Collective[Any]", path: PathLike) -> Read:
    inner = opt._inner
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would wait for ever
        raise ValueError("it is not a regular file")
    known = dict.fromkeys(["params", *inner.state, *OPTIONAL])
    with open(path, "rb") as file:
        header, there = read_header(file, checkpoint._longest_header(inner))
        nests_there = checkpoint.nests_in(there)
        nests = [nest for nest in known if checkpoint.is_read(nest, nests_there)]
        arrays = stored(opt, nests)
        manifest = checkpoint._check_manifest(inner, header)
        own = {array.name: (array.shape, array.dtype) for array in arrays}
        checkpoint._check_names(own, there, "its tensors")
        checkpoint._check_names(own, manifest["crc32"], "its checksums")
        check_places(file, there, own)
        begin = file.tell()
        fresh = {
            (tensor.key, nest): np.empty_like(own_array(tensor, nest)) for nest in nests for tensor in inner._tensors
        }
        found = list(segments(opt, nests, lambda tensor, nest: fresh[tensor.key, nest]))
        for segment in found:
            if segment.array.size:
                file.seek(begin + there[segment.name]["data_offsets"][0] + segment.at)
                read_into(file, segment.array, segment.name)
    of_nests = {nest: [fresh[tensor.key, nest] for tensor in inner._tensors] for nest in nests}
    return Read(manifest, arrays, found, of_nests)
