"""``python -m fusedoptim bench``: each rule over growing arrays, against NumPy and the memory's limit."""

import sys
from argparse import Namespace
from contextlib import nullcontext
from itertools import groupby

import fusedoptim as fo
from fusedoptim.cli.arguments import BENCHED, LARGEST, RULES, SMALLEST
from fusedoptim.cli.bench.competitors import MismatchError
from fusedoptim.cli.bench.ladder import climb

EXPONENTS = [4, 10, 14, 18, 22, 26]


def run(args: Namespace) -> int:
    # Here, for doctor measures with this package and has to do without rich.
    from rich.console import Console
    from rich.progress import track

    from fusedoptim.cli.bench import report

    if args.plot:
        from fusedoptim.cli.bench import picture  # now: a missing package should not be told after the measurement
    if args.threads:
        fo.set_num_threads(args.threads)
    with fo.use_isa(args.isa) if args.isa else nullcontext():
        machine = report.machine()  # its load is that before the measurement
        console = Console()
        console.print("{cpu}, {isa}, {num_threads} threads, load {load:.1f}".format_map(machine), highlight=False)
        rules = args.rules or (BENCHED if args.all else RULES)
        exponents = list(range(SMALLEST, LARGEST + 1)) if args.all else EXPONENTS
        exponents = [k for k in exponents if args.min_exponent <= k <= args.max_exponent]
        climbing = climb(rules, exponents, args.repetitions)
        try:
            rungs = list(track(climbing, "", len(rules) * len(exponents), console=console, transient=True))
        except MismatchError as mismatch:
            print(mismatch, file=sys.stderr)
            return 1
    for rule, group in groupby(rungs, lambda rung: rung.rule):
        console.print(report.ladder_table(rule, group))
    report.write_json(args.json, machine, rungs)
    if args.table:
        args.table.write_text(report.markdown(rungs))
    if args.plot:
        picture.draw(rungs, args.plot)
    return 0
