"""The kernels: ``kernel(w, g, *state, **hyper)`` updates ``w`` and the state in place, in one pass over memory.

Stateless, for those who keep weights and state themselves. Arrays are C-contiguous float32 or float64, all alike, and are
never converted or copied: what does not fit is an error, and then nothing has changed. :mod:`fusedoptim.reference` has
the same functions in NumPy, which compute the same bits.

Every rule that can leave out rows of an embedding table has ``kernel_rows(w, rows, g_rows, *state, **hyper)`` too, for the
gradients ``g_rows`` of the rows ``rows`` alone; see :class:`fusedoptim.RowGrad`.

>>> import numpy as np
>>> w, g, m, v = np.ones(3), np.array([1.0, 0.0, -1.0]), np.zeros(3), np.zeros(3)
>>> adam(w, g, m, v, lr=0.5, eps=0.25, t=1)
>>> w
array([0.6, 1. , 1.4])
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fusedoptim import _core
from fusedoptim.optim.muon import kernel as _muon

__all__ = list(_core.rule_states) + [f"{rule}_rows" for rule in _core.rules_of_rows]

globals().update({name: getattr(_core, name) for name in __all__} | {"muon": _muon})  # with matrix products

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., None]: ...
