"""Which transport a communicator means."""

import sys
from typing import Any

from fusedoptim.distributed.transport import Alone, Transport
from fusedoptim.numerics.numbers import shown


def of(comm: Any) -> Transport:
    """That of a communicator of mpi4py, of a process group of torch, or a transport itself; None is one rank."""
    if comm is None:
        return Alone()
    if isinstance(comm, Transport):
        return comm
    if hasattr(comm, "Isend"):
        from fusedoptim.distributed.mpi import Messages

        return Messages(comm)
    if (dist := sys.modules.get("torch.distributed")) and isinstance(comm, dist.ProcessGroup):
        from fusedoptim.distributed.gloo import Gloo

        return Gloo(comm)
    raise TypeError(
        "comm must be a communicator of mpi4py, as MPI.COMM_WORLD, a process group of torch, as "
        f"torch.distributed.group.WORLD, a fusedoptim.distributed.SharedMemory or None, got {shown(comm)}"
    )
