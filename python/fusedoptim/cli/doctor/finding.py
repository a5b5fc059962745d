"""What a check yields."""

from dataclasses import dataclass
from enum import StrEnum

REPORT = "report it with what `python -m fusedoptim info` prints"
REINSTALL = f"do not train with this build: install it again, and if that does not help {REPORT}"


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"  # right, but slow or incomplete
    FAILED = "FAILED"


@dataclass(frozen=True)
class Finding:
    verdict: Verdict
    sentence: str
    remedy: str = ""


def ok(sentence: str) -> Finding:
    return Finding(Verdict.OK, sentence)


def warning(sentence: str, remedy: str) -> Finding:
    return Finding(Verdict.WARNING, sentence, remedy)


def failed(sentence: str, remedy: str) -> Finding:
    return Finding(Verdict.FAILED, sentence, remedy)
