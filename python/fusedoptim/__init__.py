"""Optimizers for NumPy arrays: the whole update in one pass over memory, with the bits of a NumPy reference."""

from fusedoptim import _core, kernels, reference, schedules
from fusedoptim import isa as _isa
from fusedoptim import threads as _threads
from fusedoptim.adam import Adam
from fusedoptim.adamw import AdamW
from fusedoptim.arena import arena
from fusedoptim.info import info
from fusedoptim.isa import available_isas, isa, use_isa
from fusedoptim.lamb import LAMB
from fusedoptim.momentum import Momentum
from fusedoptim.optimizer import Optimizer
from fusedoptim.rmsprop import RMSProp
from fusedoptim.row_grad import RowGrad
from fusedoptim.rowwise_adagrad import RowWiseAdagrad
from fusedoptim.rowwise_adam import RowWiseAdam
from fusedoptim.sgd import SGD
from fusedoptim.sparse_adam import SparseAdam
from fusedoptim.threads import get_num_threads, set_num_threads
from fusedoptim.window_sgd import WindowSGD

__version__ = _core.version

__all__ = [
    "LAMB",
    "SGD",
    "Adam",
    "AdamW",
    "Momentum",
    "Optimizer",
    "RMSProp",
    "RowGrad",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "SparseAdam",
    "WindowSGD",
    "arena",
    "available_isas",
    "get_num_threads",
    "info",
    "isa",
    "kernels",
    "reference",
    "schedules",
    "set_num_threads",
    "use_isa",
]

_isa.configure()
_threads.configure()
