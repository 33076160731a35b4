"""CSV: one block a table, with a header line; a blank line between tables.

Cells are as printed, dashes included. Where a column holds a run of ours, four columns follow it: the samples behind
the value, the bounds of its 95 % interval and its status.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from ..build import Cell, Row, Table

MEASURED_COLUMNS = ("count", "low", "high", "status")


def write(tables: Sequence[Table]) -> str:
    return "\n".join(_block(table) for table in tables)


def _block(table: Table) -> str:
    rows = table.rows()
    measured = [any(row.cells[i].measured for row in rows) for i in range(len(table.columns))]
    # Without the heading over it, a label such as `F1` would not say of what. Over models stands their group.
    names = [column.label if column.model or column.measured else column.name for column in table.columns]
    header = ["table", "group", table.corner]
    for i, name in enumerate(names):
        header += [name, *(f"{name} {extra}" for extra in MEASURED_COLUMNS if measured[i])]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    for group in table.groups:
        writer.writerows(_line(table, group.heading, row, measured) for row in group.rows)
    return file.getvalue()


def _line(table: Table, heading: str, row: Row, measured: Sequence[bool]) -> list[str]:
    line = [table.id, heading, row.label]
    for cell, with_more in zip(row.cells, measured):
        line += [cell.text, *(_more(cell) if with_more else ())]
    return line


def _more(cell: Cell) -> list[str]:
    if cell.value is None:
        return [""] * len(MEASURED_COLUMNS)
    low, high = cell.interval or (None, None)
    count = "" if cell.count is None else str(cell.count)
    return [count, *("" if bound is None else f"{bound:.1f}" for bound in (low, high)), cell.status]
