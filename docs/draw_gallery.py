"""Draws the path of each optimizer into optimizers/figures: `nox -s figures`."""

from pathlib import Path

from fusedoptim.cli import style
from fusedoptim.cli.gallery import trajectories

DOCS = Path(__file__).parent

if __name__ == "__main__":
    for name in trajectories.RATES:
        style.save(trajectories.draw(name, trajectories.compute(name)), DOCS / "optimizers" / "figures" / f"{name}.svg")
