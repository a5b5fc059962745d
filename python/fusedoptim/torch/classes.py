"""The classes of torch.optim, stepped by this package."""

import torch.optim

from fusedoptim.torch.optimizer import Fused
from fusedoptim.torch.rules import RULES


class SGD(Fused, torch.optim.SGD):
    """:class:`torch.optim.SGD`. Sparse gradients are refused with momentum, which would move all rows ever seen."""

    _rules = RULES["SGD"]


class Adam(Fused, torch.optim.Adam):
    """:class:`torch.optim.Adam`."""

    _rules = RULES["Adam"]


class AdamW(Fused, torch.optim.AdamW):
    """:class:`torch.optim.AdamW`. A small decay is not rounded away.

    Examples
    --------
    >>> import torch
    >>> from fusedoptim.torch import AdamW
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = AdamW([w], lr=0.5, weight_decay=0.0, clip_norm=1.0)
    >>> w.grad = torch.tensor([3.0, 4.0])
    >>> opt.step()
    >>> w.detach(), opt.last_grad_norm
    (tensor([0.5000, 0.5000]), 5.0)
    """

    _rules = RULES["AdamW"]


class RMSprop(Fused, torch.optim.RMSprop):
    """:class:`torch.optim.RMSprop`."""

    _rules = RULES["RMSprop"]


class Adagrad(Fused, torch.optim.Adagrad):
    """:class:`torch.optim.Adagrad`. Takes sparse gradients without a decay."""

    _rules = RULES["Adagrad"]


class Adadelta(Fused, torch.optim.Adadelta):
    """:class:`torch.optim.Adadelta`."""

    _rules = RULES["Adadelta"]


class Adamax(Fused, torch.optim.Adamax):
    """:class:`torch.optim.Adamax`."""

    _rules = RULES["Adamax"]


class NAdam(Fused, torch.optim.NAdam):
    """:class:`torch.optim.NAdam`."""

    _rules = RULES["NAdam"]


class RAdam(Fused, torch.optim.RAdam):
    """:class:`torch.optim.RAdam`."""

    _rules = RULES["RAdam"]


class ASGD(Fused, torch.optim.ASGD):
    """:class:`torch.optim.ASGD`."""

    _rules = RULES["ASGD"]


class Rprop(Fused, torch.optim.Rprop):
    """:class:`torch.optim.Rprop`."""

    _rules = RULES["Rprop"]


class Adafactor(Fused, torch.optim.Adafactor):
    """:class:`torch.optim.Adafactor`. A weight of 16 bits is stepped as a copy in float32."""

    _rules = RULES["Adafactor"]


class Muon(Fused, torch.optim.Muon):
    """:class:`torch.optim.Muon`, whose matrix products are torch's, in bfloat16; the rest is not."""

    _rules = RULES["Muon"]


class SparseAdam(Fused, torch.optim.SparseAdam):
    """:class:`torch.optim.SparseAdam`. Its steps are counted in tensors too."""

    _rules = RULES["SparseAdam"]
