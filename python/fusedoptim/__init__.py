"""Optimizers for NumPy arrays: the whole update in one pass over memory, with the bits of a NumPy reference."""

from fusedoptim import _core, kernels, reference, schedules
from fusedoptim import isa as _isa
from fusedoptim import threads as _threads
from fusedoptim.adadelta import Adadelta
from fusedoptim.adafactor import Adafactor
from fusedoptim.adagrad import Adagrad
from fusedoptim.adam import Adam
from fusedoptim.adamax import Adamax
from fusedoptim.adamw import AdamW
from fusedoptim.ademamix import AdEMAMix
from fusedoptim.adopt import ADOPT
from fusedoptim.arena import arena
from fusedoptim.asgd import ASGD
from fusedoptim.fromage import Fromage
from fusedoptim.grams import Grams
from fusedoptim.info import info
from fusedoptim.isa import available_isas, isa, use_isa
from fusedoptim.lamb import LAMB
from fusedoptim.lars import LARS
from fusedoptim.momentum import Momentum
from fusedoptim.muon import Muon
from fusedoptim.nadam import NAdam
from fusedoptim.novograd import NovoGrad
from fusedoptim.optimizer import Optimizer
from fusedoptim.radam import RAdam
from fusedoptim.rmsprop import RMSProp
from fusedoptim.rprop import Rprop
from fusedoptim.sgd import SGD
from fusedoptim.sm3 import SM3
from fusedoptim.threads import get_num_threads, set_num_threads
from fusedoptim.window_sgd import WindowSGD

__version__ = _core.version

__all__ = [
    "ADOPT",
    "ASGD",
    "LAMB",
    "LARS",
    "SGD",
    "SM3",
    "AdEMAMix",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Fromage",
    "Grams",
    "Momentum",
    "Muon",
    "NAdam",
    "NovoGrad",
    "Optimizer",
    "RAdam",
    "RMSProp",
    "Rprop",
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
