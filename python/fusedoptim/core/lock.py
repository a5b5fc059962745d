"""One call at a time on an optimizer, and changes that an interrupt does not leave half done."""

import threading
from collections.abc import Callable

from fusedoptim.core import checks


class Turn:
    """One call at a time, ``with turn():``, where another thread's is refused rather than raced with.

    The lock itself is what the ``with`` statement enters and leaves: it is compiled, so that no signal is handled between
    taking it and the block, nor on the way out. An interrupted call cannot leave it locked. (Of two threads that come in
    the same instant the second may wait instead.)

    Such a block has no loop, of its own or in a comprehension, of which a round ends by a condition: where Python 3.12 and
    later jump back to the head of the loop, a signal is handled, and an exception then skips the exit.
    """

    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()

    def __call__(self) -> threading.Lock:
        if self.lock.locked():
            checks.busy()
        return self.lock

    def __reduce__(self) -> tuple[type["Turn"], tuple[()]]:
        return Turn, ()  # the copy of an optimizer gets a lock of its own


def wholly(change: Callable[[], None]) -> None:
    """Calls `change`, and again where an exception cuts it off: the second call does what is left, or the same once more.

    An interrupt may come before the first call, and then there is none: what must be done has a ``try`` of its own around it.
    """
    try:
        change()
    except BaseException:
        change()
        raise
