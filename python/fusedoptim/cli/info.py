"""``python -m fusedoptim info``: a table, or plain lines where rich is absent."""

from argparse import Namespace
from typing import Any

from fusedoptim.machine.info import info


def run(args: Namespace) -> int:
    facts = {name: _text(value) for name, value in info().items()}
    try:
        _print_table(facts)
    except ModuleNotFoundError:
        for name, text in facts.items():
            print(f"{name:<20}{text}")
    return 0


def _print_table(facts: dict[str, str]) -> None:
    import rich
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold")
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
