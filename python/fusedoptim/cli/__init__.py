"""The command line: each command is a module with a function ``run(args)`` that returns the exit code."""

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module

from fusedoptim import _core
from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

# Each has the name of its module, and says what the command takes.
COMMANDS = (
    arguments.demo,
    arguments.gallery,
    arguments.bench,
    arguments.doctor,
    arguments.info,
)
INTERRUPTED, CLOSED_PIPE = 130, 141  # as shells have it: 128 + SIGINT, 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    try:
        with extra(args.command):
            command = import_module(f"fusedoptim.cli.{args.command}")
            status = int(command.run(args))
            sys.stdout.flush()  # here, that what goes wrong is told below
            return status
    except KeyboardInterrupt:
        print(f"{args.command} was interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python still writes at its end
        return CLOSED_PIPE
    except OSError as error:
        print(f"{args.command}: {error}", file=sys.stderr)
        return 1


def parser() -> ArgumentParser:
    parser = ArgumentParser(prog="fusedoptim", description="Optimizers for NumPy arrays.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {_core.version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for add_arguments in COMMANDS:
        about = add_arguments.__doc__
        command = commands.add_parser(add_arguments.__name__, help=about, description=about)
        command.set_defaults(refuse=command.error)
        add_arguments(command)
    return parser
