"""The step of what this rank owns, after which all ranks have all weights."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

from fusedoptim import _core
from fusedoptim.core.storage import Array
from fusedoptim.distributed.chunks import ChunkOrder
from fusedoptim.distributed.holdings import Holdings
from fusedoptim.distributed.layout import Piece
from fusedoptim.distributed.reduction import Part
from fusedoptim.distributed.transport import Request, Transport
from fusedoptim.optim.optimizer import Optimizer


class Update:
    """Of the pieces in some parts, but for tensors that are frozen."""

    def __init__(
        self, transport: Transport, inner: Optimizer, holdings: Holdings, parts: list[Part], frozen: set[int]
    ) -> None:
        self._transport, self._inner, self._parts = transport, inner, parts
        self._holdings, self._frozen = holdings, frozen
        active = [whole for whole in holdings.wholes if whole.index not in frozen]
        self._chunks = ChunkOrder(active, map(self._active, map(holdings.pieces_of, range(transport.size))))
        numbers = {piece: number for number, piece in enumerate(holdings.pieces)}
        self._own = [[numbers[p] for p in self._active(part.bucket.pieces[transport.rank])] for part in parts]
        self._rest = sorted({numbers[p] for p in self._active(holdings.pieces)} - set(chain(*self._own)))

    def _active(self, pieces: Iterable[Piece]) -> list[Piece]:
        return [piece for piece in pieces if piece.whole.index not in self._frozen]

    def exchange(self, own: Array) -> Array:
        """The sums over all chunks, from those over this rank's: called by a step in its middle."""
        return self._chunks.exchange(self._transport, own)

    def take(self, grad_scale: float, keywords: dict[str, Any]) -> str | None:
        """Takes the step; what is to be said of gradients that are not finite, if that is asked for."""
        skipped = self._inner.skipped
        said: str | None = None
        spread: list[Request] = []
        try:
            if self._can_be_in_parts(keywords):
                spread = self._take_in_parts(grad_scale, keywords)
            else:
                self._inner.step(self._holdings.of_group, grad_scale=grad_scale, **keywords)
        except FloatingPointError as error:  # on all ranks, of which those that have the elements name the gradient
            words = self._transport.gather_objects(str(error))
            said = next((each for each in words if each.startswith("grads")), words[0])
        if not spread and self._inner.skipped == skipped:
            spread = [self._transport.spread(part.weights, part.runs) for part in self._parts]
        for request in spread:
            self._transport.wait(request)
        self._transport.end_step()
        return said

    def _can_be_in_parts(self, keywords: dict[str, Any]) -> bool:
        """Whether the weights of a bucket can be sent while those of the next are stepped: where no norm is asked for."""
        options, transport = self._inner._options, self._transport
        needs_all = options.measures_norm or options.require_finite or self._inner.rule in _core.measured_rules
        several = len(self._parts) > 1 and transport.size > 1
        return several and not (needs_all or transport.shares_weights or keywords.keys() - {"lr"})

    def _take_in_parts(self, grad_scale: float, keywords: dict[str, Any]) -> list[Request]:
        spread = []
        with self._inner.stepping(**keywords):
            for number in self._rest:  # empty ones, which count as well
                self._step(number, grad_scale)
            for part, own in zip(self._parts, self._own, strict=True):
                for number in own:
                    self._step(number, grad_scale)
                spread.append(self._transport.spread(part.weights, part.runs))
        return spread

    def _step(self, number: int, grad_scale: float) -> None:
        group = self._holdings.group_of(number)
        self._inner.update((group, number), self._holdings.of_group[group][number], grad_scale=grad_scale)

    def spread_all(self) -> None:
        """Has all ranks have all weights, of frozen parameters too."""
        for request in [self._transport.spread(part.weights, part.all_runs) for part in self._parts]:
            self._transport.wait(request)
        self._transport.end_step()
