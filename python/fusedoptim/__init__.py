"""Optimizers for NumPy arrays: the whole update in one pass over memory, with the bits of a NumPy reference."""

from fusedoptim import _main_interpreter as _main_interpreter  # first of all

# isort: split

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fusedoptim import _core, _moved, kernels, optim, reference, schedules
from fusedoptim.core.arena import arena
from fusedoptim.core.groups import Group
from fusedoptim.core.like import like
from fusedoptim.core.options import Common
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.core.whole_step import whole_step
from fusedoptim.machine import isa as _isa
from fusedoptim.machine import layers as _layers
from fusedoptim.machine import threads as _threads
from fusedoptim.machine.info import info
from fusedoptim.machine.isa import available_isas, isa, use_isa
from fusedoptim.machine.layers import threading_layer
from fusedoptim.machine.threads import get_num_threads, set_num_threads
from fusedoptim.numerics.formats import bfloat16
from fusedoptim.optim import *

if TYPE_CHECKING:
    from fusedoptim import distributed as distributed

__version__ = _core.version

__all__ = [
    "Common",
    "Group",
    "RowGrad",
    "arena",
    "available_isas",
    "bfloat16",
    "distributed",
    "get_num_threads",
    "info",
    "isa",
    "kernels",
    "like",
    "reference",
    "schedules",
    "set_num_threads",
    "threading_layer",
    "use_isa",
    "whole_step",
]
__all__ += optim.__all__


def __getattr__(name: str) -> Any:
    """What is imported where it is first asked for."""
    if name == "distributed":
        return import_module("fusedoptim.distributed")
    raise AttributeError(f"module 'fusedoptim' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is public; the rooms are there, but not shown."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


_isa.configure()
_layers.configure()
_threads.configure()
_moved.redirect()
