"""Replacing a file so that, whenever the process or the machine dies, there is the old one or the new one, whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def replacement(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when the block ends, unless by an exception.

    It is in a folder of its own beside `path`, so that one removal gets rid of all that a writer leaves behind. Where `path`
    is a link, the file it leads to is replaced. The mode is that of any new file: the umask and the folder say.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():  # root could replace /dev/null
        raise OSError(f"{os.fspath(path)!r} is not a regular file; save to another path")
    with TemporaryDirectory(prefix=".fusedoptim-", dir=target.parent, ignore_cleanup_errors=True) as scratch:
        fresh = Path(scratch) / "new"
        fresh.touch()
        mode = fresh.stat().st_mode & 0o777
        yield fresh
        fresh.chmod(mode)  # the writer may have made it anew, with another one
        with open(fresh, "rb+") as file:
            os.fsync(file.fileno())
        fresh.replace(target)
        sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Makes a change of names outlast a loss of power. Windows has no such call."""
    if hasattr(os, "O_DIRECTORY"):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
