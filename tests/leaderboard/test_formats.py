"""CSV, Markdown, LaTeX and HTML of tables, hostile text among them."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mpeval.leaderboard.build import Cell, Column, Group, Row, Table, build_table
from mpeval.leaderboard.formats import FORMATS, latex, markdown, write
from mpeval.leaderboard.published import load_published
from mpeval.leaderboard.specs import find_spec, load_specs

HOSTILE = "<img src=x onerror=alert(1)> | \\input{x} $%&#_{}~^ `a` *b* [c](d) \"q\" 'r' ü 点"


def table_with(text: str) -> Table:
    """One model of this name, published, and a run of it."""
    published = Cell("70.7", 70.7, best=True)
    cell = Cell("94.1", 94.1, "measured", source=text, count=12, interval=(80.0, 99.0), why=text, footnotes=("†", "a"))
    return Table(
        id="x",
        name="x",
        title=text,
        source=text,
        corner=text,
        columns=(Column("Acc.", text), Column("Acc.")),
        groups=(
            Group(text, (Row(text, (published, Cell("-"))),)),
            Group("Measured here", (Row(text, (cell, Cell("-", status="measured")), measured=True),)),
        ),
        footnotes=(("†", text), ("a", text)),
        slips=(text,),
    )


def paper_tables() -> list[Table]:
    published = load_published()
    return [build_table(spec, published) for spec in load_specs() if spec.numbers]


# --- CSV ------------------------------------------------------------------------------------------


def test_a_column_s_name_says_of_what_it_is() -> None:
    """Headings over columns go with their labels; over models of a table on its side stands their kind alone."""
    published = load_published()
    heads = {}
    for name in ("2", "4", "9"):
        table = build_table(find_spec(name, load_specs()), published)
        heads[name] = next(csv.reader(io.StringIO(write([table], "csv"))))
    assert heads["9"][3:] == [
        *("PixMoPoint F1", "PointBench Avg.", "Molmo2-VC Correct", "Molmo2-VC Close", "Molmo2-VC Overcount"),
    ]
    assert heads["4"][3] == "BURST VC (test) Acc."
    assert heads["2"][3:5] == ["GPT-5.2", "Gemini3-Pro"]


def test_a_measured_column_is_followed_by_what_lies_behind_it() -> None:
    header, printed, measured = csv.reader(io.StringIO(write([table_with("m")], "csv")))
    assert header == [
        *("table", "group", "m", "m Acc.", "m Acc. count", "m Acc. low", "m Acc. high", "m Acc. status"),
        *("Acc.", "Acc. count", "Acc. low", "Acc. high", "Acc. status"),
    ]
    assert printed == ["x", "m", "m", "70.7", "", "", "", "published", "-", "", "", "", ""]
    assert measured == ["x", "Measured here", "m", "94.1", "12", "80.0", "99.0", "measured", "-", "", "", "", ""]


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=30))
def test_csv_keeps_any_name(text: str) -> None:
    rows = list(csv.reader(io.StringIO(write([table_with(text)], "csv"), newline="")))
    assert rows[1][2] == text


# --- Markdown -------------------------------------------------------------------------------------


def rows_of_markdown(text: str) -> list[list[str]]:
    """Cells of the pipe table; an escaped pipe does not end a cell."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_markdown_marks_best_and_second() -> None:
    text = write([build_table(find_spec("1", load_specs()), load_published())], "md")
    assert text.startswith("### Table 1: Image pointing: PointBench\n")
    rows = {row[0]: row for row in rows_of_markdown(text)}
    assert rows["MolmoPoint-8B"][1:] == ["<ins>85.9</ins>", "**76.9**", "**77.2**", "39.0", "**74.5**", "**70.7**"]
    assert rows["_API call only_"] == ["_API call only_", *[""] * 6]
    assert "Known slip of the paper: Qwen2.5-VL 32B and 72B share" in text


def test_lower_is_better_where_the_table_says_so() -> None:
    text = write([build_table(find_spec("9", load_specs()), load_published())], "md")
    assert rows_of_markdown(text)[-1][-1] == "**3.2**"


def test_every_markdown_row_has_as_many_cells_as_the_header() -> None:
    for table in [*paper_tables(), table_with(HOSTILE)]:
        assert {len(row) for row in rows_of_markdown(write([table], "md"))} == {len(table.columns) + 1}


def test_markdown_says_interval_and_count() -> None:
    assert "94.1<sup>† a</sup><br>80.0&nbsp;to&nbsp;99.0,&nbsp;n=12" in write([table_with("m")], "md")


def cells_as_rendered(text: str) -> list[list[str]]:
    """The text of every cell as a code host's parser sees it; marks of best, second and footnotes are left out."""
    from markdown_it import MarkdownIt

    rows: list[list[str]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and token.level == 4:
            children = token.children or []
            assert not {child.type for child in children} & {"image", "link_open", "code_inline"}
            assert {child.content for child in children if child.type == "html_inline"} <= OUR_TAGS
            rows[-1].append("".join(child.content for child in children if child.type == "text"))
    return rows


OUR_TAGS = {"<br>", "<ins>", "</ins>", "<sup>", "</sup>"}


def test_a_real_parser_finds_every_cell_of_every_table() -> None:
    for table in paper_tables():
        rows = cells_as_rendered(write([table], "md"))
        expected = [[row.label, *(cell.text for cell in row.cells)] for row in table.rows()]
        headings = [each.heading for each in table.groups if each.heading]
        assert [row for row in rows[1:] if row[0] not in headings or any(row[1:])] == expected
        assert rows[0] == [table.corner, *(f"{column.over}{column.label}" for column in table.columns)]


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
@example("\\| a \\\\| `|` **b**|")
@example("![x](y) [z](javascript:alert) <b> &lt; &#42; ~~s~~ www.a.b")
def test_a_real_parser_finds_any_name_in_its_cell(text: str) -> None:
    name = " ".join(text.split()) or "m"
    rows = cells_as_rendered(write([table_with(name)], "md"))
    assert {len(row) for row in rows} == {3}
    assert [row[0] for row in rows] == [name, name, name, "Measured here", name]


@given(st.text(max_size=30))
def test_markdown_escapes_any_text(text: str) -> None:
    escaped = markdown.escape(text)
    assert not re.search(r"[\\`*_{}\[\]|~#$<>\n]", re.sub(r"\\.", "", escaped))
    assert unescape(re.sub(r"\\(.)", r"\1", escaped)) == " ".join(text.split())


# --- HTML -----------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Tags, and the text of every cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_html_shows_hostile_text_as_text() -> None:
    reader = Reader()
    reader.feed(write([table_with(HOSTILE)], "html"))
    assert "img" not in reader.tags
    assert reader.text.count(HOSTILE) >= 8


def test_html_names_the_status_of_every_cell_and_needs_nothing_else() -> None:
    page = write([table_with("m")], "html")
    assert re.findall(r'data-status="(\w+)"', page) == ["published", "published", "measured", "measured"]
    assert not re.search(r"https?://|src=|<link|<script", page)


# --- LaTeX ----------------------------------------------------------------------------------------


@given(st.text(max_size=30))
def test_latex_has_no_command_of_the_text(text: str) -> None:
    assert latex.escape(text).isascii() or all(ord(letter) <= 0x17F for letter in latex.escape(text))
    assert not re.search(r"(?<!\\)[&%#_]", latex.escape(text))


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex is not installed")
@pytest.mark.slow
def test_latex_compiles_alone_and_within_a_document(tmp_path: Path) -> None:
    tables = [*paper_tables(), table_with(HOSTILE)]
    (tmp_path / "tables.tex").write_text(write(tables, "latex"), encoding="utf-8")
    (tmp_path / "article.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}"
        r"\begin{document}Before. \input{tables} After.\end{document}"
    )
    for name in ("tables", "article"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert ended.returncode == 0, ended.stdout[-2000:]
        assert (tmp_path / f"{name}.pdf").stat().st_size > 20_000
        assert "Overfull" not in (tmp_path / f"{name}.log").read_text(errors="replace")


def test_every_format_takes_every_table() -> None:
    for format in FORMATS:
        assert write(paper_tables(), format).endswith("\n")
