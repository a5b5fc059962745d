"""The command line: each command is a module with a function ``run(args)`` that returns the exit code."""

import argparse
from collections.abc import Sequence
from importlib import import_module

from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    with extra(args.command):
        command = import_module(f"fusedoptim.cli.{args.command}")
        return int(command.run(args))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fusedoptim", description="Optimizers for NumPy arrays.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for add_arguments in (arguments.demo, arguments.gallery, arguments.bench, arguments.doctor, arguments.info):
        about = add_arguments.__doc__
        add_arguments(commands.add_parser(add_arguments.__name__, help=about, description=about))
    return parser
