"""What a program puts into a file besides the optimizer, and gets back."""

import json
import math
import os
import random
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.saved import metadata

from ..nests import unchanged
from .hostile_files import joined, sign, split


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


def through(path: Path, given: Any) -> Any:
    opt = fo.SGD(np.ones(2))
    opt.save(path, metadata=given)
    return opt.load(path)


def test_without_any(path: Path) -> None:
    opt = fo.SGD(np.ones(2))
    opt.save(path)
    assert opt.load(path) == {} == through(path, {})


@pytest.mark.parametrize(
    "given",
    [
        {"epoch": 3, "loss": 0.1, "best": math.inf, "name": 'é\n"\\\x00', "done": False, "none": None},
        {"": {"": [[], {}, [[{}]]]}, "fusedoptim": 1, "crc32": "x", "__metadata__": []},
        {"big": 2**127 - 1, "small": -(2**400), "tiny": 5e-324, "lone": "\ud800"},
    ],
    ids=range(3),
)
def test_json_comes_back_as_it_is(path: Path, given: Any) -> None:
    assert through(path, given) == given


def test_numpy_goes_by_value_and_tuples_are_lists(path: Path) -> None:
    given = {
        "f": np.float32(0.5),
        "i": np.int64(7),
        "b": np.bool_(True),
        "0-d": np.array(1.5),
        "a": np.arange(3),
        "t": (1, (2,)),
    }
    found = through(path, given)
    assert found == {"f": 0.5, "i": 7, "b": True, "0-d": 1.5, "a": [0, 1, 2], "t": [1, [2]]}
    assert [type(value) for value in found.values()] == [float, int, bool, float, list, list]
    assert through(path, OrderedDict(a=np.float64(0.1))) == {"a": 0.1}
    values = [1, 2]
    given = {"values": values}
    fo.SGD(np.ones(2)).save(path, metadata=given)
    assert given == {"values": [1, 2]} and given["values"] is values


@pytest.mark.parametrize("name", ["PCG64", "MT19937", "Philox", "SFC64"])
def test_the_state_of_a_generator_of_numpy(path: Path, name: str) -> None:
    rng, other = (np.random.Generator(getattr(np.random, name)(seed)) for seed in (0, 1))
    rng.normal(size=5)
    other.bit_generator.state = through(path, {"rng": rng.bit_generator.state})["rng"]
    assert other.normal(size=5).tolist() == rng.normal(size=5).tolist()


def test_the_state_of_random(path: Path) -> None:
    rng, other = random.Random(0), random.Random(1)
    version, internal, gauss = through(path, {"rng": rng.getstate()})["rng"]
    other.setstate((version, tuple(internal), gauss))
    assert other.random() == rng.random()


def within_itself() -> dict[str, Any]:
    own: dict[str, Any] = {"a": [1]}
    own["a"].append(own)
    return own


BAD: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "no dict": (lambda: [1], TypeError, r"^metadata must be a dict, got \[1\]"),
    "an object": (
        lambda: {"a": [0, object()]},
        TypeError,
        r"^metadata\['a'\]\[1\] must be a number, string.* got <object",
    ),
    "a set": (lambda: {"a": {1}}, TypeError, r"^metadata\['a'\] must be"),
    "bytes": (lambda: {"a": b"x"}, TypeError, r"^metadata\['a'\] must be"),
    "a complex number": (lambda: {"a": 1j}, TypeError, r"^metadata\['a'\] must be"),
    "complex numbers": (lambda: {"a": np.ones(2, complex)}, TypeError, r"^metadata\['a'\]\[0\] must be"),
    "a date": (lambda: {"a": np.datetime64("2026-01-01")}, TypeError, r"^metadata\['a'\] must be"),
    "a longdouble": (lambda: {"a": np.longdouble(1)}, TypeError, r"^metadata\['a'\] must be"),
    "a number for a key": (lambda: {"a": {1: 2}}, TypeError, r"^metadata\['a'\] must have strings as keys, got 1"),
    "keys of two kinds": (lambda: {"a": 1, None: 2}, TypeError, r"^metadata must have strings as keys, got None"),
    "itself": (within_itself, ValueError, r"^metadata must be at most 100 levels deep"),
    "too long": (lambda: {"a": "x" * metadata.MOST}, ValueError, r"^metadata must be at most 262144 characters"),
    "a number too long": (lambda: {"a": 10**5000}, ValueError, "."),
}


@pytest.mark.parametrize("bad", BAD)
def test_what_json_cannot_have_is_refused_before_anything_is_written(path: Path, bad: str) -> None:
    make, error, said = BAD[bad]
    opt = fo.SGD(np.ones(2))
    opt.save(path)
    before = path.read_bytes()
    with unchanged(opt), pytest.raises(error, match=said):
        opt.save(path, metadata=make())
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_as_much_as_may_be(path: Path) -> None:
    """The header of a file is not too long then, whatever the letters."""
    for letter in ("x", '"', "\\", "é"):
        given = {"a": letter * ((metadata.MOST - 10) // (len(json.dumps(letter)) - 2))}
        assert through(path, given) == given


def test_it_is_in_the_checksum(path: Path) -> None:
    opt = fo.SGD(np.ones(2))
    opt.save(path, metadata={"epoch": 33333})
    raw = path.read_bytes()
    assert raw.count(b"33333") == 1
    path.write_bytes(raw.replace(b"33333", b"33334"))
    with unchanged(opt), pytest.raises(ValueError, match="manifest is damaged"):
        opt.load(path)


@pytest.mark.parametrize("spoilt", [None, [], 1, "x"], ids=repr)
def test_metadata_that_nobody_wrote(path: Path, spoilt: Any) -> None:
    opt = fo.SGD(np.ones(2))
    opt.save(path)
    header, data = split(path.read_bytes())
    manifest = json.loads(header["__metadata__"]["fusedoptim"]) | {"metadata": spoilt}
    sign(header, json.dumps(manifest))
    path.write_bytes(joined(json.dumps(header), data))
    with unchanged(opt), pytest.raises(ValueError, match="metadata must be a dict"):
        opt.load(path)
