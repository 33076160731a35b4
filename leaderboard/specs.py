"""Table specifications: `leaderboard/tables/*.toml`, one file a table, in the order of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from mpeval.errors import UserError

from .published import Struct, read_toml

FOLDER = Path(__file__).parent / "tables"


class RunMetric(Struct, frozen=True):
    """Where a run's summary holds what a column shows."""

    benchmark: str
    metric: str
    slice: str | None = None
    """`category=counting`; None: over all samples."""


class ColumnSpec(Struct, frozen=True):
    label: str
    key: str
    """`benchmark:split:metric[:slice]` of the published number."""
    over: str = ""
    """A heading over this column and its neighbours with the same one."""
    best: Literal["high", "low", "none"] = "high"
    """Which values are best; `none`: no marks."""
    run: RunMetric | None = None
    """None: mpeval does not measure it."""


class GroupSpec(Struct, frozen=True):
    rows: tuple[str, ...]
    """Row ids in printed order: `model` or `model@variant`."""
    heading: str = ""
    ranked: bool = True
    """False: no best or second among these rows (people, for instance)."""


# --- derived columns, for `mpeval tables --check` -------------------------------------------------


class Mean(Struct, frozen=True, tag_field="kind", tag="mean"):
    """A column is the plain mean of others."""

    column: str
    of: tuple[str, ...]


class WeightedMean(Struct, frozen=True, tag_field="kind", tag="weighted-mean"):
    """A column is the mean of others with fixed weights, which sum to 1."""

    column: str
    of: tuple[str, ...]
    weights: tuple[float, ...]


class MeanF1(Struct, frozen=True, tag_field="kind", tag="mean-f1"):
    """A column is the mean over samples of F1; others are the means of precision and recall."""

    column: str
    precision: str
    recall: str


class AtLeast(Struct, frozen=True, tag_field="kind", tag="at-least"):
    """A column cannot be below another, since every hit of that one is a hit of this one."""

    column: str
    than: str


class Product(Struct, frozen=True, tag_field="kind", tag="product"):
    """A column is the product of others."""

    column: str
    of: tuple[str, ...]


class Sum(Struct, frozen=True, tag_field="kind", tag="sum"):
    """Columns sum to a number."""

    of: tuple[str, ...]
    equals: float


Derived = Mean | WeightedMean | MeanF1 | AtLeast | Product | Sum


class TableSpec(Struct, frozen=True):
    """How a table is laid out and which of its columns follow from others."""

    id: str
    """As the paper numbers it: `3`."""
    name: str
    title: str
    columns: tuple[ColumnSpec, ...]
    numbers: str = ""
    """The file of `results/published/`; empty: the table holds measured rows alone."""
    reference: str = ""
    """The row whose protocol stands for the table, where a model of ours has no row."""
    corner: str = "Model"
    """Heading of the first column."""
    missing: str = "-"
    """What the paper prints for a missing number."""
    transposed: bool = False
    """Models side by side, metrics below one another."""
    rotated: bool = False
    """Many long headings: LaTeX turns them by 90 degrees."""
    groups: tuple[GroupSpec, ...] = ()
    checks: tuple[Derived, ...] = ()


class TableTitle(msgspec.Struct, frozen=True):
    """What names a table; the file's other fields are not looked at."""

    id: str
    name: str
    title: str


def load_titles(folder: Path = FOLDER) -> list[TableTitle]:
    """How the tables are called, in order: the heads of their files alone, since reading all of them takes ten times
    as long. Raises ValueError for a damaged head."""
    return [read_toml(path, TableTitle, head=True) for path in sorted(folder.glob("*.toml"))]


def load_specs(folder: Path = FOLDER) -> list[TableSpec]:
    """All table specifications in order. Raises ValueError for a damaged file."""
    return [read_toml(path, TableSpec) for path in sorted(folder.glob("*.toml"))]


def find_spec(wanted: str, specs: list[TableSpec]) -> TableSpec:
    """The table of this id or name; `Table 3` and `table-3` will do for `3`.

    Raises `UserError` for an unknown one, with the nearest.
    """
    from mpeval.registry import unknown

    names = {name: spec for spec in specs for name in (spec.id, spec.name)}
    plain = wanted.strip().lower()
    short = plain.removeprefix("table").strip(" -_")
    for name in (plain, short, short.lstrip("0")):
        if name in names:
            return names[name]
    error = unknown("table", short or plain, names)
    raise UserError(f"{error} ('mpeval list tables' names them all)")
