"""Markdown as code hosts render it: pipe tables, best in bold, second underlined by `<ins>`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..build import Cell, Table
from .layout import remarks, uncertainty

_SPECIAL = re.compile(r"([\\`*_{}\[\]|~#$])")


def write(tables: Sequence[Table]) -> str:
    return "\n\n".join(_table(table) for table in tables) + "\n"


def _table(table: Table) -> str:
    header = [escape(table.corner), *(_heading(column.over, column.label) for column in table.columns)]
    lines = [header]
    for group in table.groups:
        if group.heading:
            lines.append([f"_{escape(group.heading)}_", *[""] * len(table.columns)])
        lines += [[escape(row.label), *map(_cell, row.cells)] for row in group.rows]
    parts = [f"### {escape(table.heading)}", _pipes(lines)]
    below = [f"- {f'<sup>{escape(sign)}</sup> ' if sign else ''}{escape(text)}" for sign, text in remarks(table)]
    if below:
        parts.append("\n".join(below))
    if table.source:
        parts.append(f"Source: {escape(table.source)}.")
    return "\n\n".join(parts)


def _pipes(lines: Sequence[Sequence[str]]) -> str:
    """The first line is the header; columns are padded, so that the text reads as a table too."""
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths)] for line in (lines[0], rule, *lines[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _heading(over: str, label: str) -> str:
    return f"{escape(over)}<br>{escape(label)}" if over else escape(label)


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        text = f"**{text}**"
    elif cell.second:
        text = f"<ins>{text}</ins>"
    signs = escape(" ".join(cell.footnotes))
    # On a line of its own that does not break, so that values stay in line below each other.
    more = f"<br>{uncertainty(cell)}".replace(" ", "&nbsp;") if uncertainty(cell) else ""
    return text + (f"<sup>{signs}</sup>" if signs else "") + more


def escape(text: str) -> str:
    """Text that neither Markdown nor the HTML inside it reads as markup, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", plain)
