"""Optimizers of torch whose step is one pass over memory: the classes of ``torch.optim``, and those that it has not.

>>> import torch
>>> from fusedoptim.torch import AdamW
>>> model = torch.nn.Linear(2, 1)
>>> opt = AdamW(model.parameters(), lr=1e-3, clip_norm=1.0)
>>> isinstance(opt, torch.optim.AdamW)
True

Only who imports this module imports torch. ``classes.py`` has torch's classes and ``own.py`` the others; a step goes through
``optimizer.py``, what a class of torch does in Python, to ``binding.py``, the parameters that have gradients, and ``part.py``,
those of one rule; ``rules.py`` and ``numbers.py`` know what torch calls the hyper-parameters, ``states.py`` makes the states,
``memory.py`` and ``stand_in.py`` know where tensors lie.
"""

from fusedoptim.machine import layers
from fusedoptim.torch import own
from fusedoptim.torch.classes import (
    ASGD,
    SGD,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Muon,
    NAdam,
    RAdam,
    RMSprop,
    Rprop,
    SparseAdam,
)
from fusedoptim.torch.cpu_adam import CPUAdam
from fusedoptim.torch.offload import Offload

globals().update(own.CLASSES)
layers.share_openmp()  # its threads have just worked on the gradients

__all__ = [
    "ASGD",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "CPUAdam",
    "Muon",
    "NAdam",
    "Offload",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SparseAdam",
]
__all__ += list(own.CLASSES)
