"""Draws four optimizers on their way down a bent ravine into animation.svg: `nox -s figures`.

The pictures move by CSS alone: code hosts show an SVG without its scripts. Where a reader wants less motion, the paths
are drawn to their ends.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from contourpy import contour_generator

import fusedoptim as fo

Make = Callable[[np.ndarray], fo.Optimizer]
Points = Sequence[tuple[float, float]]

START, STEPS = (-4.0, 1.25), 100
SECONDS, MOVING = 11, 0.8  # of a turn, and the share of it that is not the last picture

# Okabe and Ito's colours, which colour-blind people tell apart.
OPTIMIZERS: dict[str, tuple[str, Make]] = {
    "SGD": ("#d55e00", lambda w: fo.SGD(w, lr=0.41)),
    "Momentum": ("#e69f00", lambda w: fo.Momentum(w, lr=0.6)),
    "RMSProp": ("#009e73", lambda w: fo.RMSProp(w, lr=0.07, beta=0.9)),
    "Adam": ("var(--blue)", lambda w: fo.Adam(w, lr=0.25, betas=(0.9, 0.99))),
}

PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 372" role="img" aria-labelledby="title">
<title id="title">SGD, Momentum, RMSProp and Adam go down a bent ravine; beside it, their losses over {steps} steps</title>
<style>
svg {{ --paper: #fff; --ink: #24292f; --land: #0072b2; --blue: #0072b2 }}
@media (prefers-color-scheme: dark) {{ svg {{ --paper: #15191f; --ink: #e6e9ed; --land: #9aaabd; --blue: #56b4e9 }} }}
text {{ font: 14px system-ui, sans-serif; fill: var(--ink) }}
.axis {{ font-size: 12px; opacity: .75 }}
.land {{ fill: var(--land); fill-opacity: .055; stroke: var(--land); stroke-opacity: .25; stroke-width: .8 }}
.frame {{ fill: none; stroke: var(--ink); stroke-opacity: .16 }}
.line, .head {{ fill: none; stroke-linejoin: round; stroke-dashoffset: -999.9; animation: {seconds}s linear infinite }}
.line {{ stroke-width: 2.2; stroke-dasharray: 0 1000 1000 0 }}
.head {{ stroke-width: 10; stroke-linecap: round; stroke-dasharray: .01 2000 }}
@media (prefers-reduced-motion: reduce) {{ .line, .head {{ animation: none !important }} }}
{keyframes}
</style>
<rect width="880" height="372" rx="10" fill="var(--paper)"/>
{legend}
<clipPath id="clip"><rect x="16" y="46" width="540" height="310" rx="6"/></clipPath>
<g clip-path="url(#clip)">
{contours}
<path d="M{minimum}m-5-5 10 10m0-10-10 10" stroke="var(--ink)" stroke-width="1.5"/>
{paths}
</g>
<rect class="frame" x="16" y="46" width="540" height="310" rx="6"/>
{axes}
{losses}
</svg>
"""


def ravine(x: float, y: float) -> float:
    return 0.07 * x**2 + 2 * (y - math.cos(x) / 2) ** 2


def gradient(x: float, y: float) -> np.ndarray:
    across = 4 * (y - math.cos(x) / 2)
    return np.array([0.14 * x + across * math.sin(x) / 2, across])


def descend(make: Make) -> Points:
    """The weights before each step, and at the end."""
    w = np.array(START)
    optimizer, path = make(w), [START]
    for _ in range(STEPS):
        optimizer.step(gradient(*w.tolist()))
        path.append(tuple(w.tolist()))
    return path


def on_land(x: float, y: float) -> tuple[float, float]:
    return 16 + 540 * (x + 5.6) / 7.6, 46 + 310 * (1.95 - y) / 3.65


def on_axes(step: float, loss: float) -> tuple[float, float]:
    return 626 + 236 * step / STEPS, 58 + 264 * (1 - math.log10(loss)) / 6


def through(points: Points) -> str:
    return "M" + " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def contours() -> Iterator[str]:
    """What lies below each of some heights, one over the other: the deeper, the darker."""
    x, y = np.linspace(-5.8, 2.2, 90), np.linspace(-1.9, 2.1, 60)
    heights = contour_generator(x, y, [[ravine(a, b) for a in x.tolist()] for b in y.tolist()])
    for height in np.geomspace(0.01, 14, 13):
        lines, starts = heights.filled(-1, height)
        rings = [line[a:b] for line, at in zip(lines, starts, strict=True) for a, b in pairwise(at)]
        yield f'<path class="land" d="{"".join(through([on_land(*p) for p in ring.tolist()]) + "Z" for ring in rings)}"/>'


def moving(name: str, color: str, points: Points) -> tuple[str, str]:
    """A line that grows from point to point, with a dot at its head, and the keyframes of both."""
    lengths = np.cumsum([0, *(math.dist(a, b) for a, b in pairwise(points))])
    frames = [
        f"{100 * MOVING * step / STEPS:.1f}%{{stroke-dashoffset:{-999.9 * length / lengths[-1]:.1f}}}"
        for step, length in enumerate(lengths)
    ]
    shape = f'd="{through(points)}" pathLength="1000" stroke="{color}" style="animation-name:{name}"'
    drawn = f'<path class="line" {shape}/><path class="head" {shape}/>'
    return drawn, f"@keyframes {name}{{{''.join(frames)}}}"


def legend() -> Iterator[str]:
    yield '<text x="0" y="31">'
    for name, (color, _) in OPTIMIZERS.items():
        yield f'<tspan dx="18" fill="{color}">⬤</tspan><tspan dx="6">{name}</tspan>'
    yield "</text>"


def axes() -> Iterator[str]:
    left, right, bottom = 626, 862, 322
    for power in range(1, -6, -2):
        y = on_axes(0, 10.0**power)[1]
        yield f'<path class="frame" d="M{left} {y:.1f}H{right}"/>'
        yield f'<text class="axis" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>'
    for step in (0, STEPS // 2, STEPS):
        yield f'<text class="axis" x="{on_axes(step, 1)[0]}" y="{bottom + 17}" text-anchor="middle">{step}</text>'
    yield f'<text class="axis" x="{(left + right) / 2}" y="{bottom + 34}" text-anchor="middle">steps</text>'
    yield f'<text class="axis" x="{left}" y="31">loss</text>'


def draw(path: Path) -> None:
    runs = {name: (color, descend(make)) for name, (color, make) in OPTIMIZERS.items()}
    paths = [moving(f"p{name}", color, [on_land(*w) for w in run]) for name, (color, run) in runs.items()]
    losses = [
        moving(f"l{name}", color, [on_axes(step, max(ravine(*w), 1e-5)) for step, w in enumerate(run)])
        for name, (color, run) in runs.items()
    ]
    page = PAGE.format(
        steps=STEPS,
        seconds=SECONDS,
        keyframes="\n".join(frames for _, frames in paths + losses),
        legend="\n".join(legend()),
        contours="\n".join(contours()),
        minimum="{:.1f} {:.1f}".format(*on_land(0, 0.5)),
        paths="\n".join(drawn for drawn, _ in paths),
        axes="\n".join(axes()),
        losses="\n".join(drawn for drawn, _ in losses),
    )
    path.write_text(page)


if __name__ == "__main__":
    draw(Path(__file__).with_name("animation.svg"))
