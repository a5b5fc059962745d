"""A rank dies, and the others go on: `mpiexec -n 3 --with-ft ulfm python -m mpi4py examples/mpi_recovery.py`, with Open MPI 5.

The survivors agree on a communicator without it, make a new optimizer over that, and load the last checkpoint.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

import fusedoptim as fo

steps, path = int((sys.argv[1:] or [100])[0]), Path((sys.argv[2:] or ["recovery.safetensors"])[0])
rng = np.random.default_rng(0)
x, y = rng.normal(size=(256, 8)), rng.normal(size=256)
world = comm = MPI.COMM_WORLD
comm.Set_errhandler(MPI.ERRORS_RETURN)
while True:
    opt = fo.distributed.Sharded(fo.AdamW, np.zeros(8), comm, lr=0.01)
    if path.exists():
        opt.load(path)
    try:
        while opt.t < steps:
            mine = slice(opt.rank, None, opt.size)
            opt.grads[:] = x[mine].T @ (x[mine] @ opt.params - y[mine]) / len(y[mine])
            if comm is world and opt.size > 1 and opt.rank == 1 and opt.t == steps // 2:
                os.kill(os.getpid(), signal.SIGKILL)  # the machine of this rank fails
            opt.step()
            opt.save(path)
        break
    except MPI.Exception:
        comm.Revoke()
        comm = comm.Shrink()
if opt.rank == 0:
    print(f"{opt.size} of {world.size} ranks left after {opt.t} steps", flush=True)
os._exit(0)  # MPI_Finalize would wait for the dead
