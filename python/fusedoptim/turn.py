"""Who may touch an optimizer."""

import threading

from fusedoptim import errors


class Turn:
    """One call at a time, ``with turn():``, where another thread's is refused rather than raced with.

    The lock itself is what the ``with`` statement enters and leaves: it is compiled, so that no signal is handled between
    taking it and the block, nor on the way out. An interrupted call cannot leave it locked. (Of two threads that come in
    the same instant the second may wait instead.)
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self) -> threading.Lock:
        if self.lock.locked():
            errors.busy()
        return self.lock

    def __reduce__(self) -> tuple[type["Turn"], tuple[()]]:
        return Turn, ()  # a copy is another's
