"""``python -m fusedoptim bench``: the short form of the ladder in the checkout's folder ``bench/``."""

import sys
from argparse import Namespace
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import asdict
from itertools import groupby

import fusedoptim as fo
from fusedoptim.cli.bench.competitors import MismatchError
from fusedoptim.cli.bench.ladder import climb


def run(args: Namespace, exponents: Iterable[int] = (4, 10, 14, 18, 22, 26)) -> int:
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
        exponents = [k for k in exponents if args.min_exponent <= k <= args.max_exponent]
        total = len(args.rules) * len(exponents)
        try:
            climbing = climb(args.rules, exponents, args.repetitions)
            rungs = list(track(climbing, "", total, console=console, transient=True))
        except MismatchError as mismatch:
            print(mismatch, file=sys.stderr)
            return 1
    for rule, group in groupby(rungs, lambda rung: rung.rule):
        console.print(report.table(rule, group))
    if args.json:
        report.write_json(args.json, machine, [asdict(rung) for rung in rungs])
    if args.table:
        args.table.write_text(report.markdown(rungs))
    if args.plot:
        picture.draw(rungs, args.plot)
    return 0
