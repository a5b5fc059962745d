"""Changes that an interrupt does not leave half done."""

from collections.abc import Callable


def wholly(change: Callable[[], None]) -> None:
    """Calls `change`, and again where an exception cuts it off: the second call does what is left, or the same once more.

    An interrupt may come before the first call, and then there is none: what must be done has a ``try`` of its own around it.
    """
    try:
        change()
    except BaseException:
        change()
        raise
