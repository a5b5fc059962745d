"""What was measured, as a table and as JSON."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

import fusedoptim as fo
from fusedoptim import _core
from fusedoptim.cli import output
from fusedoptim.cli.bench.competitors import IN_PLACE, LIMIT, OURS, TEXTBOOK, WINDOW
from fusedoptim.cli.bench.ladder import Rung
from fusedoptim.core.tensors import numbers_moved

LEGEND = """\
Share of the limit: the time of a loop with the same loads and stores, and no
arithmetic, over ours. Near 1, memory is the bound and nothing is left to gain;
below it, in caches, arithmetic is. Above 1, for small arrays, is what the calls
of that loop cost, one for each pass over memory.
Times: how many times as fast as NumPy, with out= everywhere and as textbook.
"""
HEADINGS = ["\nn", "\nns/param", "\nquartiles", "\nGB/s", "share of\nthe limit", "times\nin-place", "times\ntextbook"]
SPARE = ["\nquartiles", "times\ntextbook", "\nGB/s"]  # on a narrow terminal; the first goes first


def console(json: Path | None, width: int = 120) -> Console:
    """Where tables go, beside the figures in `json`: at least so wide, also where that is a file."""
    console = Console(file=output.words(json))
    console.width = max(console.width, width)
    return console


def table(headings: Sequence[str], lines: Iterable[Sequence[str]], **options: Any) -> Table:
    """The first column says what is measured, the others are figures."""
    table = Table(box=box.SIMPLE_HEAD, **options)
    for heading in headings:
        table.add_column(heading, justify="right" if table.columns else "left", no_wrap=bool(table.columns))
    for line in lines:
        table.add_row(*line)
    return table


def ladder_table(rungs: Sequence[Rung]) -> Table:
    """The rungs of one rule."""
    lines = []
    for rung in rungs:
        ours = rung.ns_per_param[OURS]
        figures = [f"{ours.median:.3g}", ours.quartiles, f"{rung.gb_per_second:.3g}"]
        for name, digits in ((LIMIT, 2), (IN_PLACE, 1), (TEXTBOOK, 1)):
            figures.append(f"{rung.speedup[name].median:.{digits}f}" if name in rung.speedup else "")
        lines.append([f"2^{rung.n.bit_length() - 1}", *figures])
    return table(HEADINGS, lines, padding=(0, 1, 0, 0), title=f"{rungs[0].rule}, float32")


def markdown(rungs: Sequence[Rung]) -> str:
    """A table of the rules that have a limit, at the largest size."""
    largest = max(rung.n for rung in rungs)
    lines = [
        f"| rule, n = 2^{largest.bit_length() - 1} | passes | bytes a parameter | ns a parameter | share of its limit |",
        "|---|---:|---:|---:|---:|",
    ]
    for rung in rungs:
        if rung.n == largest and LIMIT in rung.speedup:
            passes, bytes_moved = len(_core.rule_passes[rung.rule]), 4 * numbers_moved(rung.rule, WINDOW)
            time, share = rung.ns_per_param[OURS].median, rung.speedup[LIMIT].median
            lines.append(f"| `{rung.rule}` | {passes} | {bytes_moved} | {time:.3g} | {share:.2f} |")
    return "\n".join(lines) + "\n"


def verdict(rungs: Sequence[Rung]) -> str:
    """What it comes to for a rule, at its largest size."""
    rung = rungs[-1]
    name, words = (IN_PLACE, "in-place") if IN_PLACE in rung.speedup else (TEXTBOOK, "textbook")
    times = f"{rung.speedup[name].median:.1f} x as fast as {words} NumPy"
    # Noise takes the share a little above 1. Far above it, for small arrays, memory is not the limit.
    of_limit = LIMIT in rung.speedup and rung.speedup[LIMIT].median < 1.1
    share = f", {rung.speedup[LIMIT].median:.2f} of the memory's limit" if of_limit else ""
    return f"{rung.rule} at 2^{rung.n.bit_length() - 1}: {times}{share}"


def write_json(path: Path | None, machine: dict[str, Any], results: Iterable[Any]) -> None:
    """Writes dataclasses, where a path was given."""
    output.write_json(path, {"machine": machine, "results": [asdict(result) for result in results]})


def machine() -> dict[str, Any]:
    """What a figure means nothing without."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "kernel": platform.release(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "huge_pages": _read("/sys/kernel/mm/transparent_hugepage/enabled"),
        "load": os.getloadavg()[0],
        **fo.info(),
    }


def _cpu() -> str:
    lines = _read("/proc/cpuinfo").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
