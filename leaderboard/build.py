"""From published numbers and runs to a table: rows, groups and cells that know what they are.

    published, spec = load_published(), find_spec("3", load_specs())
    table = build_table(spec, published, measure([Path("results")], [spec]).runs)

The formats in `formats/` and the site write a `Table`; nothing of layout is decided after this step.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from mpeval.text import printable
from mpeval.types import Metric

from .measured import LIKE_PUBLISHED, MeasuredRow, MeasuredRun, measured_rows
from .published import Number, Protocol, Published, PublishedModel, PublishedRow
from .specs import ColumnSpec, GroupSpec, TableSpec
from .trust import Comparison, Status, compare, judge

MEASURED_HEADING = "Measured here"
MARKS: dict[Status, str] = {"published": "", "measured": "†", "reproduced": "=", "differs": "≠"}
MEANINGS: dict[Status, str] = {
    "published": "",
    "measured": "measured here; nothing is claimed about a published number",
    "reproduced": "measured here; reproduces the published number within 1.5 points",
    "differs": "measured here, and more than 1.5 points from the published number",
}


class Cell(msgspec.Struct, frozen=True):
    text: str
    """As printed; a run's value in percent with one decimal; the paper's dash where there is none."""
    value: float | None = None
    """In the paper's units (percent for rates); None for text and for a missing number."""
    status: Status = "published"
    best: bool = False
    second: bool = False
    source: str = ""
    """`Table 3, section 5.2`, or the run's folder; empty for a missing number."""
    protocol: str = ""
    """Of a run: the protocol it is scored under."""
    count: int | None = None
    """Samples behind a run's value."""
    interval: tuple[float, float] | None = None
    """95 %, in percent, of a run's value."""
    part: str = ""
    """`24 of 252 samples` of a run that is not of the full split, or with failed samples; else empty."""
    why: str = ""
    """How a run's status was decided."""
    footnotes: tuple[str, ...] = ()
    """Signs of the table's footnotes that speak of this cell."""

    @property
    def measured(self) -> bool:
        return self.status != "published"


class Row(msgspec.Struct, frozen=True):
    label: str
    cells: tuple[Cell, ...]
    model: PublishedModel | None = None
    """None: a metric's row of a transposed table, or a model without published numbers."""
    measured: bool = False


class Group(msgspec.Struct, frozen=True):
    heading: str
    rows: tuple[Row, ...]


class Column(msgspec.Struct, frozen=True):
    label: str
    over: str = ""
    """Heading over this column and its neighbours with the same one."""
    model: PublishedModel | None = None
    """In a transposed table: the model whose numbers the column holds."""
    measured: bool = False
    """In a transposed table: a run of ours."""

    @property
    def name(self) -> str:
        """Both headings in one line."""
        return f"{self.over} {self.label}".strip()


class Table(msgspec.Struct, frozen=True):
    id: str
    name: str
    title: str
    source: str
    """`MolmoPoint: ..., Table 3, section 5.2`; empty for a table of runs alone."""
    corner: str
    columns: tuple[Column, ...]
    groups: tuple[Group, ...]
    footnotes: tuple[tuple[str, str], ...] = ()
    """Sign -> text, in order of appearance."""
    slips: tuple[str, ...] = ()
    """What is known not to add up in the published table."""
    rotated: bool = False

    @property
    def heading(self) -> str:
        """`Table 3: Pointing in screens`."""
        return f"Table {self.id}: {self.title}" if self.id.isdigit() else self.title

    def rows(self) -> list[Row]:
        return [row for group in self.groups for row in group.rows]


def build_table(spec: TableSpec, published: Published, runs: Sequence[MeasuredRun] = ()) -> Table:
    """A table as the paper prints it, with our runs below as rows of their own.

    Best and second are decided a column over the published rows of ranked groups, ties sharing a mark: which of the
    paper's own marks hold within a group and which over the table is not known. Runs neither get marks nor take them
    away. Raises ValueError where the specification and the published file do not hold the same rows.
    """
    printed = published.files.get(spec.numbers, {})
    named = [row for group in spec.groups for row in group.rows]
    if named != list(printed):
        raise ValueError(f"table {spec.id}: its groups and {spec.numbers}.csv differ in their rows or order")
    notes = _Footnotes()
    ranks = [_ranks(spec, column, printed) for column in spec.columns]
    groups = [_published_group(spec, group, published, printed, ranks, notes) for group in spec.groups]
    measured = [row for each in measured_rows(runs) if (row := _measured_row(spec, each, published, notes))]
    if measured:
        groups.append(Group(MEASURED_HEADING, tuple(measured)))
    source = published.sources.get(spec.numbers)
    table = Table(
        id=spec.id,
        name=spec.name,
        title=spec.title,
        source=f"{published.paper.title}. {source.table}, section {source.section}" if source else "",
        corner=spec.corner,
        columns=tuple(Column(column.label, column.over) for column in spec.columns),
        groups=tuple(groups),
        footnotes=tuple(notes.texts.items()),
        slips=tuple(slip.says for slip in published.slips if spec.id in slip.tables),
        rotated=spec.rotated,
    )
    return _transposed(table) if spec.transposed else table


# --- published rows -------------------------------------------------------------------------------


def _published_group(
    spec: TableSpec,
    group: GroupSpec,
    published: Published,
    printed: dict[str, PublishedRow],
    ranks: Sequence[tuple[float | None, float | None]],
    notes: _Footnotes,
) -> Group:
    rows = []
    for name in group.rows:
        row = printed[name]
        cells = [
            _published_cell(spec, row.numbers.get(column.key), rank if group.ranked else (None, None), notes)
            for column, rank in zip(spec.columns, ranks)
        ]
        rows.append(Row(row.printed, tuple(cells), published.models[row.model]))
    return Group(group.heading, tuple(rows))


def _published_cell(
    spec: TableSpec, number: Number | None, rank: tuple[float | None, float | None], notes: _Footnotes
) -> Cell:
    if number is None:
        return Cell(spec.missing)
    best, second = rank
    if number.mark in number.source.marks:
        notes.explain(number.mark, number.source.marks[number.mark])
    return Cell(
        text=number.text,
        value=number.value,
        best=number.value is not None and number.value == best,
        second=number.value is not None and number.value == second,
        source=f"{number.source.table}, section {number.source.section}",
    )


def _ranks(spec: TableSpec, column: ColumnSpec, printed: dict[str, PublishedRow]) -> tuple[float | None, float | None]:
    """The best and the second best value of a column; None where there is none."""
    if column.best == "none":
        return None, None
    rows = [printed[name] for group in spec.groups if group.ranked for name in group.rows]
    values = {row.numbers[column.key].value for row in rows if column.key in row.numbers} - {None}
    ordered = sorted((value for value in values if value is not None), reverse=column.best == "high")
    best, second = [*ordered, None, None][:2]
    return best, second


# --- our runs -------------------------------------------------------------------------------------


def _measured_row(spec: TableSpec, row: MeasuredRow, published: Published, notes: _Footnotes) -> Row | None:
    """The row's cells in this table; None where it has none."""
    found = [row.find(column.run) if column.run else None for column in spec.columns]
    if not any(found):
        return None
    model = published.model_of_adapter(row.model)
    protocols = dict.fromkeys(each[0].result.protocol for each in found if each)
    cells = [
        _measured_cell(spec, column, *each, model, published, notes) if each else Cell(spec.missing, status="measured")
        for column, each in zip(spec.columns, found)
    ]
    label = printable(f"{row.label}, protocol {', '.join(protocols)}")
    return Row(label, tuple(cells), model, measured=True)


def _measured_cell(
    spec: TableSpec,
    column: ColumnSpec,
    run: MeasuredRun,
    metric: Metric,
    model: PublishedModel | None,
    published: Published,
    notes: _Footnotes,
) -> Cell:
    beside = _row_beside(spec, run, model, published)
    number = beside.numbers.get(column.key) if beside and model else None
    declared = published.protocol(column.key.split(":")[0], beside.model, beside.variant) if beside else Protocol()
    verdict = judge(run, metric, number, declared, model)
    signs = [notes.explain(MARKS[verdict.status], MEANINGS[verdict.status])]
    signs += [notes.letter(text) for text in _remarks(run, beside, compare(run, metric, declared))]
    interval = metric.interval
    return Cell(
        text=f"{100 * metric.value:.1f}",
        value=100 * metric.value,
        status=verdict.status,
        source=run.result.path,
        protocol=run.result.protocol,
        count=metric.count,
        interval=(100 * interval[0], 100 * interval[1]) if interval else None,
        part=run.part,
        why=verdict.why,
        footnotes=tuple(signs),
    )


def _row_beside(
    spec: TableSpec, run: MeasuredRun, model: PublishedModel | None, published: Published
) -> PublishedRow | None:
    """The published row that a run is held against: the same model's, of its rows the one that declares as many
    crops; for a model without a row, the one whose protocol stands for the table.
    """
    rows = published.files.get(spec.numbers, {})
    own = [row for row in rows.values() if model and row.model == model.id]
    for row in own:
        if published.protocol(run.result.benchmark, row.model, row.variant).max_crops == str(run.elicitation.max_crops):
            return row
    return own[0] if own else rows.get(spec.reference)


def _remarks(run: MeasuredRun, beside: PublishedRow | None, comparison: Comparison) -> list[str]:
    """What a reader of a run's number must know, one sentence each."""
    result = run.result
    remarks = []
    if run.part:
        remarks.append(f"{result.benchmark}: {run.part}")
    if beside and str(comparison):
        remarks.append(f"{result.benchmark}, against the protocol of {beside.printed}: {comparison}")
    if result.protocol != LIKE_PUBLISHED and result.differs:  # not the paper's benchmark, BURST-VC rebuilt for one
        remarks.append(f"{result.benchmark}, protocol {result.protocol}: {result.differs}")
    if result.scorer_only and not beside:
        remarks.append(f"{result.benchmark}: scorer only; asked in another way than protocol {result.protocol} says")
    return remarks


class _Footnotes:
    """Signs and their texts; a text that is said twice keeps its sign."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def explain(self, sign: str, text: str) -> str:
        self.texts.setdefault(sign, text)
        return sign

    def letter(self, text: str) -> str:
        for sign, known in self.texts.items():
            if known == text:
                return sign
        letters = sum(sign.isalnum() for sign in self.texts)
        return self.explain(chr(ord("a") + letters) if letters < 26 else str(letters - 25), text)


# --- layout ---------------------------------------------------------------------------------------


def _transposed(table: Table) -> Table:
    """Models side by side under their groups' headings, metrics below one another."""
    models = [(group.heading, row) for group in table.groups for row in group.rows]
    rows = tuple(Row(column.name, tuple(row.cells[i] for _, row in models)) for i, column in enumerate(table.columns))
    columns = tuple(Column(row.label, heading, row.model, row.measured) for heading, row in models)
    return msgspec.structs.replace(table, columns=columns, groups=(Group("", rows),))
