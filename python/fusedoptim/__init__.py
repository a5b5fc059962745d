"""Optimizers for NumPy arrays: the whole update in one pass over memory, with the bits of a NumPy reference."""

from fusedoptim import _core, kernels, reference, schedules
from fusedoptim import isa as _isa
from fusedoptim import threads as _threads
from fusedoptim.adam import Adam
from fusedoptim.adamw import AdamW
from fusedoptim.ademamix import AdEMAMix
from fusedoptim.adopt import ADOPT
from fusedoptim.arena import arena
from fusedoptim.fromage import Fromage
from fusedoptim.grams import Grams
from fusedoptim.info import info
from fusedoptim.isa import available_isas, isa, use_isa
from fusedoptim.lamb import LAMB
from fusedoptim.lars import LARS
from fusedoptim.lion import Lion
from fusedoptim.momentum import Momentum
from fusedoptim.novograd import NovoGrad
from fusedoptim.optimizer import Optimizer
from fusedoptim.rmsprop import RMSProp
from fusedoptim.schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from fusedoptim.sgd import SGD
from fusedoptim.threads import get_num_threads, set_num_threads
from fusedoptim.window_sgd import WindowSGD

__version__ = _core.version

__all__ = [
    "ADOPT",
    "LAMB",
    "LARS",
    "SGD",
    "AdEMAMix",
    "Adam",
    "AdamW",
    "Fromage",
    "Grams",
    "Lion",
    "Momentum",
    "NovoGrad",
    "Optimizer",
    "RMSProp",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
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
