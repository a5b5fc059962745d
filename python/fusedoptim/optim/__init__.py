"""Every optimizer, a file for each. A new one gets a line among the imports and one in the list.

Who lives here imports the layers below, ``_core``, ``numerics``, ``schedules``, ``core`` and ``saved``, and of this room
the base and what two rules share.
"""

from fusedoptim.optim.adabelief import AdaBelief
from fusedoptim.optim.adabound import AdaBound
from fusedoptim.optim.adadelta import Adadelta
from fusedoptim.optim.adafactor import Adafactor
from fusedoptim.optim.adagrad import Adagrad
from fusedoptim.optim.adam import Adam
from fusedoptim.optim.adamax import Adamax
from fusedoptim.optim.adamaxw import AdamaxW
from fusedoptim.optim.adamw import AdamW
from fusedoptim.optim.adan import Adan
from fusedoptim.optim.ademamix import AdEMAMix
from fusedoptim.optim.adopt import ADOPT
from fusedoptim.optim.amsgrad import AMSGrad
from fusedoptim.optim.asgd import ASGD
from fusedoptim.optim.fromage import Fromage
from fusedoptim.optim.grams import Grams
from fusedoptim.optim.lamb import LAMB
from fusedoptim.optim.lars import LARS
from fusedoptim.optim.lion import Lion
from fusedoptim.optim.momentum import Momentum
from fusedoptim.optim.muon import Muon
from fusedoptim.optim.nadam import NAdam
from fusedoptim.optim.nadamw import NAdamW
from fusedoptim.optim.nesterov import Nesterov
from fusedoptim.optim.noisy_sgd import NoisySGD
from fusedoptim.optim.novograd import NovoGrad
from fusedoptim.optim.optimistic_gradient_descent import OptimisticGradientDescent
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.optim.polyak_sgd import PolyakSGD
from fusedoptim.optim.radam import RAdam
from fusedoptim.optim.rmsprop import RMSProp
from fusedoptim.optim.rowwise_adagrad import RowWiseAdagrad
from fusedoptim.optim.rowwise_adam import RowWiseAdam
from fusedoptim.optim.rprop import Rprop
from fusedoptim.optim.schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from fusedoptim.optim.sgd import SGD
from fusedoptim.optim.sign_sgd import SignSGD
from fusedoptim.optim.signum import Signum
from fusedoptim.optim.sm3 import SM3
from fusedoptim.optim.sparse_adam import SparseAdam
from fusedoptim.optim.window_sgd import WindowSGD
from fusedoptim.optim.yogi import Yogi

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
    "AdaBound",
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
]
