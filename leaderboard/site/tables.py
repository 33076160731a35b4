"""The tables as the page shows them: one model a row, also where the paper puts models side by side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..build import Cell, Row, build_table
from ..formats.layout import remarks
from ..measured import MeasuredRun
from ..published import UNKNOWN, Protocol, Published
from ..specs import ColumnSpec, TableSpec


def site_table(
    spec: TableSpec, published: Published, runs: Sequence[MeasuredRun], run_ids: Mapping[str, str]
) -> dict[str, Any]:
    """A table's shard. run_ids: a run's folder -> its id on the site.

    Cells: t text, x 1 where the number is missing, v value, s status (absent: published), b 1 best or 2 second, p index
    into `declared`, and of a run i interval, n samples, part `24 of 252 samples` where that is not all, w why, r run,
    c protocol.
    """
    spec = msgspec.structs.replace(spec, transposed=False, corner="Model")
    table = build_table(spec, published, runs)
    declared: dict[tuple[str, ...], int] = {}
    groups = []
    row_ids = iter([name for group in spec.groups for name in group.rows])
    for group in table.groups:
        rows = [
            _measured_row(row, run_ids)
            if row.measured
            else _published_row(row, spec, published, next(row_ids), declared)
            for row in group.rows
        ]
        groups.append({"heading": group.heading, "rows": rows})
    return {
        "id": table.id,
        "heading": table.heading,
        "source": table.source,
        "columns": [
            {
                "label": column.label,
                "over": column.over,
                "best": each.best,
                "benchmarks": benchmarks_of(each),
                "run": each.run.benchmark if each.run else None,
            }
            for column, each in zip(table.columns, spec.columns)
        ],
        "groups": groups,
        "remarks": [list(each) for each in remarks(table)],
        "declared": [dict(zip(Protocol.__struct_fields__, fields)) for fields in declared],
    }


def benchmarks_of(column: ColumnSpec) -> tuple[str, str]:
    """Names under which mpeval may have a column's benchmark: a split can be one of its own (`mevis-valid-u`)."""
    name, split = column.key.split(":")[:2]
    return name, f"{name}-{split}"


def summary(spec: TableSpec) -> dict[str, str]:
    """A table's line in the index."""
    heading = f"Table {spec.id}" if spec.id.isdigit() else ""
    return {"id": spec.id, "number": heading, "title": spec.title}


def billions(size: str) -> float | None:
    """`8B` -> 8; None for a size that is not known."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)B", size)
    return float(found[1]) if found else None


def _model(row: Row) -> dict[str, Any]:
    if row.model is None:
        return {"kind": "unlisted", "size": None}
    return {"kind": row.model.kind, "size": billions(row.model.size), "model": row.model.title}


def _published_row(
    row: Row, spec: TableSpec, published: Published, row_id: str, declared: dict[tuple[str, ...], int]
) -> dict[str, Any]:
    entry = published.files[spec.numbers][row_id]
    cells = []
    for cell, column in zip(row.cells, spec.columns):
        fields = _cell(cell)
        if cell.source:
            protocol = published.protocol(column.key.split(":")[0], entry.model, entry.variant)
            known = tuple(getattr(protocol, name) for name in Protocol.__struct_fields__)
            if set(known) != {UNKNOWN}:
                fields["p"] = declared.setdefault(known, len(declared))
        cells.append(fields)
    return {"label": row.label, **_model(row), "cells": cells}


def _measured_row(row: Row, run_ids: Mapping[str, str]) -> dict[str, Any]:
    cells = []
    for cell in row.cells:
        fields = _cell(cell)
        if cell.source:
            fields |= {"s": cell.status, "n": cell.count, "w": cell.why, "c": cell.protocol}
            fields |= {"part": cell.part} if cell.part else {}
            fields |= {"f": " ".join(cell.footnotes)} if cell.footnotes else {}
            fields |= {"i": [round(end, 5) for end in cell.interval]} if cell.interval else {}
            fields |= {"r": run_ids[cell.source]} if cell.source in run_ids else {}
        cells.append(fields)
    label, _, protocol = row.label.rpartition(", protocol ")
    return {"label": label, "protocol": protocol, "measured": True, **_model(row), "cells": cells}


def _cell(cell: Cell) -> dict[str, Any]:
    fields: dict[str, Any] = {"t": cell.text}
    if not cell.source:
        fields["x"] = 1
    if cell.value is not None and str(cell.value) != cell.text:
        fields["v"] = round(cell.value, 4)
    if cell.best or cell.second:
        fields["b"] = 1 if cell.best else 2
    return fields
