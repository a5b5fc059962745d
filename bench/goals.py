"""A figure and the goal it has, as a table and as JSON."""

from dataclasses import dataclass
from pathlib import Path

from fusedoptim.cli.bench import report
from fusedoptim.cli.bench.timing import Spread


@dataclass(frozen=True)
class Figure:
    what: str
    unit: str
    measured: Spread
    goal: str = ""  # "<= 5"

    def line(self) -> list[str]:
        median, verdict = self.measured.median, ""
        if self.goal:
            relation, bound = self.goal.split()
            reached = median <= float(bound) if relation == "<=" else median >= float(bound)
            verdict = "reached" if reached else "[bold red]missed"
        return [self.what, f"{median:.3g}", self.measured.quartiles, self.unit, self.goal, verdict]


def tell(figures: list[Figure], path: Path | None, title: str | None = None) -> None:
    lines = [figure.line() for figure in figures]
    report.console(path).print(report.table(["", "median", "quartiles", "", "goal", ""], lines, title=title))
    report.write_json(path, report.machine(), figures)
