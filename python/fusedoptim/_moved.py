"""Import paths of earlier versions: they go on working, with a warning that names the new one."""

import sys
import warnings
from types import ModuleType
from typing import Any

from fusedoptim.core.groups import Group
from fusedoptim.core.options import Common

MOVED: dict[str, type] = {"fusedoptim.options.Common": Common, "fusedoptim.group.Group": Group}


class Moved(ModuleType):
    """A module that is no more, and has the names that have moved to the package."""

    def __getattr__(self, name: str) -> Any:
        old = f"{self.__name__}.{name}"
        if old not in MOVED:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        warnings.warn(f"{old} has moved to fusedoptim.{name}", DeprecationWarning, stacklevel=2)
        return MOVED[old]


def redirect() -> None:
    for old in MOVED:
        path, _, _ = old.rpartition(".")
        package, _, module = path.rpartition(".")
        sys.modules[path] = Moved(path)
        setattr(sys.modules[package], module, sys.modules[path])
