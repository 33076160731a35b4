"""A dataset's rows: read from its files, checked, and made into samples."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from mpeval.data.columns import PICTURES
from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.text import unicode
from mpeval.types import Sample, Target, UnreadableTarget

if TYPE_CHECKING:
    import pyarrow.parquet

R = TypeVar("R")


class LazySample(Sample, frozen=True):
    """A sample whose target is read when it is asked for, anew each time: masks in many pictures take long to read.

    Made with `NOT_READ` in the target's place. A target that cannot be read is an `UnreadableTarget`.
    """

    read: Callable[[], Target] | None = None

    @property  # type: ignore[misc]
    def target(self) -> Target:
        if self.read is None:
            return NOT_READ
        try:
            return self.read()
        except UserError:
            raise
        except Exception as error:  # damaged files make decoders raise nearly anything, and it is one row's fault
            return UnreadableTarget(unicode(str(error) or type(error).__name__))


NOT_READ = UnreadableTarget("it was not read")


def to_samples(
    rows: Iterable[tuple[str, Any]],
    row_type: type[R],
    make: Callable[[str, R], Sample],
    on_threads: bool = False,
    slices: Sequence[str] = (),
) -> Iterator[Sample]:
    """Samples of rows, in order. rows: the sample's id and the raw row (JSON values).

    row_type: a msgspec.Struct with the fields that are needed; others are ignored. A row that lacks one, whose target
    `make` cannot read (`SampleError`) or whose text is not Unicode becomes a sample that fails with that reason: it is
    never left out.
    on_threads: `make` decodes masks, so that several rows are worth being made at once. slices: fields that are slices
    by their own names; a row that cannot be used counts in those that it has.
    """

    def sample(row: tuple[str, Any]) -> Sample:
        sample_id, raw = row
        try:
            made = make(sample_id, msgspec.convert(raw, row_type))
            msgspec.json.encode((sample_id, made.query, made.slices, made.wordings))
            return made
        except (msgspec.ValidationError, SampleError) as error:
            reason = str(error)
        except UnicodeEncodeError as error:  # JSON may spell half of a surrogate pair
            reason = f"its text is not Unicode: {error}"
        known = raw if isinstance(raw, dict) else {}
        values = {name: unicode(known[name]) for name in slices if isinstance(known.get(name), str)}
        return Sample(unicode(sample_id), Media("image"), "", UnreadableTarget(unicode(reason)), values)

    if not on_threads:
        yield from map(sample, rows)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(sample, rows)


def json_rows(file: Path) -> list[Any]:
    """The rows of a JSON file that holds a list. Raises `UserError` where it does not, or holds none."""
    try:
        rows = json.loads(file.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}; 'mpeval data prepare' fetches it") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not readable JSON ({error}): fetch it again") from error
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{file} holds no rows: a list is expected; fetch it again")
    return rows


@dataclass(frozen=True)
class Cell:
    """A picture in a Parquet file, read when it is asked for (a `media.Stored`)."""

    file: Path
    row_group: int
    row: int
    """Within the row group."""
    column: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row} of group {self.row_group}, {self.column}"

    def read_bytes(self) -> bytes:
        """The cell's `bytes`. Raises `SampleError` for a cell without."""
        picture = PICTURES.read((self.file, self.row_group, self.column), self.row)
        if not picture:
            raise SampleError(f"{self} holds no picture")
        return picture


def parquet_rows(
    files: Sequence[Path],
    pictures: Sequence[str] = ("image",),
    columns: Sequence[str] | None = None,
    arrow: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """The rows of Parquet files in order; a picture column's value is a `Cell`, its bytes stay in the file.

    columns: those that are wanted, None for all. arrow: columns whose values stay Arrow scalars, for lists of millions
    of values. Raises `UserError` for a file that is no Parquet file, or for none at all with rows.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    found = False
    for file in files:
        try:
            with ParquetFile(file) as parquet:
                known = [name for name in parquet.schema_arrow.names if columns is None or name in columns]
                names = [name for name in known if name not in pictures]
                cells = [name for name in pictures if name in known]
                for group in range(parquet.num_row_groups):
                    for index, row in enumerate(_group_rows(parquet, group, names, arrow)):
                        found = True
                        yield {**row, **{name: Cell(file, group, index, name) for name in cells}}
        except (pyarrow.ArrowException, OSError) as error:
            raise UserError(f"{file} is not a readable Parquet file ({error}): fetch it again") from error
    if not found:
        raise UserError(f"{', '.join(map(str, files)) or 'the dataset'} holds no rows: fetch it again")


def _group_rows(
    parquet: pyarrow.parquet.ParquetFile, group: int, names: Sequence[str], arrow: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The rows of a group: a few at a time, for one may hold millions of values."""
    for batch in parquet.iter_batches(16, row_groups=[group], columns=names):
        plain = batch.select([name for name in names if name not in arrow]).to_pylist()
        kept = {name: batch.column(name) for name in names if name in arrow}
        for index, row in enumerate(plain):
            yield {**row, **{name: column[index] for name, column in kept.items()}}
