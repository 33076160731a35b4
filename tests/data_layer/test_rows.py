"""Rows that nobody meant to publish."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mpeval.data.rows import NOT_READ, LazySample, json_rows, to_samples
from mpeval.errors import UserError
from mpeval.media import Media
from mpeval.types import BoxTarget, Sample, UnreadableTarget


class Row(msgspec.Struct):
    query: str
    kind: str = "text"


def make(sample_id: str, row: Row) -> Sample:
    return Sample(sample_id, Media("image"), row.query, BoxTarget((0, 0, 1, 1)), {"kind": row.kind})


@pytest.mark.parametrize(
    ("sample_id", "row"),
    [("0", {"query": "half \ud83d"}), ("0", {"query": "a", "kind": "\udc80"}), ("\ud800", {"query": "a"})],
    ids=["query", "slice", "id"],
)
def test_text_that_cannot_be_stored_is_that_row_s_error(sample_id: str, row: dict[str, str]) -> None:
    first, second = to_samples([(sample_id, row), ("1", {"query": "whole 😀"})], Row, make)
    assert isinstance(first.target, UnreadableTarget) and "not Unicode" in first.target.reason
    assert msgspec.json.encode((first.id, first.query, first.target))
    assert second.query == "whole 😀"


def test_a_row_that_cannot_be_used_counts_in_its_slices() -> None:
    rows = [("0", {"kind": "icon", "group": 3}), ("1", "no row")]
    first, second = to_samples(rows, Row, make, slices=("kind", "group"))
    assert isinstance(first.target, UnreadableTarget) and first.slices == {"kind": "icon"}
    assert isinstance(second.target, UnreadableTarget) and second.slices == {}


def test_a_file_of_brackets_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[" * 100_000)
    with pytest.raises(UserError, match=r"rows\.json is not readable JSON"):
        json_rows(tmp_path / "rows.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_mark_of_the_encoding_is_no_fault(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "rows.json").write_bytes('[{"query":\r\n "é"}]\r\n'.encode(encoding))
    assert json_rows(tmp_path / "rows.json") == [{"query": "é"}]


def test_a_target_that_cannot_be_read_is_that_sample_s_error_whatever_was_raised() -> None:
    def read() -> BoxTarget:
        raise ZeroDivisionError("a decoder's own fault")

    found = LazySample("0", Media("image"), "a", NOT_READ, read=read)
    assert found.target == UnreadableTarget("a decoder's own fault")
