"""Optional packages: one that is missing is a line that says what to do, not a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Code that needs the packages of the extra `name`."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "fusedoptim"):
            raise
        raise SystemExit(f"{package} is not installed; run: pip install 'fusedoptim[{name}]'") from None
