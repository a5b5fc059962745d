"""How far a command has come, told on stderr: by a bar, or where that is no terminal by a line now and then."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress

EVERY = 10.0  # seconds between two lines

Advance = Callable[[str], None]


@contextmanager
def progress(total: int) -> Iterator[Advance]:
    """Yields what to call after each of so many pieces of work, with its name."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(total)
        return
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)


def _lines(total: int) -> Advance:
    done, told = 0, time.monotonic()

    def advance(name: str) -> None:
        nonlocal done, told
        done += 1
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            print(f"{done} of {total}: {name}", file=sys.stderr, flush=True)

    return advance
