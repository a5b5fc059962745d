"""Loads mutated files, one after the other: `python -m tests.saved.hostile_files FOLDER COUNT [SEED]`.

A file is refused with an error that names it, and nothing has changed; or it is taken in, and what it says is in order.
"""

import copy
import json
import random
import resource
import signal
import sys
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim.saved import counts

from ..nests import normal, snapshot
from ..runs import step

MEMORY = 256 << 20
SECONDS = 20  # for one file

HOSTILE: list[Any] = [
    *[None, True, False, -1, 0, 1, 2, 0.5, -0.5, 1.5, 1e-300, 1e308, -1e308, 2**31, 2**53, 2**63, 2**64, 10**400],
    *[float("nan"), float("inf"), -float("inf"), "", "x", "1", "\x00", "é" * 99, [], {}, [[]], [0.5], [0.5, 0.5]],
    *[[-1, 2], [float("nan")] * 2, {"schedule": None}, {"schedule": {}}, {"name": "constant", "lr": 1.0}, [0] * 10_000],
    {"schedule": {"name": "restarts", "lr": 0.1, "n": 1e-9, "growth": 1.0, "end": 0.0}},
    {"schedule": {"name": "restarts", "lr": 0.1, "n": 1, "growth": 1.01, "end": 0.0}},
    {"schedule": {"name": "exponential", "lr": 1, "gamma": 3}},
    {"schedule": {"name": "step", "lr": 1, "n": 1, "gamma": 10**300}},
    {"schedule": {"name": "join", "schedules": [], "boundaries": []}},
]


def victims() -> list[fo.Optimizer]:
    """Of every kind that a manifest tells."""
    schedules = fo.schedules
    nested = schedules.warmup(schedules.join([0.1, schedules.restarts(0.1, n=3, growth=2)], [4]), n=5)
    return [
        fo.Adam({"w": normal(0, 2, 3), "b": [normal(1, 2)]}, lr=nested, accumulate=3, ema=0.5),
        fo.NAdam([{"params": normal(0, 3), "lr": 0.1}, {"params": normal(1, 2)}], lr=schedules.cosine(0.1, n=9)),
        fo.ScheduleFreeSGD(normal(0, 3), warmup_steps=3),
        fo.ASGD(normal(0, 3), lr=lambda t: 0.1 / t),
        fo.Adafactor(normal(0, 2, 2), lr=schedules.Plateau(0.1)),
        fo.WindowSGD(normal(0, 2), window=2),
    ]


def flip(rng: random.Random, raw: bytearray) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 8])):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)


def cut(rng: random.Random, raw: bytearray) -> None:
    del raw[rng.randrange(len(raw)) :]


def grow(rng: random.Random, raw: bytearray) -> None:
    at, n = rng.randrange(len(raw)), rng.choice([1, 8, 64, 4096])
    raw[at:at] = rng.randbytes(n) if rng.random() < 0.5 else raw[at : at + n]


def drop(rng: random.Random, raw: bytearray) -> None:
    at = rng.randrange(len(raw))
    del raw[at : at + rng.choice([1, 4, 8, 64])]


def resize(rng: random.Random, raw: bytearray) -> None:
    raw[:8] = rng.choice([0, 1, 2**20, 10**8, 2**63, 2**64 - 1, rng.randrange(4096)]).to_bytes(8, "little")


def change_header(rng: random.Random, raw: bytearray) -> None:
    header, data = split(raw)
    change(rng, header)
    raw[:] = joined(json.dumps(header), data)


def change_text(rng: random.Random, raw: bytearray) -> None:
    """A piece of the header, as text."""
    header, data = split(raw)
    text = json.dumps(header)
    piece = rng.choice(["[" * rng.choice([10, 1000, 100_000]), "}", '"', ",", "null", "1e999", "\\ud800", "9" * 5000])
    at = rng.randrange(len(text))
    raw[:] = joined(text[:at] + piece + text[at + rng.choice([0, 1, 9]) :], data)


def change_manifest(rng: random.Random, raw: bytearray) -> None:
    """With a checksum that is right: the file of somebody who knows the format."""
    header, data = split(raw)
    manifest = json.loads(header["__metadata__"]["fusedoptim"])
    for _ in range(rng.choice([1, 1, 1, 3])):
        change(rng, manifest)
    sign(header, json.dumps(manifest))
    raw[:] = joined(json.dumps(header), data)


def change_data(rng: random.Random, raw: bytearray) -> None:
    """Other numbers, NaN among them, with checksums that are right."""
    header, data = split(raw)
    data = bytes(rng.choice([rng.randrange(256), 255]) for _ in data)
    manifest = json.loads(header["__metadata__"]["fusedoptim"])
    for name in manifest["crc32"]:
        begin, end = header[name]["data_offsets"]
        manifest["crc32"][name] = zlib.crc32(data[begin:end])
    sign(header, json.dumps(manifest))
    raw[:] = joined(json.dumps(header), data)


MUTATIONS = [flip, flip, cut, grow, drop, resize, change_header, change_text, *[change_manifest] * 4, change_data]


def change(rng: random.Random, tree: Any) -> None:
    """Something somewhere in it becomes something else."""
    while True:
        key = rng.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
        inner = tree[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.2:
            break
        tree = inner
    if isinstance(tree, dict) and rng.random() < 0.1:
        del tree[key]
    elif isinstance(tree, dict) and rng.random() < 0.1:
        tree[rng.choice(["x", "lr", "t", ""])] = copy.deepcopy(rng.choice(HOSTILE))
    else:
        tree[key] = copy.deepcopy(rng.choice(HOSTILE))


def split(raw: bytes) -> tuple[Any, bytes]:
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(bytes(raw[8:end])), bytes(raw[end:])


def joined(text: str, data: bytes) -> bytes:
    header = text.encode()
    return len(header).to_bytes(8, "little") + header + data


def sign(header: Any, text: str) -> None:
    header["__metadata__"] = {"fusedoptim": text, "crc32": f"{zlib.crc32(text.encode()):08x}"}


def everything(optimizer: fo.Optimizer) -> Any:
    rates = [rate(group.lr, t) for group in optimizer.groups for t in (*range(1, 20), 2**53)]
    return snapshot(optimizer), rates, [group._numbers() for group in optimizer.groups], counts.view(optimizer)


def rate(lr: Any, t: int) -> Any:
    return lr(t) if callable(lr) else lr


def main(folder: Path, count: int, seed: int = 0) -> None:
    rng = random.Random(seed)
    path = folder / "hostile.safetensors"
    files = []
    for k, optimizer in enumerate(victims()):
        for call in range(4):
            step(optimizer, call)
        optimizer.save(folder / f"{k}.safetensors")
        files.append(((folder / f"{k}.safetensors").read_bytes(), everything(optimizer)))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    counts: Counter[str] = Counter()
    fresh = victims()
    for n in range(count):
        k = rng.randrange(len(files))
        raw, saved = files[k]
        mutated, mutate = bytearray(raw), rng.choice(MUTATIONS)
        mutate(rng, mutated)
        path.write_bytes(mutated)
        optimizer = fresh[k]
        before = everything(optimizer)
        signal.alarm(SECONDS)  # the end of a process that hangs
        if (said := refusal(optimizer, path)) is not None:
            assert str(path) in said and everything(optimizer) == before, (n, mutate, said)
            counts["refused"] += 1
        else:
            same = everything(optimizer) == saved
            assert same or mutate in (change_manifest, change_data), (n, mutate)
            counts["as it was" if same else "other values"] += 1
            check(optimizer)
            fresh = victims()
        signal.alarm(0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(dict(counts) | {"as it was": counts["as it was"], "peak MiB": peak}))


def refusal(optimizer: fo.Optimizer, path: Path) -> str | None:
    try:
        optimizer.load(path)
    except ValueError as error:
        return str(error)
    return None


def check(optimizer: fo.Optimizer) -> None:
    """What was taken in is in order: it can be written, and read again."""
    assert isinstance(optimizer.t, int) and 0 <= optimizer.t < 2**53
    for group in optimizer.groups:
        assert 0 <= rate(group.lr, optimizer.t + 1) < np.inf
    text = fo.saved.checkpoint._manifest(optimizer, {}, {})
    assert "NaN" not in text


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
