"""Where a command writes: words for people, and figures for programs."""

import json
import sys
from pathlib import Path
from typing import Any, TextIO

STDOUT = Path("-")


def words(*paths: Path | None) -> TextIO:
    """Where tables and sentences go: to stderr, where one of these has stdout to itself."""
    return sys.stderr if STDOUT in paths else sys.stdout


def write(path: Path | None, text: str) -> None:
    """Into the file, or to stdout for the path ``-``; nowhere without a path."""
    if path == STDOUT:
        sys.stdout.write(text)
    elif path:
        path.write_text(text)


def write_json(path: Path | None, data: Any) -> None:
    write(path, json.dumps(data, indent=1) + "\n")
