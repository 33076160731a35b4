"""Published results: the numbers of papers with their models, sources and what is known of their protocols.

The data lie in `results/published/`: one CSV file a table, a row a model, a column a number, named
`benchmark:split:metric` or `benchmark:split:metric:slice`. Cells hold what is printed; an empty cell is a dash in the
paper. Beside them are `models.toml`, `sources.toml`, `protocols.toml`, `claims.toml` (gains that the text
quotes) and `slips.toml` (what is known not to add up).
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from .printed import mark_of, value_of

FOLDER = Path(__file__).parent.parent / "results" / "published"
UNKNOWN = "unknown"
_OWN_COLUMNS = ("model", "variant", "printed", "cite")

T = TypeVar("T")


class Struct(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what is read from TOML: a misspelt field is an error."""


class PublishedModel(Struct, frozen=True):
    """One model, however the tables spell its name."""

    id: str
    title: str
    kind: Literal["api", "open-weights", "fully-open", "human"]
    size: str
    """Parameters, as the model's name says: `8B`; else `unknown`."""
    specialized: bool = False
    """Made for one task, by the paper's headings."""
    printed: tuple[str, ...] = ()
    """Other spellings of the same name."""
    adapters: tuple[str, ...] = ()
    """Names under which mpeval runs it, where they are not its id."""
    note: str = ""


class Protocol(Struct, frozen=True):
    """What is known of how a number was made; each field is `unknown` where nothing is said."""

    prompt: str = UNKNOWN
    max_new_tokens: str = UNKNOWN
    max_crops: str = UNKNOWN
    max_frames: str = UNKNOWN
    force_single_point: str = UNKNOWN
    """`yes` or `no`."""
    scorer: str = UNKNOWN
    """The protocol of mpeval that counts in the same way."""
    average: str = UNKNOWN
    """`micro` (every sample alike) or `macro` (every category alike)."""
    evaluated_by: str = UNKNOWN
    """Who ran the model, where the number is taken from elsewhere."""
    source: str = UNKNOWN


class Declaration(Protocol, frozen=True):
    """An entry of `protocols.toml`: fields for all numbers that it fits. Empty: fits all."""

    benchmarks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()

    def fits(self, benchmark: str, model: str, variant: str) -> bool:
        wanted = ((self.benchmarks, benchmark), (self.models, model), (self.variants, variant))
        return all(not names or name in names for names, name in wanted)


class SourceFile(Struct, frozen=True):
    """Where the numbers of one file come from."""

    name: str
    """The file's name without `.csv`."""
    table: str
    """`Table 3`."""
    section: str
    marks: dict[str, str] = {}
    """Sign beside a number -> what it stands for."""


class Paper(Struct, frozen=True):
    title: str
    authors: str
    organisation: str


class Slip(Struct, frozen=True):
    """A known slip of a paper: what `mpeval tables --check` finds and what is known about it."""

    id: str
    tables: tuple[str, ...]
    """Ids of the tables under which it is noted."""
    finds: tuple[str, ...]
    """Ids of the findings that it explains."""
    says: str
    """What does not add up, for a reader of the table."""


class Number(msgspec.Struct, frozen=True):
    """One printed number."""

    model: str
    """The model's id."""
    variant: str
    """What sets this row apart from the model's other rows: `64-crops`, a training phase; empty for the plain one."""
    key: str
    """`benchmark:split:metric[:slice]`."""
    text: str
    """As printed, decimals and sign included."""
    printed: str
    """The row's name as printed."""
    cite: str
    """Keys of the works that the paper cites for the row."""
    source: SourceFile

    @property
    def benchmark(self) -> str:
        return self.key.split(":")[0]

    @property
    def split(self) -> str:
        return self.key.split(":")[1]

    @property
    def metric(self) -> str:
        return self.key.split(":")[2]

    @property
    def slice(self) -> str:
        """`affordable`; empty for all samples."""
        return [*self.key.split(":"), ""][3]

    @property
    def value(self) -> float | None:
        """As a number, in the paper's units (percent where it prints percent); None for text."""
        return value_of(self.text)

    @property
    def mark(self) -> str:
        return mark_of(self.text)

    @property
    def row(self) -> str:
        return row_id(self.model, self.variant)


class PublishedRow(msgspec.Struct, frozen=True):
    """A row of a file: its names, and its numbers by key. A missing number has no entry."""

    model: str
    variant: str
    printed: str
    cite: str
    numbers: dict[str, Number]


class Published(msgspec.Struct, frozen=True, dict=True):
    """All published results."""

    paper: Paper
    models: dict[str, PublishedModel]
    sources: dict[str, SourceFile]
    files: dict[str, dict[str, PublishedRow]]
    """File -> row id (`model` or `model@variant`) -> row, in printed order."""
    declarations: tuple[Declaration, ...]
    slips: tuple[Slip, ...]

    def numbers(self) -> Iterator[Number]:
        """Every number, file by file."""
        for rows in self.files.values():
            for row in rows.values():
                yield from row.numbers.values()

    def protocol(self, benchmark: str, model: str, variant: str = "") -> Protocol:
        """What is known of how a model's numbers on a benchmark were made."""
        fitting = [entry for entry in self.declarations if entry.fits(benchmark, model, variant)]
        fields: dict[str, str] = {}
        for entry in fitting:
            known = {name: getattr(entry, name) for name in Protocol.__struct_fields__}
            fields |= {name: value for name, value in known.items() if value != UNKNOWN}
        if fitting:
            fields["source"] = "; ".join(entry.source for entry in fitting)
        return Protocol(**fields)

    def model_of_adapter(self, adapter: str) -> PublishedModel | None:
        """The published model that an adapter of this name runs, if there is one."""
        return self._adapters.get(adapter)

    @cached_property
    def _adapters(self) -> dict[str, PublishedModel]:
        return {name: each for each in self.models.values() for name in (each.id, *each.adapters)}


def row_id(model: str, variant: str) -> str:
    return f"{model}@{variant}" if variant else model


def load_published(folder: Path = FOLDER) -> Published:
    """Read `results/published/`.

    Raises ValueError where a file contradicts another: a model that is not listed, a row or a number given twice, a
    table without a source.
    """
    models = {each.id: each for each in read_toml(folder / "models.toml", list[PublishedModel], "models")}
    sources = {each.name: each for each in read_toml(folder / "sources.toml", list[SourceFile], "files")}
    declarations = read_toml(folder / "protocols.toml", tuple[Declaration, ...], "declared")
    files = {name: _read_rows(folder / f"{name}.csv", source) for name, source in sources.items()}
    for path in folder.glob("*.csv"):
        if path.stem not in sources:
            raise ValueError(f"{path} has no entry in sources.toml")
    for name, rows in files.items():
        for row in rows.values():
            if row.model not in models:
                raise ValueError(f"{name}.csv: models.toml does not list '{row.model}'")
    paper = read_toml(folder / "sources.toml", Paper, "paper")
    slips = read_toml(folder / "slips.toml", tuple[Slip, ...], "slips")
    return Published(paper, models, sources, files, declarations, slips)


def read_toml(path: Path, type_: type[T] | Any, key: str | None = None, head: bool = False) -> Any:
    """A TOML file, or the value of one of its keys, checked against a type. Raises ValueError, naming the file.

    head: read only what stands above the first blank line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text.split("\n\n")[0] if head else text)
        return msgspec.convert(content if key is None else content[key], type_)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, KeyError) as error:
        raise ValueError(f"{path}: {error}") from error


def _read_rows(path: Path, source: SourceFile) -> dict[str, PublishedRow]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = list(csv.reader(file))
    keys = header[len(_OWN_COLUMNS) :]
    if tuple(header[: len(_OWN_COLUMNS)]) != _OWN_COLUMNS or len(set(keys)) != len(keys):
        raise ValueError(f"{path}: its first line must be {','.join(_OWN_COLUMNS)} and keys that differ")
    rows: dict[str, PublishedRow] = {}
    for line in lines:
        if len(line) != len(header):
            raise ValueError(f"{path}: a row of {len(line)} cells under {len(header)} columns: {','.join(line)}")
        model, variant, printed, cite, *cells = line
        if row_id(model, variant) in rows:
            raise ValueError(f"{path}: two rows for {row_id(model, variant)}")
        numbers = {
            key: Number(model, variant, key, text, printed, cite, source) for key, text in zip(keys, cells) if text
        }
        rows[row_id(model, variant)] = PublishedRow(model, variant, printed, cite, numbers)
    return rows
