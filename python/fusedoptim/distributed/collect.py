"""The whole state on one rank."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fusedoptim.core.storage import bits
from fusedoptim.distributed.segments import segments, stored

if TYPE_CHECKING:
    from fusedoptim.distributed.collective import Collective


def state(opt: "Collective[Any]") -> dict[str, Any] | None:
    """A nest of arrays for each name of a state, on rank 0; None on the others. No rank but that has room for all of it."""
    nests = [kept.name for kept in opt._inner._layout]
    mine = [segment for segment in segments(opt, nests) if segment.is_own and segment.array.size]
    transport = opt._transport
    told = transport.gather_objects([(segment.name, segment.at, segment.array.nbytes) for segment in mine])
    if opt.rank > 0:
        transport.exchange([(0, segment.array.view(np.uint8)) for segment in mine], [])
        return None
    wholes = {each.name: np.zeros(each.shape, each.dtype) for each in stored(opt, nests)}
    flat = {name: bits(array).reshape(-1).view(np.uint8) for name, array in wholes.items()}
    for segment in mine:
        flat[segment.name][segment.at : segment.at + segment.array.nbytes] = segment.array.view(np.uint8)
    receives = [(rank, flat[name][at : at + nbytes]) for rank in range(1, opt.size) for name, at, nbytes in told[rank]]
    transport.exchange([], receives)
    paths = opt._holdings.paths
    return {nest: opt._holdings.nest([wholes[nest + path] for path in paths]) for nest in nests}
