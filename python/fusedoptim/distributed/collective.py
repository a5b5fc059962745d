"""What a sharded optimizer has of an optimizer: parameters, averages and files, each for all ranks to call."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, NoReturn

from fusedoptim.core.groups import Group
from fusedoptim.core.nest import N
from fusedoptim.distributed import checkpoint, collect, settings
from fusedoptim.distributed.agreement import Settings, agree
from fusedoptim.distributed.holdings import Holdings, Spec
from fusedoptim.distributed.reduction import Reduction
from fusedoptim.distributed.transport import Transport
from fusedoptim.distributed.update import Update
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Collective(Generic[N]):
    """What the class :class:`Sharded` has besides its steps."""

    rank: int
    size: int
    _transport: Transport
    _class: type[Optimizer]
    _arguments: dict[str, Any]
    _inner: Optimizer  # of this rank's pieces
    _holdings: Holdings
    _frozen: set[int]  # tensors
    _reduction: Reduction
    _update: Update
    _accumulated: int  # minibatches that are summed up towards the next update
    _is_broken: bool
    _take_in: Callable[[], None]
    _arrange: Callable[[], None]

    # -- on all ranks, or on none --------------------------------------------------------------------------------------

    def _agree(self, tell: Callable[[], Settings]) -> None:
        """Raises on all ranks where one does, or tells something else."""
        told: Settings = {}
        error: Exception | None = None
        try:
            told = tell()
        except Exception as refused:  # noqa: BLE001
            error = refused
        agree(self._transport, told, error)

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
        if self._is_broken or self._transport.is_cut_off:
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

    # -- what an optimizer has -----------------------------------------------------------------------------------------

    @property
    def params(self) -> N:
        """The weights, the same on all ranks, in the nest that was given: views of a buffer."""
        nest: N = self._holdings.params
        return nest

    @property
    def grads(self) -> N:
        """Where the gradients of this rank go, in the same nest."""
        nest: N = self._holdings.gradients
        return nest

    @property
    def groups(self) -> list[Group]:
        """The groups with their hyper-parameters, to be set alike on all ranks. Their `params` are this rank's pieces."""
        return self._inner.groups

    @property
    def t(self) -> int:
        """Number of updates done."""
        return self._inner.t

    @property
    def lr(self) -> float | Schedule:
        """The learning rate of the first group. Setting it sets that of all groups: do so on all ranks."""
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
        """Norm of the mean of all gradients at the last step, if it was asked for."""
        return self._inner.last_grad_norm

    def __repr__(self) -> str:
        mine, n = (sum(part.n for part in parts) for parts in (self._holdings.pieces, self._holdings.wholes))
        return f"rank {self.rank} of {self.size}, which owns {mine:,} of {n:,} parameters\n{self._inner!r}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a rank cannot be copied without the others; save() and load() on all of them")

    def using_ema(self) -> AbstractContextManager[None]:
        """Swaps the averaged weights into `params` for the time of a ``with`` block, on all ranks.

        Raises
        ------
        AttributeError
            without ``ema=decay``.
        """
        return self._swapped(self._inner.using_ema)

    def averaged(self) -> AbstractContextManager[None]:
        """The same with the averages of :class:`~fusedoptim.ScheduleFreeSGD` and :class:`~fusedoptim.ScheduleFreeAdamW`.

        Raises
        ------
        AttributeError
            where the optimizer is none of these.
        """
        if not hasattr(self._inner, "averaged"):
            raise AttributeError(f"{type(self._inner).__name__} has no averaged(); the schedule-free ones have")
        return self._swapped(self._inner.averaged)

    @contextmanager
    def _swapped(self, block: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
        self._refuse_amid("use averaged weights")
        with block(), self._wholly():
            self._update.spread_all()
            try:
                yield
            finally:
                self._transport.end_step()  # all have looked at weights that they share
        with self._wholly():
            self._update.spread_all()

    def freeze(self, *keys: Any) -> None:
        """Leaves parameters out of steps and messages from now on; as :meth:`fusedoptim.Optimizer.freeze`, on all ranks."""
        self._set_frozen(keys, True)

    def thaw(self, *keys: Any) -> None:
        """Takes frozen parameters in again, on all ranks."""
        self._set_frozen(keys, False)

    def _set_frozen(self, keys: tuple[Any, ...], frozen: bool) -> None:
        self._refuse_amid("freeze or thaw")
        holdings = self._holdings
        tensors = {tensor for key in keys for tensor in holdings.below(key)}
        numbers = [number for number, piece in enumerate(holdings.pieces) if piece.whole.index in tensors]
        change = self._inner.freeze if frozen else self._inner.thaw
        change(*((holdings.group_of(number), number) for number in numbers))
        self._frozen = self._frozen | tensors if frozen else self._frozen - tensors
        self._arrange()

    def add_group(self, group: Spec) -> None:
        """Adds parameters with a state of zero, which are cut among the ranks too; as :meth:`fusedoptim.Optimizer.add_group`.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            as where the optimizer is made; nothing has changed then.
        """
        self._refuse_amid("add a group")
        first = len(self.groups)
        self._agree(lambda: settings.of_groups(settings.probe(self._class, self._arguments), [group], True, first))
        with self._wholly():
            self._holdings.grouped = True
            (own,) = self._holdings.add([group])
            self._take_in()
            self._inner.add_group(own)
            self._arrange()

    # -- files ---------------------------------------------------------------------------------------------------------

    def save(
        self, path: str | os.PathLike[str], *, weights: bool = True, metadata: dict[str, Any] | None = None
    ) -> None:
        """Writes the file that the optimizer of one process would write, each rank its part of it.

        Any number of ranks loads it, and so does a plain optimizer. If a rank is killed, or the machine stops, there is the
        old file or the new one, whole.

        Parameters
        ----------
        path, weights, metadata
            As for :meth:`fusedoptim.Optimizer.save`. All ranks must see the same file system.

        Raises
        ------
        OSError, TypeError, ValueError
            on all ranks, where it has failed on one; what was there stays.
        RuntimeError
            amid an update.
        """
        self._refuse_amid("save a state")
        checkpoint.save(self, path, weights, metadata)

    def load(self, path: str | os.PathLike[str], *, hyper: str = "saved") -> dict[str, Any]:
        """Goes on where :meth:`save`, on any number of ranks, or :meth:`fusedoptim.Optimizer.save` was called.

        Each rank reads its part. After an exchange that was cut off this makes the optimizer whole again.

        Parameters
        ----------
        path, hyper
            As for :meth:`fusedoptim.Optimizer.load`.

        Returns
        -------
        dict
            The `metadata` of the file.

        Raises
        ------
        OSError, ValueError
            on all ranks, where the file does not fit or cannot be read on one; nothing has changed then.
        """
        self._transport.begin_epoch()
        self._reduction.restart()
        self._accumulated = 0
        found = checkpoint.load(self, path, hyper)
        self._is_broken = False
        with self._wholly():
            self._update.spread_all()
        return found

    def gather_state(self) -> dict[str, N] | None:
        """The whole state by name, each a nest as `params`, on rank 0; None on the others."""
        self._refuse_broken()
        return collect.state(self)
