"""One file, the one of the optimizer of one process, whoever has written it and whoever reads it."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core import tree
from fusedoptim.distributed import Sharded, crc
from fusedoptim.distributed.threads import Threads

from ..nests import bits
from .ranks import BUCKET, assert_same, in_threads, some_matrices, some_params, stepped, stepped_alone, train

OPTIMIZERS = [
    fo.AdamW,
    fo.LAMB,
    fo.NovoGrad,
    fo.Adafactor,
    fo.SM3,
    fo.RowWiseAdam,
    fo.WindowSGD,
    fo.ScheduleFreeSGD,
    fo.Muon,
    fo.NoisySGD,
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header, whose order the package safetensors leaves open, and the bytes of the arrays."""
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def params_of(make: Any) -> Any:
    return some_matrices() if make is fo.Muon else some_params()


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_it_is_the_file_of_one_process(make: Any, path: Path) -> None:
    params, metadata = params_of(make), {"epoch": 3, "rng": [1, 2]}
    plain = stepped_alone(make, params, 3, 3, 2, lr=fo.schedules.cosine(0.1, n=9))
    plain.freeze("b")
    plain.save(path.with_name("plain"), metadata=metadata)

    def save(transport: Threads) -> None:
        optimizer = stepped(transport, make, params, steps=2, lr=fo.schedules.cosine(0.1, n=9))
        optimizer.freeze("b")
        optimizer.save(path, metadata=metadata)

    in_threads(3, save)
    assert parts(path) == parts(path.with_name("plain"))
    assert {file.name for file in path.parent.iterdir()} == {path.name, "plain"}


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_it_is_loaded_by_any_number_of_ranks(make: Any, path: Path) -> None:
    """Those of a plain optimizer too, which goes on by the same two minibatches."""
    params, zeros = params_of(make), tree.map_leaves(np.zeros_like, params_of(make))
    plain = stepped_alone(make, params, 4, 2, 2)
    plain.save(path, metadata={"epoch": 1})
    for ranks in (1, 2, 4):

        def go_on(transport: Threads) -> None:
            optimizer = Sharded(make, zeros, transport, minibatches=4, bucket_bytes=BUCKET)
            assert optimizer.load(path) == {"epoch": 1}
            assert_same(optimizer, plain)
            optimizer.save(path)

        in_threads(ranks, go_on)
        with_metadata = make(tree.map_leaves(np.copy, zeros))
        assert with_metadata.load(path) == {}
        assert bits(with_metadata.params) == bits(plain.params)
        plain.save(path, metadata={"epoch": 1})


def test_a_run_goes_on_with_the_same_bits_on_another_number_of_ranks(path: Path) -> None:
    def run(transport: Threads, first: int, steps: int) -> list[bytes]:
        optimizer = Sharded(fo.AdamW, some_params(), transport, minibatches=8, bucket_bytes=BUCKET, ema=0.9)
        if first > 0:
            optimizer.load(path)
        train(optimizer, some_params(), steps, first)
        optimizer.save(path)
        return bits(optimizer.params)

    wanted = in_threads(1, lambda t: run(t, 0, 3))[0]
    for first, ranks in enumerate((8, 2, 4)):
        ends = in_threads(ranks, lambda t: run(t, first, 1))  # noqa: B023
    assert ends == [wanted] * 4


def test_an_average_and_weights_that_only_one_side_has(path: Path) -> None:
    with_average = stepped_alone(fo.AdamW, some_params(), 2, 2, 1, ema=0.5)
    with_average.save(path, weights=False)

    def without(transport: Threads) -> None:
        optimizer = Sharded(fo.AdamW, some_params(), transport, bucket_bytes=BUCKET)
        before = bits(optimizer.params)
        with pytest.warns(UserWarning, match="average of the weights is left out"):
            optimizer.load(path)
        assert bits(optimizer.params) == before and optimizer.t == 1
        optimizer.save(path.with_name("other"), weights=False)

    def begins_anew(transport: Threads) -> None:
        optimizer = Sharded(fo.AdamW, some_params(), transport, bucket_bytes=BUCKET, ema=0.5)
        with pytest.warns(UserWarning, match="begins anew"):
            optimizer.load(path.with_name("other"))

    in_threads(1, without)
    in_threads(1, begins_anew)


DAMAGES = {
    "a byte of a weight": (lambda raw: raw[:-2000] + bytes([raw[-2000] ^ 1]) + raw[-1999:], "is damaged"),
    "its end": (lambda raw: raw[:-1], "not a whole safetensors file"),
    "its header": (lambda raw: raw[:8] + b"x" + raw[9:], "header"),
    "its manifest": (lambda raw: raw.replace(b'\\"skipped\\": 0', b'\\"skipped\\": 1'), "manifest is damaged"),
    "nothing but zeros": (lambda raw: bytes(len(raw)), "header"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_file_changes_nothing_on_any_rank(name: str, path: Path) -> None:
    damage, words = DAMAGES[name]
    stepped_alone(fo.AdamW, some_params(1), 2, 2, 1).save(path)
    path.write_bytes(damage(path.read_bytes()))

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=2)
        before = bits(optimizer.params, *[t.states for t in optimizer._inner._tensors])
        with pytest.raises(ValueError, match=words):
            optimizer.load(path)
        assert bits(optimizer.params, *[t.states for t in optimizer._inner._tensors]) == before
        train(optimizer, some_params(), 1)
        assert optimizer.t == 3

    in_threads(3, job)


OTHERS: dict[str, tuple[fo.Optimizer, str]] = {
    "class": (fo.Adam(some_params()), "AdamW"),
    "shape": (fo.AdamW(some_params() | {"w": np.zeros((5, 3000), np.float32)}), "must be float32 of shape"),
    "names": (fo.AdamW({"v": np.zeros(3)}), "are others"),
    "groups": (fo.AdamW([{"params": some_params()}]), "are others"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_file_of_another_optimizer(name: str, path: Path) -> None:
    other, words = OTHERS[name]
    other.save(path)

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1)
        with pytest.raises(ValueError, match=words):
            optimizer.load(path)
        assert optimizer.t == 1

    in_threads(2, job)


def test_a_rank_that_cannot_read_the_file(path: Path) -> None:
    stepped_alone(fo.AdamW, some_params(), 2, 2, 1).save(path)

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=2)
        with pytest.raises((OSError, ValueError), match="no_such_file"):
            optimizer.load(path if transport.rank != 1 else path.with_name("no_such_file"))
        with pytest.raises(ValueError, match="hyper must be"):
            optimizer.load(path, hyper="saved" if transport.rank != 1 else "mine")
        assert optimizer.t == 2

    in_threads(3, job)


@pytest.mark.parametrize("odd", range(3))
def test_a_rank_that_cannot_write_leaves_the_old_file(odd: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say."""
    write = fo.distributed.checkpoint._write
    stepped_alone(fo.AdamW, some_params(), 2, 2, 1).save(path)
    before = path.read_bytes()

    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=2)
        with pytest.raises(OSError, match="No space left"):
            optimizer.save(path)
        assert optimizer.t == 2
        train(optimizer, some_params(), 1)

    def failing(name: str, mine: Any, starts: Any) -> None:
        import threading

        if threading.current_thread().name == f"rank {odd}":
            raise OSError(28, "No space left on device")
        write(name, mine, starts)

    monkeypatch.setattr(fo.distributed.checkpoint, "_write", failing)
    in_threads(3, job)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there(path: Path) -> None:
    def job(transport: Threads) -> None:
        optimizer = stepped(transport, fo.AdamW, some_params(), steps=1)
        with pytest.raises(OSError, match="no_such_folder"):
            optimizer.save(path.parent / "no_such_folder" / "file")
        with pytest.raises((TypeError, ValueError), match="metadata"):
            optimizer.save(path, metadata={"x": object()} if transport.rank == 1 else None)
        train(optimizer, some_params(), 1)

    in_threads(3, job)
    assert not path.exists()


def test_checksums_of_parts_make_that_of_the_whole() -> None:
    rng = np.random.default_rng(0)
    for n in (0, 1, 2, 255, 4096, 100_001):
        data = rng.bytes(n)
        for cut in {0, n // 3, n}:
            got = crc.combined(zlib.crc32(data[:cut]), zlib.crc32(data[cut:]), n - cut)
            assert got == zlib.crc32(data)
