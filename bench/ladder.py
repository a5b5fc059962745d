"""The long form of ``python -m fusedoptim bench``: all rules, all sizes; picture, table and JSON go to ``results/``."""

from argparse import ArgumentParser
from pathlib import Path

from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    from fusedoptim.cli import bench

RESULTS = Path(__file__).parent / "results"

if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    arguments.bench(parser)
    parser.set_defaults(
        rules=arguments.BENCHED,
        repetitions=15,
        json=RESULTS / "ladder.json",
        table=RESULTS / "ladder.md",
        plot=RESULTS / "ladder.png",
    )
    args = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    raise SystemExit(bench.run(args, range(arguments.SMALLEST, arguments.LARGEST + 1)))
