"""``python -m fusedoptim gallery``: what the lecture on optimization claims, as figures.

Each claim is a module with a function `compute`, which runs the optimizers, and a function `draw`, which draws what they did.
"""

from argparse import Namespace
from importlib import import_module

from fusedoptim.cli.extras import extra

CLAIMS = ["averaging", "windows", "ravine", "escaping", "plateau", "scaling", "adam_parts", "overfitting"]


def run(args: Namespace) -> int:
    with extra("demo"):
        from fusedoptim.cli import style
        from fusedoptim.cli.progress import progress

        claims = {name: import_module(f"fusedoptim.cli.gallery.{name}") for name in CLAIMS}
    args.out.mkdir(exist_ok=True)
    with progress(len(claims)) as advance:
        for name, claim in claims.items():
            style.save(claim.draw(claim.compute()), args.out / f"{name}.svg", args.out / f"{name}.png")
            advance(name)
    print(f"{len(claims)} figures, each as SVG and PNG: {args.out}")
    return 0
