"""``python -m fusedoptim doctor``: does it work on this machine, and what to do where it does not. Plain text, NumPy alone."""

import shutil
import textwrap
from argparse import Namespace
from collections.abc import Callable
from dataclasses import asdict

from fusedoptim.cli.doctor import correctness, machine, speed
from fusedoptim.cli.doctor.finding import REPORT, Finding, Verdict, failed
from fusedoptim.cli.output import words, write_json
from fusedoptim.machine.info import info

Check = Callable[[], Finding]

CHECKS: tuple[Check, ...] = (
    correctness.instruction_sets,
    machine.number_of_threads,
    correctness.same_bits_with_threads,
    speed.gain_by_threads,
    machine.fork,
    correctness.hostile_arrays,
    correctness.checkpoint,
    speed.memory_limit,
)


def run(args: Namespace) -> int:
    found, out = [], words(args.json)
    for check in CHECKS:
        name = check.__name__.replace("_", " ")
        found.append((name, examine(check)))
        print(text(*found[-1]), file=out, flush=True)
    verdicts = [finding.verdict for _, finding in found]
    print("\n" + summary(verdicts.count(Verdict.FAILED), verdicts.count(Verdict.WARNING)), file=out)
    checks = [{"check": name, **asdict(finding)} for name, finding in found]
    write_json(args.json, {"machine": info(), "checks": checks})
    return int(Verdict.FAILED in verdicts)


def examine(check: Check) -> Finding:
    """What a check finds; one that breaks down is a finding too, and does not keep the others from looking."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001
        return failed(
            f"it broke down with {type(error).__name__}: {error}", f"run it again, and if that does not help {REPORT}"
        )


def text(name: str, finding: Finding) -> str:
    width, indent = shutil.get_terminal_size().columns, " " * 9
    lines = [f"{finding.verdict.value:<9}{name}: {finding.sentence}"]
    if finding.remedy:
        lines.append(f"{indent}what to do: {finding.remedy}")
    wrapped = (textwrap.fill(line, width, subsequent_indent=indent, break_on_hyphens=False) for line in lines)
    return "\n".join(wrapped)


def summary(n_failed: int, n_warnings: int) -> str:
    if n_failed:
        return f"Something is wrong: {n_failed} of {len(CHECKS)} checks failed."
    if n_warnings:
        return f"It works; {n_warnings} of {len(CHECKS)} checks found something that can be better."
    return "All is well."
