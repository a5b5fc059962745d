"""The type of a nest of arrays, for type checkers: an optimizer's class is generic in that of its parameters.

Without a type in brackets, ``fusedoptim.Adam`` is one of any nest.
"""

from typing import TYPE_CHECKING, Any

from fusedoptim.core.storage import Array
from fusedoptim.core.tree import Dataclass

Nest = Array | dict[Any, Any] | list[Any] | tuple[Any, ...] | Dataclass

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # known to every type checker, installed or not; it takes a default

    N = TypeVar("N", bound=Nest, default=Any)
else:
    from typing import TypeVar

    N = TypeVar("N")
