"""Draws every schedule into schedules.svg: `nox -s figures`."""

from pathlib import Path

from matplotlib import pyplot as plt

from fusedoptim import schedules
from fusedoptim.cli import style
from fusedoptim.schedules import Plateau, Schedule

STEPS = range(1, 101)

SCHEDULES: dict[str, Schedule] = {
    "constant(1)": schedules.constant(1),
    "inverse_sqrt(1, n=1)": schedules.inverse_sqrt(1, n=1),
    "exponential(1, gamma=0.96)": schedules.exponential(1, gamma=0.96),
    "step(1, n=25, gamma=0.5)": schedules.step(1, n=25, gamma=0.5),
    "linear(1, n=80)": schedules.linear(1, n=80),
    "polynomial(1, n=80, power=2)": schedules.polynomial(1, n=80, power=2),
    "cosine(1, n=80)": schedules.cosine(1, n=80),
    "restarts(1, n=15, growth=2)": schedules.restarts(1, n=15, growth=2),
    "one_cycle(1, n=100)": schedules.one_cycle(1, n=100),
    "warmup_cosine(1, n=100, warmup=10)": schedules.warmup_cosine(1, n=100, warmup=10),
    "warmup_linear(1, n=100, warmup=10)": schedules.warmup_linear(1, n=100, warmup=10),
    "warmup_inverse_sqrt(1, warmup=10)": schedules.warmup_inverse_sqrt(1, warmup=10),
    "warmup(step(1, n=40, gamma=0.5), n=10)": schedules.warmup(schedules.step(1, n=40, gamma=0.5), n=10),
    "join([1, linear(1, n=40)], [40])": schedules.join([1, schedules.linear(1, n=40)], [40]),
}


def plateau() -> list[float]:
    """The rates of a run whose metric falls for 30 steps, and no more."""
    lr, rates = Plateau(1, factor=0.5, patience=15), []
    for t in STEPS:
        lr.observe(max(60 - t, 30))
        rates.append(lr(t))
    return rates


def draw(path: Path) -> None:
    curves = {title: [schedule(t) for t in STEPS] for title, schedule in SCHEDULES.items()}
    curves["Plateau(1, factor=0.5, patience=15)"] = plateau()
    drawn = {title.partition("(")[0] for title in curves}
    assert drawn == set(schedules.__all__) - {"Schedule"}, "a schedule is missing"
    figure, axes = plt.subplots(5, 3, figsize=(9, 8.75), sharex=True, sharey=True)
    for axis, (title, rates) in zip(axes.flat, curves.items(), strict=True):
        axis.plot(STEPS, rates, color=style.BLUE)
        axis.set_title(title, family="monospace", size=8)
        axis.set(xlim=(0, 101), ylim=(-0.03, 1.08), yticks=(0, 0.5, 1))
        axis.grid()
    figure.supxlabel("t", size=9)
    figure.supylabel("lr", size=9)
    style.save(figure, path)


if __name__ == "__main__":
    draw(Path(__file__).with_name("schedules.svg"))
