"""The optimizer whose state is cut among processes."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from fusedoptim.core import checks
from fusedoptim.core.nest import N, Nest
from fusedoptim.distributed import settings, transports
from fusedoptim.distributed.agreement import Settings, agree
from fusedoptim.distributed.collective import Collective
from fusedoptim.distributed.holdings import Holdings, Spec
from fusedoptim.distributed.local_sums import LocalSums
from fusedoptim.distributed.reduction import Part, Reduction
from fusedoptim.distributed.slices import Slices, sliced
from fusedoptim.distributed.update import Update
from fusedoptim.optim.optimizer import Optimizer

BUCKET = 4 << 20  # bytes
LEAST_SLICE = 1 << 18  # of a bucket, so that chunks are small beside it


class Sharded(Collective[N]):
    r"""Any optimizer, whose state is cut among the processes of a parallel job: ZeRO-1, with the bits of one process.

    Each of P ranks has the weights and computes gradients :math:`g_k` of minibatches of its own. An update takes the mean of
    all N of them, summed in a balanced tree:

    .. math::

        g = \frac{1}{N}\, \big( ((g_0 + g_1) + (g_2 + g_3)) + \dots \big)

    A rank sums, and keeps the state of, 1/P of the parameters, steps these, and sends the weights to the others. It is
    collective: all ranks make it, and call its methods, alike.

    Parameters
    ----------
    cls : class
        The optimizer, as :class:`~fusedoptim.AdamW`; not :class:`~fusedoptim.SparseAdam`.
    params : nest of arrays, or list of groups
        With the same values on all ranks. They are copied: use `params` of this from then on.
    comm : communicator, optional
        ``MPI.COMM_WORLD`` of mpi4py, or a part of it; :class:`SharedMemory` of one whose ranks are on one machine; a process
        group of torch.distributed with gloo. None is one rank, for a program that no launcher has started.
    minibatches : int, optional
        Number N of gradients in the mean of an update, over all ranks, a multiple of their number P, which is the default. A
        rank calls :meth:`step` with N / P of them for each update.
    timeout : float, optional
        Seconds that a rank waits for the others before it raises a :class:`TimeoutError`; by default for ever.
    bucket_bytes : int, optional
        Gradients that are sent at once, 4 MiB or 256 KiB for each rank if that is more. No bit depends on it.
    wire : {"float32", "bfloat16"}, default "float32"
        What gradients in float32 are sent as. In half the bytes each rank's is rounded before it is summed, in float32, so
        that the bits are no longer those of another number of ranks. Not for :class:`SharedMemory`.
    **arguments
        Those of the class, but `accumulate`.

    Attributes
    ----------
    params, grads : nest of arrays
        Views of two buffers: the weights, and where to write the gradients.
    rank, size, minibatches : int
        The number of this rank, that of all, and N.

    Raises
    ------
    TypeError, ValueError
        where an argument is refused on this rank; where it differs between the ranks, on all of them.
    RuntimeError
        where another rank has refused its arguments.
    TimeoutError
        where the others do not come.

    Notes
    -----
    Start the program with ``mpiexec -n 4 python -m mpi4py program.py``: without ``-m mpi4py``, an exception on one rank
    leaves the others waiting for ever.

    Norms, for clipping or of a tensor as of :class:`~fusedoptim.LAMB`, are those of one process, to the bit. Where N / P is a power
    of two, so is everything else, whatever P is.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> opt = fo.distributed.Sharded(fo.AdamW, {"w": np.ones(3)}, lr=0.5)  # with MPI.COMM_WORLD: on all ranks
    >>> opt.grads["w"][:] = [1.0, 2.0, 3.0]
    >>> opt.step(zero_grads=True)
    >>> opt.params["w"].round(3), opt.grads["w"]
    (array([0.495, 0.495, 0.495]), array([0., 0., 0.]))

    References
    ----------
    Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", SC20, arXiv:1910.02054.
    """

    rank: int
    size: int
    minibatches: int

    def __init__(
        self,
        cls: type[Optimizer],
        params: Any,
        comm: Any = None,
        *,
        minibatches: int | None = None,
        timeout: float | None = None,
        bucket_bytes: int | None = None,
        wire: str = "float32",
        **arguments: Any,
    ) -> None:
        self._transport = transport = transports.of(comm)
        self.rank, self.size = transport.rank, transport.size
        self.minibatches, self._bucket_bytes = self.size, max(BUCKET, self.size * LEAST_SLICE)
        self._class, self._arguments = cls, arguments

        def tell() -> Settings:
            self._set_up(minibatches, timeout, bucket_bytes, wire)
            tiny = settings.probe(cls, arguments)
            self._grouped = tiny._are_groups(params)
            self._rule = tiny.rule
            own = {"optimizer": cls.__name__, "minibatches": self.minibatches, "bucket_bytes": self._bucket_bytes}
            own |= {"wire": wire, "transport": type(transport).__name__} | settings.of_arguments(arguments)
            return own | settings.of_groups(tiny, specs(), self._grouped)

        def specs() -> list[Spec]:
            return list(params) if self._grouped else [{"params": params}]

        self._agree(tell)
        self._accumulated, self._is_broken = 0, False
        self._frozen: set[int] = set()
        self._local = LocalSums()
        self._holdings = Holdings(transport, self._rule, self._bucket_bytes, self._grouped)
        self._slices = Slices(lambda own: self._update.exchange(own))
        groups = self._holdings.add(specs())
        self._take_in()
        self._inner = sliced(cls, self._slices)(groups, **arguments)
        self._arrange()

    def _set_up(self, minibatches: int | None, timeout: float | None, bucket_bytes: int | None, wire: str) -> None:
        self._is_narrow = checks.one_of("wire", wire, ("float32", "bfloat16")) == "bfloat16"
        if self._is_narrow and self._transport.shares_weights:
            raise ValueError('wire="bfloat16" is of messages, and SharedMemory sends none; leave it out')
        if timeout is not None:
            self._transport.timeout = checks.number("timeout", timeout, "positive", besides=" of seconds, or None")
        if bucket_bytes is not None:
            self._bucket_bytes = checks.whole("bucket_bytes", bucket_bytes)
        if minibatches is not None:
            self.minibatches = checks.whole("minibatches", minibatches, bits=31)
        if self.minibatches % self.size != 0:
            raise ValueError(f"minibatches must be a multiple of the {self.size} ranks, got {minibatches}")

    def _take_in(self) -> None:
        """Tells the optimizer of the pieces what they are of."""
        self._slices.pieces, self._slices.paths = self._holdings.pieces, self._holdings.paths

    def _arrange(self) -> None:
        """What depends on which parameters there are, and which of them take part."""
        holdings, transport = self._holdings, self._transport
        self._parts = [part for arenas in holdings.arenas for part in arenas.parts()]
        for part in self._parts:
            part.leave_out(self._frozen)
        threads = self._inner._options.num_threads
        self._reduction = Reduction(transport, self._parts, self.minibatches, threads, self._close, self._is_narrow)
        self._update = Update(transport, self._inner, holdings, self._parts, self._frozen)
        transport.end_step()

    def _close(self, part: Part) -> None:
        self._local.close(part, self._accumulated)

    # -- a step --------------------------------------------------------------------------------------------------------

    def step(
        self, grads: Nest | None = None, *, grad_scale: float = 1.0, zero_grads: bool = False, **keywords: Any
    ) -> None:
        """Takes in the gradients of a minibatch of this rank; the last of an update reduces, steps and gathers.

        Parameters
        ----------
        grads : nest as `params`, optional
            Copied into `grads`; by default they are there. What an update leaves there is not defined, unless `zero_grads`.
        grad_scale, zero_grads
            As for :meth:`fusedoptim.Optimizer.step`.
        **keywords
            What that of the class takes besides, as `lr`. The `value` of :class:`~fusedoptim.PolyakSGD` is the mean loss of
            all ranks.

        Raises
        ------
        TypeError, ValueError
            where a gradient is refused, on this rank; where the ranks are at different steps, or with different settings, on
            all of them. Nothing has changed then, and all can go on.
        RuntimeError
            where another rank has refused its gradients: the same holds; where an exchange was cut off before.
        FloatingPointError
            where a gradient of any rank is not finite and ``nonfinite="raise"``.
        TimeoutError
            where another rank does not come in time. Then :meth:`load`, on all ranks, or end.
        """
        self._agree_on_step(grads, grad_scale, zero_grads, keywords)
        said = None
        with self._wholly():
            self._copy(grads)
            if self._accumulated + 1 < self._minibatches_here:
                self._local.keep(self._parts, self._accumulated)
                self._accumulated += 1
            else:
                self._reduction.finish()
                self._accumulated = 0
                said = self._update.take(grad_scale, keywords)
            if zero_grads and said is None:
                for arenas in self._holdings.arenas:
                    arenas.grads.own[:] = 0
        if said is not None:
            raise FloatingPointError(said)

    def ready(self, *keys: Any) -> None:
        """Begins to send gradients that are in `grads`, while back-propagation goes on to others.

        A bucket goes when all of its gradients are ready, and those after it have gone. :meth:`step`, without gradients, sends
        the rest.

        Parameters
        ----------
        *keys
            Places in the nest, as for :meth:`fusedoptim.Optimizer.freeze`. Their gradients must not change until the step.
        """
        if self._transport.shares_weights or self._accumulated + 1 < self._minibatches_here:
            return
        tensors = {tensor for key in keys for tensor in self._holdings.below(key)}
        with self._wholly():
            self._reduction.ready(tensors)

    @property
    def _minibatches_here(self) -> int:
        return self.minibatches // self.size

    def _agree_on_step(self, grads: Any, grad_scale: float, zero_grads: bool, keywords: dict[str, Any]) -> None:
        self._refuse_broken()
        told: Settings = {}
        error: Exception | None = None
        reduction = self._reduction
        try:
            settings.check_keywords(self._inner, keywords)
            if grads is not None:
                settings.check_grads(self._holdings, self._frozen, grads)
                if reduction.has_begun:
                    raise ValueError("after ready() the gradients are those in opt.grads; call step() without any")
            told = settings.of_step(self._inner, self._accumulated, self._frozen, grad_scale, zero_grads, keywords)
        except Exception as refused:  # noqa: BLE001
            error = refused
        agree(self._transport, told, error, has_begun=reduction.has_begun, finish=reduction.finish)

    def _copy(self, grads: Any) -> None:
        if grads is None:
            return
        for index, (own, given) in enumerate(
            zip(self._holdings.grads, self._holdings.leaves(grads, "grads"), strict=True)
        ):
            if given is not own and index not in self._frozen:
                np.copyto(own, given)

    def share(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Those of all minibatches that this rank takes: of every N a block of N / P, so that the sum is the same tree.

        Parameters
        ----------
        batches : iterable
            The same on all ranks. A sequence is asked for this rank's alone. At the end, what is no whole
            update is left out.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> opt = fo.distributed.Sharded(fo.SGD, np.ones(1), minibatches=2)
        >>> list(opt.share(["a", "b", "c", "d", "e"]))  # the only rank
        ['a', 'b', 'c', 'd']
        """
        here, n = self._minibatches_here, self.minibatches
        own = range(self.rank * here, (self.rank + 1) * here)
        if isinstance(batches, Sequence):
            yield from (batches[first + k] for first in range(0, len(batches) - n + 1, n) for k in own)
            return
        each = iter(batches)
        while True:
            block = [batch if k in own else None for k, batch in enumerate(islice(each, n))]
            if len(block) < n:
                return
            yield from block[own.start : own.stop]
