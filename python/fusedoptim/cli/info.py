"""``python -m fusedoptim info``: a table, or plain lines where rich is absent."""

from argparse import Namespace
from typing import Any

from fusedoptim.info import info


def run(args: Namespace) -> int:
    facts = {name: _text(value) for name, value in info().items()}
    try:
        from rich import box, print
        from rich.table import Table
    except ModuleNotFoundError:
        for name, text in facts.items():
            print(f"{name:<20}{text}")
        return 0
    table = Table(box=box.SIMPLE, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in facts.items():
        table.add_row(name, text)
    print(table)
    return 0


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{name} = {_text(item)}" for name, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return {None: "not set", True: "yes", False: "no"}.get(value, str(value)) if value is None or isinstance(value, bool) else str(value)
