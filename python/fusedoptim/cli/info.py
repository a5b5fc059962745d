"""``python -m fusedoptim info``: a table, or plain lines where rich is absent."""

from argparse import Namespace
from typing import Any

from fusedoptim import Optimizer, _core
from fusedoptim.cli.output import STDOUT, write_json
from fusedoptim.machine.info import info


def run(args: Namespace) -> int:
    found = _rules() if args.rules else info()
    write_json(args.json, found)
    if args.json != STDOUT:
        _print({name: _text(value) for name, value in found.items()})
    return 0


def _rules() -> dict[str, str]:
    return {rule: Optimizer.registry[rule].__name__ for rule in _core.rule_states}


def _print(facts: dict[str, str]) -> None:
    try:
        _print_table(facts)
    except ModuleNotFoundError:
        for name, text in facts.items():
            print(f"{name:<20}{text}")


def _print_table(facts: dict[str, str]) -> None:
    import rich
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    for name, text in facts.items():
        table.add_row(name, text)
    rich.print(table)


def _text(value: Any) -> str:
    match value:
        case None:
            return "not set"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{name}: {_text(item)}" for name, item in value.items())
        case tuple() | list():
            return ", ".join(map(_text, value)) or "none"
        case _:
            return str(value)
