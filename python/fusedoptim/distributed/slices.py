"""The optimizer that each rank has of its pieces: that of the whole tensors in all but their arrays."""

from collections.abc import Callable

from fusedoptim import _core
from fusedoptim.core.storage import Array
from fusedoptim.core.tensors import Tensor
from fusedoptim.distributed.layout import Piece
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.optim.stateful import Counts


class Slices:
    """Of each piece, by its number: what an error calls its tensor, and what it is of that."""

    def __init__(self, exchange: Callable[[Array], Array]) -> None:
        self.exchange = exchange
        self.pieces: list[Piece] = []
        self.paths: list[str] = []  # of the tensors


def sliced(cls: type[Optimizer], slices: Slices) -> type[Optimizer]:
    """The class of an optimizer over pieces, whose last keys are their numbers.

    Every rank has a piece of every tensor, if an empty one: so all count the same steps of the same parameters.
    """

    class Sliced(cls):  # type: ignore[misc, valid-type]
        def _filled_plan(
            self, cohorts: list[Counts], members: list[tuple[int, bool]], tensors: list[Tensor]
        ) -> _core.Plan:
            pieces = [slices.pieces[tensor.key[-1]] for tensor in tensors]
            for tensor, piece in zip(tensors, pieces, strict=True):
                tensor.path = slices.paths[piece.whole.index]
            plan: _core.Plan = super()._filled_plan(cohorts, members, tensors)
            plan.slice([(p.whole.index, p.begin, p.whole.n) for p in pieces], slices.exchange)
            return plan

        def _place(self, k: int) -> tuple[int, int]:
            piece = slices.pieces[self._tensors[k].key[-1]]
            return piece.whole.index, piece.begin

    Sliced.__name__, Sliced.__qualname__, Sliced.__module__ = cls.__name__, cls.__qualname__, cls.__module__
    return Sliced
