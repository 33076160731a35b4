"""LaTeX with booktabs. The output compiles as it is, and `\\input` in a document that loads booktabs and graphicx."""

from __future__ import annotations

from collections.abc import Sequence

from ..build import Cell, Table
from .layout import headings_over, remarks

WIDE = 8
"""Columns beyond which type and gaps are small and intervals are left out."""

FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""A table that is wider than the page, with intervals or long names, becomes as wide as that."""

_ALONE = r"""% Compiles as it is; in a document that loads booktabs and graphicx, \input it.
\ifdefined\toprule\else
\documentclass{article}
\usepackage[a4paper,landscape,margin=10mm]{geometry}
\usepackage{booktabs}
\usepackage{graphicx}
\begin{document}
\def\endtables{\end{document}}
\fi
"""
_END = r"""
\ifdefined\endtables\expandafter\endtables\fi
"""
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "[": "{[}", "]": "{]}",
    "–": "--", "—": "---", "−": "$-$", "∗": r"$^{\ast}$", "†": r"$\dagger$", "‡": r"$\ddagger$", "≠": r"$\neq$",
    "±": r"$\pm$", "×": r"$\times$", "’": "'", "‘": "`", "“": "``", "”": "''", "…": r"\ldots{}",
}  # fmt: skip
_LATIN = 0x17F
"""The last letter that LaTeX's own input encoding is sure to know (Latin Extended-A)."""


def write(tables: Sequence[Table]) -> str:
    return _ALONE + "\n".join(_table(table) for table in tables) + _END


def _table(table: Table) -> str:
    wide = len(table.columns) > WIDE
    count = len(table.columns) + 1
    body = []
    for i, group in enumerate(group for group in table.groups if group.rows):
        if i:
            body.append(r"\midrule")
        if group.heading:
            body.append(rf"\multicolumn{{{count}}}{{l}}{{\textit{{{escape(group.heading)}}}}} \\")
        for row in group.rows:
            body.append(" & ".join([escape(row.label), *(_cell(cell, wide) for cell in row.cells)]) + r" \\")
    lines = [
        f"% table {table.id}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escape('. '.join(part for part in (table.title, table.source) if part))}.}}",
        r"\smallskip",
        r"\scriptsize\setlength{\tabcolsep}{2.5pt}" if wide else r"\small",
        FIT,
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        *_header(table),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
    ]
    below = [(rf"$^{{\mathrm{{{_sign(sign)}}}}}$ " if sign else "") + escape(text) for sign, text in remarks(table)]
    if below:
        lines += [r"\begin{flushleft}\footnotesize", " \\\\\n".join(below), r"\end{flushleft}"]
    return "\n".join([*lines, r"\end{table}", ""])


def _header(table: Table) -> list[str]:
    lines = []
    if any(column.over for column in table.columns):
        cells, rules, start = [""], [], 2
        for over, width in headings_over(table.columns):
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(over)}}}")
            if over:
                rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines += [" & ".join(cells) + r" \\", "".join(rules)]
    labels = [escape(column.label) for column in table.columns]
    if table.rotated:
        labels = [rf"\rotatebox{{90}}{{{label}}}" for label in labels]
    return [*lines, " & ".join([escape(table.corner), *labels]) + r" \\"]


def _cell(cell: Cell, wide: bool) -> str:
    text = escape(cell.text)
    if cell.best:
        text = rf"\textbf{{{text}}}"
    elif cell.second:
        text = rf"\underline{{{text}}}"
    if cell.footnotes:
        text += rf"$^{{\mathrm{{{','.join(map(_sign, cell.footnotes))}}}}}$"
    if cell.interval and not wide:
        text += rf" {{\tiny {cell.interval[0]:.1f} to {cell.interval[1]:.1f}, n={cell.count}}}"
    return text


def _sign(sign: str) -> str:
    """A footnote's sign in math mode."""
    return "".join({"†": r"\dagger", "≠": r"\neq", "∗": r"\ast", "=": "{=}"}.get(each, each) for each in sign)


def escape(text: str) -> str:
    """Text without commands, on one line. A letter that pdfLaTeX's fonts may lack is written as its code."""
    return "".join(_ESCAPES.get(each) or _known(each) for each in " ".join(text.split()))


def _known(letter: str) -> str:
    return letter if letter.isprintable() and ord(letter) <= _LATIN else rf"\texttt{{U+{ord(letter):04X}}}"
