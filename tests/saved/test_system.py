"""Saving, whatever the system does: full disks, links, kills, interrupts and forks. The long runs are `nox -s nightly`."""

import errno
import itertools
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.saved import atomic

from ..nightly import NIGHTLY
from .hostile_files import split

KILLS = 500 if NIGHTLY else 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.safetensors"


@pytest.fixture
def umask() -> Iterator[Callable[[int], None]]:
    before = os.umask(0)
    os.umask(before)
    yield lambda mask: os.umask(mask) and None
    os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0o137])
def test_the_mode_is_that_of_a_new_file(path: Path, umask: Callable[[int], None], mask: int) -> None:
    umask(mask)
    optimizer = fo.SGD(np.ones(2))
    for _ in range(2):
        optimizer.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
        path.chmod(0o640)
    assert os.listdir(path.parent) == [path.name]


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "real", tmp_path / "link"
    link.symlink_to(real)
    optimizer = fo.SGD(np.ones(2))
    for _ in range(2):  # it leads to nothing yet
        optimizer.save(link)
        assert link.is_symlink() and real.is_file() and os.listdir(real.parent) == ["real"]
        optimizer.load(link)


def test_who_reads_the_old_file_goes_on_reading_it(path: Path) -> None:
    optimizer = fo.SGD(np.ones(2), lr=1.0)
    optimizer.save(path)
    old = path.read_bytes()
    with open(path, "rb") as reader:
        optimizer.step(np.ones(2))
        optimizer.save(path)
        assert reader.read() == old != path.read_bytes()


def test_data_are_on_disk_before_the_name_and_the_name_before_save_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = []

    def fsync(opened: int) -> None:
        log.append("folder" if stat.S_ISDIR(os.fstat(opened).st_mode) else "file")

    rename = Path.replace
    monkeypatch.setattr(atomic.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", lambda a, b: log.append("rename") or rename(a, b))
    fo.SGD(np.ones(2)).save(path)
    assert log == ["file", "rename", "folder"]


@contextmanager
def kept(path: Path) -> Iterator[None]:
    """The old file stays, and nothing else is left."""
    before = path.read_bytes()
    yield
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("what", ["fsync", "chmod", "replace"])
def test_the_disk_is_full(path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    optimizer = fo.SGD(np.ones(2), lr=1.0)
    optimizer.save(path)
    optimizer.step(np.ones(2))

    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, kept(path):
        patch.setattr(atomic.os if what == "fsync" else Path, what, fail)
        with pytest.raises(OSError, match="No space left"):
            optimizer.save(path)
    optimizer.save(path)
    optimizer.load(path)


def interrupted(call: Callable[[], None], n: int) -> bool:
    """Whether Ctrl-C came at the n-th place in it where the interpreter looks for one: as a function begins or C returns."""
    running, places = True, itertools.count(1)

    def interrupt(_: Any, event: str, __: Any) -> None:
        if running and event in ("call", "c_return") and next(places) == n:
            raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        call()
        running = False
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file that was just opened is closed
def test_an_interrupt_leaves_the_old_file_or_the_new_one_and_nothing_else(path: Path) -> None:
    optimizer, new = fo.SGD(np.ones(2), lr=1.0), []
    optimizer.save(path)
    for n in itertools.count(1):
        before = path.read_bytes()
        optimizer.step(np.ones(2))
        came = interrupted(lambda: optimizer.save(path), n)
        assert os.listdir(path.parent) == [path.name], f"at place {n}"
        new.append(path.read_bytes() != before)
        if not came:
            break
        assert new[-1] == (json.loads(split(path.read_bytes())[0]["__metadata__"]["fusedoptim"])["t"] == optimizer.t)
    assert len(new) > 100 and not new[0] and new[-2:] == [True, True]


FORKS = """
    import os, pathlib, sys, threading
    import numpy as np
    import fusedoptim as fo
    from fusedoptim.saved import atomic

    path = pathlib.Path(sys.argv[1])
    optimizer = fo.SGD(np.ones(2))
    begun, ended = threading.Event(), threading.Event()

    def write(fresh):
        fresh.write_text("new")
        begun.set()
        ended.wait()

    def fork_and_exit():
        if (child := os.fork()) == 0:
            sys.exit(0)  # as a program ends: with all that is to be done then
        os.waitpid(child, 0)

    thread = threading.Thread(target=atomic.replace_file, args=(path, write))
    thread.start()
    begun.wait()
    fork_and_exit()
    ended.set()
    thread.join()
    print(path.read_text())
    atomic.replace_file(path, lambda fresh: (fresh.write_text("newer"), fork_and_exit()))
    print(path.read_text())
"""


def test_the_exit_of_a_forked_child_leaves_the_folder_of_a_save(path: Path) -> None:
    with child(FORKS, path) as process:
        said, _ = process.communicate(timeout=60)
    assert said.split() == ["new", "newer"] and os.listdir(path.parent) == [path.name]


def child(text: str, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


TOO_LARGE = """
    import resource, sys
    import numpy as np
    import fusedoptim as fo
    optimizer = fo.Adam(np.zeros(1 << 16))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        optimizer.save(sys.argv[1])
    except OSError as error:
        print(error)
"""


def test_a_file_too_large_for_the_system(path: Path) -> None:
    fo.SGD(np.ones(2)).save(path)
    with kept(path), child(TOO_LARGE, path) as process:
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "cannot write" in said and "File too large" in said


def test_a_folder_that_nobody_may_write_to(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "run.safetensors"
    optimizer = fo.SGD(np.ones(2))
    optimizer.save(path)
    as_root = os.geteuid() == 0
    folder.chmod(0o555)
    try:
        if as_root:  # whom modes do not stop
            os.seteuid(65534)
        with pytest.raises(PermissionError):
            optimizer.save(path)
    finally:
        if as_root:
            os.seteuid(0)
        folder.chmod(0o755)
    assert os.listdir(folder) == [path.name]
    optimizer.load(path)


# Kills

SAVES = """
    import os, sys
    import numpy as np
    import fusedoptim as fo
    w, g = np.zeros(100_000), np.ones(100_000)
    optimizer = fo.Momentum(w, lr=1.0, beta=0.0)
    if os.path.exists(sys.argv[1]):
        optimizer.load(sys.argv[1])
    while True:
        optimizer.step(g)
        optimizer.save(sys.argv[1])
        print(optimizer.t, flush=True)
"""


def test_killed_while_it_saves(path: Path) -> None:
    """The file is whole each time: that of the last save that returned, or of the one after it."""
    rng = np.random.default_rng(0)
    optimizer = fo.Momentum(np.zeros(100_000), lr=1.0, beta=0.0)
    saved, littered = 0, 0
    for _ in range(KILLS):
        with child(SAVES, path) as process:
            assert process.stdout is not None
            saved = int(process.stdout.readline())
            time.sleep(rng.uniform(0, 0.03))
            process.send_signal(signal.SIGKILL)
            for line in process.stdout:
                saved = int(line) if line.endswith("\n") else saved
        optimizer.load(path)
        assert optimizer.t in (saved, saved + 1)
        assert (optimizer.params == -optimizer.t).all() and (optimizer.state["m"] == 1).all()
        litter = [entry for entry in path.parent.iterdir() if entry != path]
        assert all(entry.name.startswith(".fusedoptim-") for entry in litter)
        littered = len(litter)
    print(f"{KILLS} kills, {littered} of them with a new file begun, {saved} saves returned")
    if NIGHTLY:  # a few may all come between two saves
        assert littered > KILLS / 10, "let the kills come at other moments"


def test_memory(path: Path) -> None:
    """Loading takes that of the file; saving takes none, or before safetensors 0.8 that of the file too."""
    safetensors = pytest.importorskip("safetensors", reason="safetensors is not installed")
    copies = tuple(map(int, safetensors.__version__.split(".")[:2])) < (0, 8)
    text = """
        import resource, sys
        import numpy as np
        import fusedoptim as fo
        import safetensors.numpy
        optimizer = fo.Adam(np.ones(1 << 21))  # 16 MiB, 48 with the states
        optimizer.step(np.ones(1 << 21))
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        before = peak()
        optimizer.save(sys.argv[1])
        saved = peak()
        optimizer.load(sys.argv[1])
        print(saved - before, peak() - saved)
    """
    with child(text, path) as process:
        saving, loading = map(float, process.communicate(timeout=60)[0].split())
    assert saving < 48 * copies + 8 and loading < 1.25 * 48 + 8
