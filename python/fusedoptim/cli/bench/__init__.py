"""``python -m fusedoptim bench``: each rule over growing arrays, against NumPy and the memory's limit."""

import sys
from argparse import Namespace
from contextlib import nullcontext
from itertools import groupby

import fusedoptim as fo
from fusedoptim.cli.arguments import BENCHED, RULES
from fusedoptim.cli.bench.competitors import MismatchError
from fusedoptim.cli.bench.ladder import climb
from fusedoptim.cli.output import words

EXPONENTS = (10, 14, 18, 22)  # between the ends, unless every size is asked for


def run(args: Namespace) -> int:
    if args.max_exponent < args.min_exponent:
        args.refuse(f"--max-exponent must be at least --min-exponent {args.min_exponent}, got {args.max_exponent}")
    written = [path.resolve() for path in (args.json, args.table, args.plot) if path]
    if len({*written}) < len(written):
        args.refuse("--json, --table and --plot must differ: each writes a file of its own")
    # Here, for doctor measures with this package and has to do without rich.
    from rich.console import Console

    from fusedoptim.cli.bench import report
    from fusedoptim.cli.narrow import narrow
    from fusedoptim.cli.progress import progress

    if args.plot:
        from fusedoptim.cli.bench import picture  # now: a missing package should not be told after the measurement
    if args.threads:
        fo.set_num_threads(args.threads)
    rules = args.rules or (BENCHED if args.all else RULES)
    sizes = exponents(args.min_exponent, args.max_exponent, args.all)
    console, rungs = Console(file=words(args.json)), []
    with fo.use_isa(args.isa) if args.isa else nullcontext():
        machine = report.machine()  # its load is that before the measurement
        console.print("{cpu}, {isa}, {num_threads} threads, load {load:.1f}".format_map(machine), highlight=False)
        try:
            with progress(len(rules) * len(sizes)) as advance:
                for rung in climb(rules, sizes, args.repetitions):
                    rungs.append(rung)
                    advance(f"{rung.rule}, n = {rung.n:,}")
        except MismatchError as mismatch:
            print(mismatch, file=sys.stderr)
            return 1
    ladders = [list(group) for _, group in groupby(rungs, lambda rung: rung.rule)]
    console.print(*(narrow(report.ladder_table(ladder), console, report.SPARE) for ladder in ladders))
    console.print(report.LEGEND, *map(report.verdict, ladders), sep="\n", highlight=False)
    report.write_json(args.json, machine, rungs)
    if args.table:
        args.table.write_text(report.markdown(rungs))
    if args.plot:
        picture.draw(rungs, args.plot)
    return 0


def exponents(low: int, high: int, every: bool) -> list[int]:
    """Of the sizes that are measured: the ends of the range, and all or a few between."""
    return list(range(low, high + 1)) if every else sorted({low, high, *(k for k in EXPONENTS if low < k < high)})
