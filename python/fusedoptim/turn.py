"""Who may touch an optimizer."""

import threading

from fusedoptim import errors


class Turn:
    """One call at a time: another thread's is refused rather than raced with."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            errors.busy()

    def __exit__(self, *_: object) -> None:
        self.lock.release()

    def __reduce__(self) -> tuple[type["Turn"], tuple[()]]:
        return Turn, ()  # a copy is another's
