"""Optimizers that are cut among processes, with the bits of one: :class:`Sharded`."""

from fusedoptim.distributed.mpi import SharedMemory
from fusedoptim.distributed.sharded import Sharded

__all__ = ["Sharded", "SharedMemory"]
