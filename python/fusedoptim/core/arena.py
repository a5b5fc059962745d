"""Memory laid out for streaming: one buffer for many arrays, on huge pages, each buffer skewed against the others.

A step streams through weights, gradients and states at once. On ordinary pages address translation limits it, and
buffers that begin at the same offset in a page compete for the same cache sets.
"""

import math
import mmap
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusedoptim.core import tree
from fusedoptim.core.checks import unmasked, whole

LINE = 64
SKEW = 17 * LINE  # between the buffers of one optimizer; no small multiple of it is a multiple of a page
HUGE = 1 << 21


def arena(nest: Any, *, slot: int = 0) -> Any:
    """Copies a nest of arrays into one buffer, and returns the nest of views of it.

    Parameters
    ----------
    nest : nest of arrays
    slot : int, default 0
        Where the buffer begins within a page: take 0 for the weights and 1 for their gradients. The state arrays of an
        optimizer lie in buffers like this one, in the slots from 2.

    Returns
    -------
    nest of arrays
        Writeable copies with the shapes and dtypes of `nest`, each at the start of a cache line. Any of them keeps the
        whole buffer alive.

    Notes
    -----
    For a buffer of 2 MiB or more the system is asked for transparent huge pages, which it may grant. Nothing but speed depends on it.

    What takes aligned memory as it is, as ``jax.device_put`` does, sees the steps: hand over a copy.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> params = fo.arena({"w": np.ones((2, 3)), "b": np.zeros(3)})
    >>> grads = fo.arena(params, slot=1)
    >>> params["w"].base is params["b"].base
    True
    """
    whole("slot", slot, least=0)
    skeleton = tree.skeleton(nest)
    leaves = tree.leaves(skeleton, nest, "nest")
    for key, leaf in zip(tree.keys(skeleton), leaves, strict=True):
        unmasked(f"nest{tree.path(key)}", leaf)
    arrays = list(map(np.asarray, leaves))
    views = allocate([(a.shape, a.dtype) for a in arrays], slot)
    for view, array in zip(views, arrays, strict=True):
        np.copyto(view, array)
    return tree.build(skeleton, iter(views))


def allocate(layout: list[tuple[tuple[int, ...], np.dtype[Any]]], slot: int) -> list[NDArray[Any]]:
    """Arrays of zeros of these shapes and dtypes in one buffer, each at the start of a cache line."""
    sizes = [math.prod(shape) * dtype.itemsize for shape, dtype in layout]
    starts = list(accumulate((-(-size // LINE) * LINE for size in sizes), initial=slot * SKEW))
    buffer = new_memory(starts[-1])
    return [
        buffer[start : start + size].view(dtype).reshape(shape)
        for (shape, dtype), start, size in zip(layout, starts, sizes, strict=False)
    ]


def new_memory(size: int) -> NDArray[np.uint8]:
    """Zeroed memory that begins at a page; on huge pages where it is large enough and the system has them."""
    # Private: shared memory gets no huge pages, and a forked child would write into its parent's.
    try:
        memory = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError) as error:
        raise MemoryError(f"cannot allocate {size} bytes") from error
    if size >= HUGE and hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)
