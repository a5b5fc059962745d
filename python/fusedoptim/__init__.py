"""Optimizers for NumPy arrays: the whole update in one pass over memory, with the bits of a NumPy reference."""

from fusedoptim import _core, kernels, reference, schedules
from fusedoptim import isa as _isa
from fusedoptim import threads as _threads
from fusedoptim.adabelief import AdaBelief
from fusedoptim.adadelta import Adadelta
from fusedoptim.adafactor import Adafactor
from fusedoptim.adagrad import Adagrad
from fusedoptim.adam import Adam
from fusedoptim.adamax import Adamax
from fusedoptim.adamaxw import AdamaxW
from fusedoptim.adamw import AdamW
from fusedoptim.adan import Adan
from fusedoptim.ademamix import AdEMAMix
from fusedoptim.adopt import ADOPT
from fusedoptim.amsgrad import AMSGrad
from fusedoptim.arena import arena
from fusedoptim.asgd import ASGD
from fusedoptim.fromage import Fromage
from fusedoptim.grams import Grams
from fusedoptim.info import info
from fusedoptim.isa import available_isas, isa, use_isa
from fusedoptim.lamb import LAMB
from fusedoptim.lars import LARS
from fusedoptim.lion import Lion
from fusedoptim.momentum import Momentum
from fusedoptim.muon import Muon
from fusedoptim.nadam import NAdam
from fusedoptim.nadamw import NAdamW
from fusedoptim.nesterov import Nesterov
from fusedoptim.noisy_sgd import NoisySGD
from fusedoptim.novograd import NovoGrad
from fusedoptim.optimistic_gradient_descent import OptimisticGradientDescent
from fusedoptim.optimizer import Optimizer
from fusedoptim.polyak_sgd import PolyakSGD
from fusedoptim.radam import RAdam
from fusedoptim.rmsprop import RMSProp
from fusedoptim.row_grad import RowGrad
from fusedoptim.rowwise_adagrad import RowWiseAdagrad
from fusedoptim.rowwise_adam import RowWiseAdam
from fusedoptim.rprop import Rprop
from fusedoptim.schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from fusedoptim.sgd import SGD
from fusedoptim.sign_sgd import SignSGD
from fusedoptim.signum import Signum
from fusedoptim.sm3 import SM3
from fusedoptim.sparse_adam import SparseAdam
from fusedoptim.threads import get_num_threads, set_num_threads
from fusedoptim.window_sgd import WindowSGD
from fusedoptim.yogi import Yogi

__version__ = _core.version

__all__ = [
    "ADOPT",
    "ASGD",
    "LAMB",
    "LARS",
    "SGD",
    "SM3",
    "AMSGrad",
    "AdEMAMix",
    "AdaBelief",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AdamaxW",
    "Adan",
    "Fromage",
    "Grams",
    "Lion",
    "Momentum",
    "Muon",
    "NAdam",
    "NAdamW",
    "Nesterov",
    "NoisySGD",
    "NovoGrad",
    "OptimisticGradientDescent",
    "Optimizer",
    "PolyakSGD",
    "RAdam",
    "RMSProp",
    "RowGrad",
    "RowWiseAdagrad",
    "RowWiseAdam",
    "Rprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "SignSGD",
    "Signum",
    "SparseAdam",
    "WindowSGD",
    "Yogi",
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
