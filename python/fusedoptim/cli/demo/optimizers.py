"""Who trains the demo's network: eight settings that show what averaging and scaling do, or every optimizer."""

from collections.abc import Callable
from functools import partial
from typing import Any

import fusedoptim as fo

Make = Callable[[Any], fo.Optimizer]

# From the plainest. Steadier steps may be longer. RMSProp and the second Adam have epsilon inside the root.
SETTINGS: dict[str, Make] = {
    "SGD": lambda params: fo.SGD(params, lr=0.1),
    "SGD, mean of 4": lambda params: fo.SGD(params, lr=0.3, accumulate=4),
    "WindowSGD, last 8": lambda params: fo.WindowSGD(params, lr=0.1, window=8),
    "Momentum": lambda params: fo.Momentum(params, lr=0.3, beta=0.9),
    "RMSProp": lambda params: fo.RMSProp(params, lr=1e-3, eps=0, eps_root=1e-8),
    "Adam": lambda params: fo.Adam(params, lr=2e-3),
    "Adam, global decay": lambda params: fo.Adam(
        params, lr=fo.schedules.inverse_sqrt(1e-3, n=200), eps=0, eps_root=1e-8, bias_correction=False
    ),
    "AdamW": lambda params: fo.AdamW(params, lr=2e-3, weight_decay=0.1),
}

EPOCH = 44  # minibatches

# The learning rate, of 1, 0.3, 0.1, 0.03 and so on, with which each reaches a low test loss in 30 epochs.
RATE = 3e-3  # of most whose steps do not follow the size of the gradient
RATES: dict[type[fo.Optimizer], float] = {
    fo.Adadelta: 1.0,
    **dict.fromkeys((fo.LARS, fo.Momentum, fo.Nesterov, fo.ScheduleFreeSGD), 0.3),
    **dict.fromkeys((fo.ASGD, fo.OptimisticGradientDescent, fo.SGD, fo.SM3, fo.WindowSGD), 0.1),
    **dict.fromkeys((fo.Adagrad, fo.RowWiseAdagrad), 0.03),
    **dict.fromkeys((fo.Adafactor, fo.Adamax, fo.AdamaxW, fo.NovoGrad, fo.RAdam, fo.Rprop, fo.Yogi), 1e-2),
    **dict.fromkeys((fo.AdEMAMix, fo.LAMB, fo.RMSProp), 1e-3),
    **dict.fromkeys((fo.Lion, fo.SignSGD, fo.Signum), 3e-4),
}
KEYWORDS: dict[type[fo.Optimizer], dict[str, Any]] = {
    fo.Rprop: {"accumulate": EPOCH},  # it is for gradients of all data
    fo.Signum: {"beta": 0.99},  # with 0.9 averages reach subnormal numbers, whose sign the kernel takes for zero
}

# Those that cannot train a network of matrices and vectors from gradients alone beside their reference, and why.
LEFT_OUT: dict[type[fo.Optimizer], str] = {
    fo.NoisySGD: "draws noise that its reference would have to be given",
    fo.Muon: "takes matrices alone",
    fo.PolyakSGD: "wants the loss of each step",
    fo.SparseAdam: "takes rows of a table alone",
}


def every() -> dict[str, Make]:
    """Each optimizer, but those left out."""
    kinds = sorted({*fo.Optimizer.registry.values()} - {*LEFT_OUT}, key=lambda kind: kind.__name__.lower())
    return {kind.__name__: partial(kind, lr=RATES.get(kind, RATE), **KEYWORDS.get(kind, {})) for kind in kinds}
