"""Optimizers that are cut among processes, with the bits of one: :class:`Sharded`."""

from fusedoptim.distributed.sharded import Sharded as Sharded
from fusedoptim.distributed.transport import Transport as Transport

__all__ = ["Sharded", "Transport"]
