import inspect
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="matplotlib is not installed")

import fusedoptim as fo
from fusedoptim.cli import style
from fusedoptim.cli.gallery import trajectories
from fusedoptim.cli.gallery.surfaces import rosenbrock, saddle

from .. import ROOT

FIGURES = ROOT / "docs" / "optimizers" / "figures"
PUBLIC = {name for name in fo.__all__ if inspect.isclass(cls := getattr(fo, name)) and issubclass(cls, fo.Optimizer)}


def test_every_public_optimizer_has_its_rates() -> None:
    assert trajectories.RATES.keys() == PUBLIC - {"Optimizer"}


@pytest.mark.skipif(not FIGURES.is_dir(), reason="the documentation is not here")
def test_every_public_optimizer_has_its_figure() -> None:
    found = {path.stem: path for path in FIGURES.glob("*.svg")}
    assert found.keys() == trajectories.RATES.keys()
    for name, path in found.items():
        root = ElementTree.parse(path).getroot()
        assert root.tag.endswith("svg")
        assert path.stat().st_size < 40 * 1024
        titles = [text for text in root.itertext() if " at lr = " in text]
        assert [float(title.partition(" at lr = ")[2]) for title in titles] == list(trajectories.RATES[name])


@pytest.mark.parametrize("name", trajectories.RATES)
def test_the_path_goes_down_and_stays_in_the_picture(name: str) -> None:
    """On the saddle below its height at the flat point; along Rosenbrock's ravine some come no farther than its floor."""
    on_ravine, on_saddle = trajectories.compute(name)
    assert (len(on_ravine), len(on_saddle)) == (trajectories.ROSENBROCK_STEPS + 1, trajectories.SADDLE_STEPS + 1)
    assert abs(on_ravine).max() < 1.9 and abs(on_saddle).max() < 2.1
    start, end = (rosenbrock(*on_ravine[i])[0] for i in (0, -1))
    assert end < 0.2 * start
    assert saddle(*on_saddle[-1])[0] < 0.2


def test_a_figure_is_drawn_the_same_again(tmp_path: Path) -> None:
    drawn = []
    for path in (tmp_path / "a.svg", tmp_path / "b.svg"):
        style.save(trajectories.draw("Adam", trajectories.compute("Adam")), path)
        drawn.append(path.read_text())
    assert drawn[0] == drawn[1]
