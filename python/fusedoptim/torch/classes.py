"""The classes of torch.optim, stepped by this package."""

import torch.optim

from fusedoptim.torch.optimizer import Fused
from fusedoptim.torch.rules import RULES


class SGD(Fused, torch.optim.SGD):
    _rules = RULES["SGD"]


class Adam(Fused, torch.optim.Adam):
    _rules = RULES["Adam"]


class AdamW(Fused, torch.optim.AdamW):
    _rules = RULES["AdamW"]


class RMSprop(Fused, torch.optim.RMSprop):
    _rules = RULES["RMSprop"]


class Adagrad(Fused, torch.optim.Adagrad):
    _rules = RULES["Adagrad"]


class Adadelta(Fused, torch.optim.Adadelta):
    _rules = RULES["Adadelta"]


class Adamax(Fused, torch.optim.Adamax):
    _rules = RULES["Adamax"]


class NAdam(Fused, torch.optim.NAdam):
    _rules = RULES["NAdam"]


class RAdam(Fused, torch.optim.RAdam):
    _rules = RULES["RAdam"]


class ASGD(Fused, torch.optim.ASGD):
    _rules = RULES["ASGD"]


class Rprop(Fused, torch.optim.Rprop):
    _rules = RULES["Rprop"]


class Adafactor(Fused, torch.optim.Adafactor):
    _rules = RULES["Adafactor"]


class Muon(Fused, torch.optim.Muon):
    _rules = RULES["Muon"]


class SparseAdam(Fused, torch.optim.SparseAdam):
    _rules = RULES["SparseAdam"]
