"""Tables on a narrow terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def narrow(table: Table, console: Console, spare: Sequence[str]) -> Table:
    """Leaves columns out, in the order of the headings `spare`, until the rest fits."""
    unbounded = console.options.update(width=1000)
    for heading in spare:
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
        table.columns = [column for column in table.columns if column.header != heading]
    return table
