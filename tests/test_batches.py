"""The order in which prepared samples are asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from mpeval.batches import Queue, Ready, in_order
from mpeval.store import Row
from mpeval.types import CountTarget, Prediction


@dataclass(frozen=True)
class Length:
    length: int
    nbytes: int = 0


def ready(media: str | None, length: int = 1) -> Ready:
    row = Row("s", 0, media, None, "q", CountTarget(1), {}, Prediction())
    return Ready(row, None if media is None else Length(length))


def media_of(samples: list[Ready]) -> list[str | None]:
    return [each.row.media_sha256 for each in samples]


def test_the_longest_media_first_and_their_queries_together() -> None:
    window = [ready("a", 2), ready("b", 9), ready("a", 7), ready("c", 8), ready("b", 1), ready("d", 1)]
    assert [(each.row.media_sha256, each.length) for each in in_order(window)] == [
        ("b", 9), ("b", 1), ("c", 8), ("a", 7), ("a", 2), ("d", 1),
    ]  # fmt: skip


@given(
    st.lists(st.lists(st.integers(1, 99), min_size=1, max_size=9), max_size=9),
    st.lists(st.integers(1, 9), min_size=1, max_size=9),
    st.integers(1, 5),
)
def test_queries_on_one_picture_stay_together_where_windows_cut_them(
    pictures: list[list[int]], sizes: list[int], most: int
) -> None:
    """Else a model with few slots computes a picture again in the next window."""
    left = [ready(f"p{number}", length) for number, lengths in enumerate(pictures) for length in lengths]
    windows: list[list[Ready]] = []
    while left:
        size = sizes[len(windows) % len(sizes)]
        windows.append(left[:size])
        left = left[size:]
    source = iter(windows)
    queue = Queue(lambda: next(source, []), lambda done: None, threading.Event())
    asked: list[Ready] = []
    while some := queue.take(most):
        asked += some
    assert sorted(media_of(asked)) == sorted(f"p{n}" for n, lengths in enumerate(pictures) for _ in lengths)  # type: ignore[type-var]
    assert len(list(groupby(media_of(asked)))) == len(pictures)


def test_rows_without_media_are_asked_too() -> None:
    window = [ready(None), ready("a"), ready(None)]
    assert sorted(map(str, media_of(in_order(window)))) == ["None", "None", "a"]
