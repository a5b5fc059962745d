"""Replacing a file so that, whenever the process or the machine dies, there is the old one or the new one, whole."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def replace_file(path: str | os.PathLike[str], write: Callable[[Path], None]) -> None:
    """Has a new file written, which takes the place of `path` unless that ends in an exception.

    It is in a folder of its own beside `path`, so that one removal gets rid of all that a writer leaves behind. Where `path`
    is a link, the file it leads to is replaced. The mode is that of any new file: the umask and the folder say.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # root could replace /dev/null
        raise OSError(f"{os.fspath(path)!r} is not a regular file; save to another path")
    # Named before it is made: an interrupt finds it, whenever it comes.
    scratch, process = target.parent / f".fusedoptim-{secrets.token_hex(8)}", os.getpid()
    try:
        scratch.mkdir(0o700)
        fresh = scratch / "new"
        fresh.touch()
        mode = fresh.stat().st_mode & 0o777
        write(fresh)
        fresh.chmod(mode)  # the writer may have made it anew, with another one
        with open(fresh, "rb+") as file:
            os.fsync(file.fileno())
        fresh.replace(target)
        sync_folder(target.parent)
    finally:
        try:
            remove(scratch, process)
        finally:  # the rest, where an interrupt came in the middle
            remove(scratch, process)


def remove(folder: Path, process: int) -> None:
    """Removes a folder, in the process that made it: a child that was forked meanwhile leaves it to its parent."""
    if os.getpid() == process:
        with suppress(OSError):  # shutil.rmtree is not safe where an interrupt may come
            for name in os.listdir(folder):
                os.unlink(folder / name)
            folder.rmdir()


def sync_folder(folder: Path) -> None:
    """Makes a change of names outlast a loss of power. Windows has no such call."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
