"""What a rank runs in test_mpi.py: ``mpiexec -n 2 python -m mpi4py -m tests.distributed.program <name> <arguments>``."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

import fusedoptim as fo
from fusedoptim.core import tree
from fusedoptim.distributed import Sharded, SharedMemory

from ..nests import arrays, bits
from .ranks import BUCKET, assert_same, gradient, some_matrices, some_params, stepped, stepped_alone, train

comm: Any = MPI.COMM_WORLD
START = time.monotonic()


def say(**what: Any) -> None:
    """A line for the test."""
    text = json.dumps({"rank": comm.rank, "after": time.monotonic() - START} | what)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def transport_of(name: str) -> Any:
    if name == "messages":
        return comm
    if name == "shared memory":
        return SharedMemory(comm)
    import torch.distributed as dist

    address = f"file://{os.environ['MEETING']}"
    if not dist.is_initialized():
        dist.init_process_group("gloo", init_method=address, rank=comm.rank, world_size=comm.size)
    return dist.group.WORLD


def bits_of_one_process(transport: str, path: str) -> None:
    """Of a rule of each kind, with files."""
    kinds: list[tuple[Any, dict[str, Any], int]] = [
        (fo.AdamW, {"clip_norm": 1.0, "ema": 0.9}, 1),
        (fo.Adam, {}, 4),
        (fo.LAMB, {"clip_norm": 1.0}, 2),
        (fo.RowWiseAdam, {}, 1),
        (fo.NoisySGD, {"seed": 3}, 1),
        (fo.Adafactor, {"clip_norm": 1.0}, 1),
        (fo.Muon, {}, 1),
    ]
    for make, keywords, each in kinds:
        params, minibatches = some_matrices() if make is fo.Muon else some_params(), each * comm.size
        plain = stepped_alone(make, params, minibatches, comm.size, **keywords)
        optimizer = stepped(transport_of(transport), make, params, minibatches, **keywords, timeout=60)
        assert_same(optimizer, plain)
        optimizer.save(path)
        again = Sharded(
            make,
            tree.map_leaves(np.zeros_like, params),
            transport_of(transport),
            minibatches=minibatches,
            bucket_bytes=BUCKET,
            timeout=60,
            **keywords,
        )
        again.load(path)
        plain.last_grad_norm = None
        assert_same(again, plain)
        again.freeze(next(iter(params)))
        plain.freeze(next(iter(params)))
        train(again, params, 1, 3)
        alone = make(tree.map_leaves(np.copy, params), **keywords)
        alone.load(path)
    say(done=True)


def ready_one_by_one(transport: str) -> None:
    optimizer = Sharded(fo.AdamW, some_params(), transport_of(transport), bucket_bytes=BUCKET, timeout=60)
    wanted = stepped(transport_of(transport), fo.AdamW, some_params(), timeout=60)
    for step in range(3):
        given = gradient(some_params(), comm.rank, step)
        for name in reversed(given):
            for own, g in zip(arrays(optimizer.grads[name]), arrays(given[name]), strict=True):
                np.copyto(own, g)
            optimizer.ready(name)
        optimizer.step()
    assert bits(optimizer.params) == bits(wanted.params)
    say(done=True)


def narrow_wire(transport: str) -> None:
    """Two ranks: the sum of two rounded gradients, whoever makes it."""
    optimizer = stepped(transport_of(transport), fo.SGD, some_params(), steps=1, timeout=60, wire="bfloat16")
    plain = stepped(transport_of(transport), fo.SGD, some_params(), steps=1, timeout=60)
    near = all(
        np.allclose(a, b, rtol=1e-2, atol=1e-1)
        for a, b in zip(*map(arrays, (optimizer.params, plain.params)), strict=True)
    )
    say(
        near=near,
        same=bits(optimizer.params) == bits(plain.params),
        alike=len(set(map(tuple, comm.allgather(bits(optimizer.params))))),
    )


def failure(what: str, timeout: str) -> None:
    """One of the ranks fails at its third step."""
    optimizer = Sharded(fo.AdamW, some_params(), comm, clip_norm=1.0, timeout=float(timeout) or None)
    for step in range(5):
        grads = gradient(some_params(), comm.rank, step)
        if step == 2 and comm.rank == 1:
            if what == "raises":
                raise ZeroDivisionError("a bug of the program on one rank")
            if what == "exits":
                sys.exit(0)
            if what == "sleeps":
                time.sleep(60)
            if what in ("stops", "is killed"):
                os.kill(os.getpid(), signal.SIGSTOP if what == "stops" else signal.SIGKILL)
            if what == "has a wrong shape":
                grads["w"] = grads["w"][:-1]
        try:
            optimizer.step(grads)
        except (ValueError, RuntimeError, TimeoutError) as error:
            say(step=step, kind=type(error).__name__, words=str(error))
            if isinstance(error, TimeoutError):
                raise
    say(t=optimizer.t)


def saves(path: str, steps: str) -> None:
    """Goes on from the file, which it saves after each step."""
    optimizer = Sharded(fo.AdamW, some_params(), comm, minibatches=8, bucket_bytes=BUCKET)
    if Path(path).exists():
        optimizer.load(path)
    say(pid=os.getpid(), t=optimizer.t)
    for step in range(optimizer.t, optimizer.t + int(steps)):
        train(optimizer, some_params(), 1, step)
        optimizer.save(path)
    say(done=True, t=optimizer.t)


def threads_of_each() -> None:
    say(threads=fo.get_num_threads(), by=fo.info()["threads_set_by"], ranks=fo.info()["ranks"])


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    globals()[name](*arguments)
