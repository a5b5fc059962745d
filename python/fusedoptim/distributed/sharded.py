"""The optimizer whose state is cut among processes."""

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Any, Generic, NoReturn

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Group
from fusedoptim.core.nest import N, Nest
from fusedoptim.core.options import options_to_dict
from fusedoptim.core.tensors import Array
from fusedoptim.distributed import checkpoint, transports
from fusedoptim.distributed.agreement import Settings, agree
from fusedoptim.distributed.arenas import Arenas, view_of_piece
from fusedoptim.distributed.chunks import ChunkOrder
from fusedoptim.distributed.layout import Piece, Whole
from fusedoptim.distributed.local_sums import LocalSums
from fusedoptim.distributed.reduction import Part, Reduction
from fusedoptim.distributed.slices import Slices, sliced
from fusedoptim.distributed.transport import Request
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule

BUCKET = 4 << 20  # bytes
LEAST_SLICE = 1 << 18  # of a bucket, so that chunks are small beside it


class Sharded(Generic[N]):
    def __init__(
        self,
        cls: type[Optimizer],
        params: Any,
        comm: Any = None,
        *,
        minibatches: int | None = None,
        timeout: float | None = None,
        bucket_bytes: int | None = None,
        **arguments: Any,
    ) -> None:
        self._transport = transport = transports.of(comm)
        self.rank, self.size = transport.rank, transport.size
        if timeout is not None:
            transport.timeout = checks.number("timeout", timeout, "positive", besides=" of seconds, or None")
        self._parts: list[Part] = []
        self._arenas: list[Arenas] = []
        self._wholes: list[Whole] = []
        self._keys: list[tuple[Any, ...]] = []
        self._frozen: set[int] = set()
        self._slices = Slices(self._exchange)
        self._is_broken, self._accumulated = False, 0
        self._local = LocalSums()
        settings, error = {}, None
        try:
            self.minibatches = self._whole_minibatches(minibatches)
            self._bucket_bytes = max(BUCKET, self.size * LEAST_SLICE)
            if bucket_bytes is not None:
                self._bucket_bytes = checks.whole("bucket_bytes", bucket_bytes)
            probe = self._probe(cls, arguments)
            self._grouped = probe._are_groups(params)
            specs = list(params) if self._grouped else [{"params": params}]
            settings = self._told(cls, specs, arguments)
        except Exception as refused:
            error = refused
        agree(transport, settings, error)
        self._rule = probe.rule
        inner = self._added(specs)
        self._inner = sliced(cls, self._slices)(inner, **arguments)
        self._arrange()

    # -- what ranks must have alike ------------------------------------------------------------------------------------

    def _whole_minibatches(self, n: int | None) -> int:
        if n is None:
            return self.size
        n = checks.whole("minibatches", n, bits=31)
        if n % self.size != 0:
            raise ValueError(
                f"minibatches must be a multiple of the {self.size} ranks, which take as many each, got {n}"
            )
        return n

    @staticmethod
    def _probe(cls: type[Optimizer], arguments: dict[str, Any]) -> Optimizer:
        """A tiny optimizer of the same class, which knows its rule, and refuses arguments."""
        if not (isinstance(cls, type) and issubclass(cls, Optimizer)):
            raise TypeError(f"cls must be a class of optimizers, as fusedoptim.AdamW, got {shown(cls)}")
        if arguments.get("accumulate", 1) != 1:
            raise ValueError("accumulate is the number of gradients of one rank; give minibatches, that of all ranks")
        return cls(np.zeros((1, 1), np.float32), **arguments)

    def _told(self, cls: type[Optimizer], specs: list[dict[str, Any]], arguments: dict[str, Any]) -> Settings:
        """What all ranks must give alike; refuses parameters that no optimizer takes."""
        told: Settings = {
            "optimizer": cls.__name__,
            "minibatches": self.minibatches,
            "bucket_bytes": self._bucket_bytes,
            "transport": type(self._transport).__name__,
        }
        told |= {name: _word(value) for name, value in arguments.items()}
        for k, spec in enumerate(specs):
            told |= {f"groups[{k}].{name}": _word(value) for name, value in spec.items() if name != "params"}
            skeleton = tree.skeleton(spec["params"], "params")
            for key, leaf in zip(tree.keys(skeleton), tree.leaves(skeleton, spec["params"], "params"), strict=True):
                path = f"params{tree.path(self._place(k, key))}"
                _core.check_weight(leaf, path.removeprefix("params"), frozen=True)
                told[path] = f"{leaf.dtype} of shape {leaf.shape}"
                told[f"first {path}"] = f"those of checksum {zlib.crc32(leaf.data):08x}"
        return told

    def _place(self, k: int, key: tuple[Any, ...]) -> tuple[Any, ...]:
        return (k, *key) if self._grouped else key

    def _settings(self, grad_scale: float, zero_grads: bool, keywords: dict[str, Any]) -> Settings:
        """Of a step: all that it depends on, as it is now."""
        inner = self._inner
        told: Settings = {
            "t": inner.t,
            "skipped": inner.skipped,
            "number of the minibatch": self._accumulated,
            "grad_scale": grad_scale,
            "zero_grads": zero_grads,
            "frozen parameters": sorted(self._frozen),
        }
        told |= keywords | options_to_dict(inner._options)
        del told["num_threads"]
        names = [*_core.rule_hypers[self._rule], "l2"]
        for k, group in enumerate(inner.groups):
            values = zip(names, group.at(inner.t + 1, keywords.get("lr")), strict=True)
            told |= {f"{name} of groups[{k}]": value for name, value in values}
        return told

    # -- parameters ----------------------------------------------------------------------------------------------------

    def _added(self, specs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Takes in groups, and returns what they are for the optimizer of this rank's pieces."""
        first, nests, wholes = len(self._groups_of_nests()), [], []
        keys: list[list[tuple[Any, ...]]] = []
        for spec in specs:
            skeleton = tree.skeleton(spec["params"], "params")
            nests.append((skeleton, tree.leaves(skeleton, spec["params"], "params")))
        return []
