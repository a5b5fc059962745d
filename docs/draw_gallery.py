"""Draws the claims into gallery/ and the path of each optimizer into optimizers/figures/: `nox -s figures`."""

from importlib import import_module
from pathlib import Path

from fusedoptim.cli import style
from fusedoptim.cli.gallery import CLAIMS, trajectories

DOCS = Path(__file__).parent

if __name__ == "__main__":
    for name in CLAIMS:
        claim = import_module(f"fusedoptim.cli.gallery.{name}")
        style.save(claim.draw(claim.compute()), DOCS / "gallery" / f"{name}.svg")
    for name in trajectories.RATES:
        style.save(trajectories.draw(name, trajectories.compute(name)), DOCS / "optimizers" / "figures" / f"{name}.svg")
