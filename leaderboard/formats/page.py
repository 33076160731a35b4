"""HTML: one page that needs nothing else. `fragment` gives a table alone, for a page of the site."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ..build import Cell, Row, Table
from .layout import headings_over, remarks, uncertainty

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; font-size: .9rem; }
th, td { padding: .2rem .55rem; text-align: right; font-weight: normal; white-space: nowrap; }
tbody th, thead tr:first-child th:first-child { text-align: left; }
thead { border-bottom: 1px solid; }
thead th { vertical-align: bottom; }
thead th[scope="colgroup"] { text-align: center; }
tr.group th { font-style: italic; border-top: 1px solid #8886; padding-top: .5rem; }
tr.measured { background: #3a7bd51a; }
.second { text-decoration: underline; }
.uncertainty { display: block; font-size: .8em; opacity: .75; }
ol, ul { font-size: .85rem; padding-left: 1.2rem; }
@media (prefers-color-scheme: dark) { body { background: #14171a; color: #e4e6e8; } }
""".strip()


def write(tables: Sequence[Table]) -> str:
    title = tables[0].heading if len(tables) == 1 else "Tables"
    body = "\n".join(fragment(table) for table in tables)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{escape(title)}</title>\n'
        f"<style>\n{_STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def fragment(table: Table) -> str:
    """A `section` with heading, table and remarks; all text escaped."""
    lines = [
        f'<section id="table-{escape(table.id)}">',
        f"<h2>{escape(table.heading)}</h2>",
        '<div class="scroll"><table>',
        f"<thead>{_header(table)}</thead>",
        "<tbody>",
    ]
    for group in table.groups:
        if group.heading:
            heading = f'<th colspan="{len(table.columns) + 1}" scope="rowgroup">{escape(group.heading)}</th>'
            lines.append(f'<tr class="group">{heading}</tr>')
        lines += map(_row, group.rows)
    lines.append("</tbody></table></div>")
    below = [f"<li>{f'<sup>{escape(sign)}</sup> ' if sign else ''}{escape(text)}</li>" for sign, text in remarks(table)]
    if below:
        lines.append(f"<ul>{''.join(below)}</ul>")
    if table.source:
        lines.append(f"<p>Source: {escape(table.source)}.</p>")
    return "\n".join([*lines, "</section>"])


def _header(table: Table) -> str:
    labels = "".join(f'<th scope="col">{escape(column.label)}</th>' for column in table.columns)
    if not any(column.over for column in table.columns):
        return f'<tr><th scope="col">{escape(table.corner)}</th>{labels}</tr>'
    over = "".join(
        f'<th colspan="{width}" scope="colgroup">{escape(text)}</th>' for text, width in headings_over(table.columns)
    )
    return f'<tr><th rowspan="2" scope="col">{escape(table.corner)}</th>{over}</tr><tr>{labels}</tr>'


def _row(row: Row) -> str:
    kind = ' class="measured"' if row.measured else ""
    return f'<tr{kind}><th scope="row">{escape(row.label)}</th>{"".join(map(_cell, row.cells))}</tr>'


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.best:
        text = f"<strong>{text}</strong>"
    elif cell.second:
        text = f'<span class="second">{text}</span>'
    if cell.footnotes:
        text += f"<sup>{escape(' '.join(cell.footnotes))}</sup>"
    if uncertainty(cell):
        text += f' <span class="uncertainty">{escape(uncertainty(cell))}</span>'
    title = ". ".join(part for part in (cell.source, cell.why) if part)
    return f'<td data-status="{cell.status}"{f" title={chr(34)}{escape(title)}{chr(34)}" if title else ""}>{text}</td>'
