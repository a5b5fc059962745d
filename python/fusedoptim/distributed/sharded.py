"""The optimizer whose state is cut among processes."""

import inspect
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, islice
from typing import Any, Generic, NoReturn

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Group
from fusedoptim.core.nest import N, Nest
from fusedoptim.core.options import options_to_dict
from fusedoptim.core.tensors import Array
from fusedoptim.distributed import checkpoint, collect, transports
from fusedoptim.distributed.agreement import Settings, agree, word
from fusedoptim.distributed.chunks import ChunkOrder
from fusedoptim.distributed.holdings import Holdings, Spec
from fusedoptim.distributed.layout import Piece
from fusedoptim.distributed.local_sums import LocalSums
from fusedoptim.distributed.reduction import Part, Reduction
from fusedoptim.distributed.slices import Slices, sliced
from fusedoptim.distributed.transport import Request
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.optim.parameters import is_group
from fusedoptim.optim.sparse_adam import SparseAdam
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
        self._transport = transports.of(comm)
        self.rank, self.size = self._transport.rank, self._transport.size
        self.minibatches, self._bucket_bytes = self.size, max(BUCKET, self.size * LEAST_SLICE)
        self._accumulated, self._is_broken = 0, False
        self._class, self._arguments = cls, arguments
        settings: Settings = {}
        error: Exception | None = None
        try:
            self._set_up(minibatches, timeout, bucket_bytes)
            probe = probed(cls, arguments)
            grouped = probe._are_groups(params)
            specs = list(params) if grouped else [{"params": params}]
            for spec in specs:  # whose hyper-parameters are refused here
                probe.add_group({**spec, "params": np.zeros((1, 1), np.float32)})
            settings = self._told(cls, specs, grouped)
        except Exception as refused:  # noqa: BLE001
            error = refused
        agree(self._transport, settings, error)
        self._holdings = Holdings(self._transport, probe.rule, self._bucket_bytes, grouped)
        self._slices = Slices(self._exchange)
        groups = self._holdings.add(specs)
        self._name_pieces()
        self._inner = sliced(cls, self._slices)(groups, **arguments)
        self._frozen: set[int] = set()
        self._local = LocalSums()
        self._arrange()

    def _set_up(self, minibatches: int | None, timeout: float | None, bucket_bytes: int | None) -> None:
        if timeout is not None:
            self._transport.timeout = checks.number("timeout", timeout, "positive", besides=" of seconds, or None")
        if bucket_bytes is not None:
            self._bucket_bytes = checks.whole("bucket_bytes", bucket_bytes)
        if minibatches is not None:
            self.minibatches = checks.whole("minibatches", minibatches, bits=31)
        if self.minibatches % self.size != 0:
            raise ValueError(f"minibatches must be a multiple of the {self.size} ranks, got {minibatches}")

    def _told(self, cls: type[Optimizer], specs: list[Spec], grouped: bool, first: int = 0) -> Settings:
        """What all ranks must give alike; refuses parameters that no optimizer takes."""
        told: Settings = {
            "optimizer": cls.__name__,
            "minibatches": self.minibatches,
            "bucket_bytes": self._bucket_bytes,
            "transport": type(self._transport).__name__,
        }
        told |= {name: word(value) for name, value in self._arguments.items() if name != "num_threads"}
        paths = []
        for k, spec in enumerate(specs, start=first):
            told |= {f"groups[{k}].{name}": word(value) for name, value in spec.items() if name != "params"}
            skeleton = tree.skeleton(spec["params"], "params")
            for key, leaf in zip(tree.keys(skeleton), tree.leaves(skeleton, spec["params"], "params"), strict=True):
                path = tree.path((k, *key) if grouped else key)
                _core.check_weight(leaf, path, frozen=True)
                paths.append(path)
                told[f"params{path}"] = f"{leaf.dtype} of shape {leaf.shape}"
                told[f"values of params{path}"] = f"those of CRC {zlib.crc32(leaf.data):08x}"
        return told | {"order of the parameters": f"that of CRC {zlib.crc32(repr(paths).encode()):08x}"}

    def _name_pieces(self) -> None:
        self._slices.pieces, self._slices.paths = self._holdings.pieces, self._holdings.paths

    def _arrange(self) -> None:
        """What depends on which parameters there are, and which of them take part."""
        holdings, inner = self._holdings, self._inner
        self._parts = [part for arenas in holdings.arenas for part in arenas.parts()]
        for part in self._parts:
            part.leave_out(self._frozen)
        self._chunks = ChunkOrder(map(self._active, map(holdings.pieces_of, range(self.size))))
        threads = inner._options.num_threads
        self._reduction = Reduction(self._transport, self._parts, self.minibatches, threads, self._close)
        numbers = {piece: number for number, piece in enumerate(holdings.pieces)}
        self._own = [[numbers[piece] for piece in self._active(part.bucket.pieces[self.rank])] for part in self._parts]
        self._rest = sorted({numbers[piece] for piece in self._active(holdings.pieces)} - set(chain(*self._own)))
        inner.bind(holdings.of_group)
        self._transport.end_step()

    def _active(self, pieces: Iterable[Piece]) -> list[Piece]:
        return [piece for piece in pieces if piece.whole.index not in self._frozen]

    def _close(self, part: Part) -> None:
        self._local.close(part, self._accumulated)

    def _exchange(self, own: Array) -> Array:
        """The sums over all chunks, from those over this rank's: called by a step in its middle."""
        return self._chunks.exchange(self._transport, own)

    # -- a step --------------------------------------------------------------------------------------------------------

    def step(
        self, grads: Nest | None = None, *, grad_scale: float = 1.0, zero_grads: bool = False, **keywords: Any
    ) -> None:
        self._agree_on_step(grads, grad_scale, zero_grads, keywords)
        said = None
        with self._wholly():
            if grads is not None:
                for own, given in zip(self._holdings.grads, self._holdings.leaves(grads, "grads"), strict=True):
                    if given is not own and given is not None:
                        np.copyto(own, given)
            if self._accumulated + 1 < self._minibatches_here:
                self._local.keep(self._parts, self._accumulated)
                self._accumulated += 1
            else:
                self._reduction.finish()
                self._accumulated = 0
                said = self._update(grad_scale, keywords)
            if zero_grads and said is None:
                for arenas in self._holdings.arenas:
                    arenas.grads.own[:] = 0
        if said is not None:
            raise FloatingPointError(said)

    def ready(self, *keys: Any) -> None:
        if self._transport.shares_weights or self._accumulated + 1 < self._minibatches_here:
            return
        with self._wholly():
            self._reduction.ready({tensor for key in keys for tensor in self._holdings.below(key)})

    @property
    def _minibatches_here(self) -> int:
        return self.minibatches // self.size

    def _agree_on_step(self, grads: Any, grad_scale: float, zero_grads: bool, keywords: dict[str, Any]) -> None:
        self._refuse_broken()
        settings: Settings = {}
        error: Exception | None = None
        try:
            checks.number("grad_scale", grad_scale, "positive", otherwise=ValueError)
            checks.flag("zero_grads", zero_grads)
            self._check_keywords(keywords)
            if grads is not None:
                self._check_grads(grads)
            settings = self._settings(grad_scale, zero_grads, keywords)
        except Exception as refused:  # noqa: BLE001
            error = refused
        begun = self._reduction.has_begun
        agree(self._transport, settings, error, has_begun=begun, finish=self._reduction.finish)

    def _settings(self, grad_scale: float, zero_grads: bool, keywords: dict[str, Any]) -> Settings:
        """All that a step depends on, as it is now."""
        inner = self._inner
        told: Settings = options_to_dict(inner._options) | keywords
        del told["num_threads"]
        told |= {
            "t": inner.t,
            "skipped": inner.skipped,
            "number of the minibatch": self._accumulated,
            "grad_scale": float(grad_scale),
            "zero_grads": zero_grads,
            "frozen parameters": sorted(self._frozen),
        }
        names = [*_core.rule_hypers[inner.rule], "l2"]
        for k, group in enumerate(inner.groups):
            values = zip(names, group.at(inner.t + 1, keywords.get("lr")), strict=True)
            told |= {f"{name} of groups[{k}]": value for name, value in values}
        return told

    def _check_keywords(self, keywords: dict[str, Any]) -> None:
        known = inspect.signature(type(self._inner).step).parameters.keys() - {"self", "grads"}
        if unknown := keywords.keys() - known:
            checks.unknown_keyword(min(unknown), "for step", sorted(known), "help(fusedoptim.distributed.Sharded.step)")
        if keywords.get("lr") is not None:
            checks.rate(self._inner.rule, keywords["lr"])

    def _check_grads(self, grads: Any) -> None:
        if self._reduction.has_begun:
            raise ValueError("after ready() the gradients are those in opt.grads; call step() without any")
        holdings = self._holdings
        for index, (own, given) in enumerate(zip(holdings.grads, holdings.leaves(grads, "grads"), strict=True)):
            if given is own or index in self._frozen:
                continue
            name = f"grads{holdings.paths[index]}"
            if not isinstance(given, np.ndarray):
                checks.not_an_array(name, given, False)
            if given.dtype != own.dtype:
                checks.other_dtype(name, given, name.replace("grads", "params", 1), own)
            if given.shape != own.shape:
                checks.other_shape(name, given, name.replace("grads", "params", 1), own, "weight")

    def _update(self, grad_scale: float, keywords: dict[str, Any]) -> str | None:
        """Steps what this rank owns, and has all ranks have all weights; returns what is to be said of gradients that are not finite."""
        skipped = self.skipped
        said: str | None = None
        spread: list[Request] = []
        try:
            if self._steps_as_it_spreads(keywords):
                spread = self._step_and_spread(grad_scale, keywords)
            else:
                self._inner.step(grad_scale=grad_scale, **keywords)
        except FloatingPointError as error:  # on all ranks, of which those that have the elements name the gradient
            words = self._transport.gather_objects(str(error))
            said = next((each for each in words if "grads" in each), words[0])
        if not spread and self.skipped == skipped:
            spread = [self._transport.spread(part.weights, part.runs) for part in self._parts]
        for request in spread:
            self._transport.wait(request)
        self._transport.end_step()
        return said

    def _steps_as_it_spreads(self, keywords: dict[str, Any]) -> bool:
        """Whether the weights of a bucket can be sent while those of the next are stepped: where no norm is asked for."""
        options, several = self._inner._options, len(self._parts) > 1 and self.size > 1
        needs_all = options.measures_norm or options.require_finite or self._inner.rule in _core.measured_rules
        return several and not (needs_all or self._transport.shares_weights or keywords.keys() - {"lr"})

    def _step_and_spread(self, grad_scale: float, keywords: dict[str, Any]) -> list[Request]:
        groups = self._holdings.of_group
        spread = []

        def update(number: int) -> None:
            piece = self._holdings.pieces[number]
            group = self._holdings.keys[piece.whole.index][0]
            self._inner.update((group, number), groups[group][number], grad_scale=grad_scale)

        with self._inner.stepping(**keywords):
            for number in self._rest:  # those that are empty, which count as well
                update(number)
            for part, own in zip(self._parts, self._own, strict=True):
                for number in own:
                    update(number)
                spread.append(self._transport.spread(part.weights, part.runs))
        return spread

    @contextmanager
    def _wholly(self) -> Iterator[None]:
        """What all ranks do, or the optimizer is of no use until it is loaded."""
        self._refuse_broken()
        try:
            yield
        except BaseException:
            self._is_broken = True
            raise

    def _refuse_broken(self) -> None:
        if self._is_broken:
            raise RuntimeError(
                "an exchange with the other ranks was cut off, so weights and states may be half those of a step; "
                "load a checkpoint on all ranks, or begin anew"
            )

    def _refuse_amid(self, what: str) -> None:
        self._refuse_broken()
        if self._accumulated > 0 or self._reduction.has_begun:
            raise RuntimeError(
                f"cannot {what} amid an update, of which {self._accumulated} minibatches are summed up; step first"
            )

    def share(self, batches: Iterable[Any]) -> Iterator[Any]:
        here, n = self._minibatches_here, self.minibatches
        begin = self.rank * here
        if hasattr(batches, "__getitem__") and hasattr(batches, "__len__"):
            for first in range(0, len(batches) - n + 1, n):
                for k in range(first + begin, first + begin + here):
                    yield batches[k]
            return
        each = iter(batches)
        while True:
            block = [batch if begin <= k < begin + here else None for k, batch in enumerate(islice(each, n))]
            if len(block) < n:
                return
            yield from block[begin : begin + here]

    # -- what an optimizer has -----------------------------------------------------------------------------------------

    @property
    def params(self) -> N:
        """The weights, the same on all ranks: views of an arena, in the nest that was given."""
        nest: N = self._holdings.nest(self._holdings.weights)
        return nest

    @property
    def grads(self) -> N:
        """Where the gradients of this rank go, in the same nest."""
        nest: N = self._holdings.nest(self._holdings.grads)
        return nest

    @property
    def groups(self) -> list[Group]:
        """The groups with their hyper-parameters, which must be set alike on all ranks; their `params` are this rank's pieces."""
        return self._inner.groups

    @property
    def t(self) -> int:
        """Number of updates done."""
        return self._inner.t

    @property
    def lr(self) -> float | Schedule:
        """The learning rate of the first group; setting it sets that of all, on this rank: set it on all."""
        return self._inner.lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        self._inner.lr = lr

    @property
    def skipped(self) -> int:
        """Number of steps not taken for a gradient that was not finite."""
        return self._inner.skipped

    @property
    def last_grad_norm(self) -> float | None:
        """Norm of the mean of all ranks' gradients at the last step, if it was asked for."""
        return self._inner.last_grad_norm

    def __repr__(self) -> str:
        mine, n = sum(piece.n for piece in self._holdings.pieces), sum(whole.n for whole in self._holdings.wholes)
        return f"rank {self.rank} of {self.size} owns {mine:,} of {n:,} parameters\n{self._inner!r}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a rank cannot be copied without the others; save() and load() on all of them")

    def using_ema(self) -> AbstractContextManager[None]:
        return self._swapped(self._inner.using_ema)

    def averaged(self) -> AbstractContextManager[None]:
        if not hasattr(self._inner, "averaged"):
            raise AttributeError(f"{type(self._inner).__name__} has no averaged(); it is of the schedule-free ones")
        return self._swapped(self._inner.averaged)

    @contextmanager
    def _swapped(self, block: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        self._refuse_amid("use averaged weights")
        try:
            with block():
                self._spread_all()
                try:
                    yield
                finally:
                    self._transport.end_step()  # all have looked at weights that they share
        finally:
            self._spread_all()

    def _spread_all(self) -> None:
        """Has all ranks have all weights, of frozen parameters too."""
        with self._wholly():
            for request in [self._transport.spread(part.weights, part.all_runs) for part in self._parts]:
                self._transport.wait(request)
            self._transport.end_step()

    def freeze(self, *keys: Any) -> None:
        self._set_frozen(keys, True)

    def thaw(self, *keys: Any) -> None:
        self._set_frozen(keys, False)

    def _set_frozen(self, keys: tuple[Any, ...], frozen: bool) -> None:
        self._refuse_amid("freeze or thaw")
        tensors = {tensor for key in keys for tensor in self._holdings.below(key)}
        numbers = [number for number, piece in enumerate(self._holdings.pieces) if piece.whole.index in tensors]
        places = [(self._holdings.keys[self._holdings.pieces[n].whole.index][0], n) for n in numbers]
        (self._inner.freeze if frozen else self._inner.thaw)(*places)
        self._frozen = self._frozen | tensors if frozen else self._frozen - tensors
        self._arrange()

    def add_group(self, group: Spec) -> None:
        self._refuse_amid("add a group")
        settings: Settings = {}
        error: Exception | None = None
        try:
            if not is_group(group):
                raise TypeError(f'a group must be a dict with the key "params", got {shown(group)}')
            probe = probed(self._class, self._arguments)
            probe.add_group({**group, "params": np.zeros((1, 1), np.float32)})
            settings = self._told(type(self._inner), [group], True, len(self.groups))
        except Exception as refused:  # noqa: BLE001
            error = refused
        agree(self._transport, settings, error)
        with self._wholly():
            self._holdings.grouped = True
            (own,) = self._holdings.add([group])
            self._name_pieces()
            self._inner.add_group(own)
            self._arrange()

    # -- files ---------------------------------------------------------------------------------------------------------

    def save(
        self, path: str | os.PathLike[str], *, weights: bool = True, metadata: dict[str, Any] | None = None
    ) -> None:
        self._refuse_amid("save a state")
        checkpoint.save(self, path, weights, metadata)

    def load(self, path: str | os.PathLike[str], *, hyper: str = "saved") -> dict[str, Any]:
        checks.one_of("hyper", hyper, ("saved", "program"))
        self._transport.epoch += 1  # what is under way of a former exchange is none of this
        self._reduction.restart()
        self._accumulated = 0
        found = checkpoint.load(self, path, hyper)
        self._is_broken = False
        self._spread_all()
        return found

    def gather_state(self) -> dict[str, N] | None:
        self._refuse_broken()
        return collect.state(self)


def probed(cls: type[Optimizer], arguments: dict[str, Any]) -> Optimizer:
    """A tiny optimizer of the class, which knows its rule, and refuses arguments."""
    if not (isinstance(cls, type) and issubclass(cls, Optimizer)):
        raise TypeError(f"cls must be a class of optimizers, as fusedoptim.AdamW, got {shown(cls)}")
    if issubclass(cls, SparseAdam):
        raise TypeError("SparseAdam takes gradients of some rows, which ranks do not exchange; take Adam")
    if arguments.get("accumulate", 1) != 1:
        raise ValueError("accumulate counts the gradients of one process; give minibatches, those of all ranks")
    return cls(np.zeros((1, 1), np.float32), **arguments)
