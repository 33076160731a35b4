"""Prepared samples to rows: in batches, or one by one for a model that streams.

Answers do not depend on which samples are asked together: that is the adapter's promise.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite

import msgspec

from mpeval.errors import SampleError, UserError
from mpeval.store import Row
from mpeval.text import unicode
from mpeval.types import ModelAdapter, Prediction, Prepared, StreamingAdapter

BATCH_SIZE = 16
"""What `auto` means for a model that does not stream. A batch that does not fit in memory is generated again in
halves."""


@dataclass(frozen=True)
class Ready:
    """A sample that is prepared, or that cannot be."""

    row: Row
    """Its prediction is still empty, or says why the sample cannot be asked."""
    prepared: Prepared | None

    @property
    def length(self) -> int:
        return self.prepared.length if self.prepared is not None else 0

    @property
    def nbytes(self) -> int:
        return self.prepared.nbytes if self.prepared is not None else 0


@dataclass
class Queue:
    """Prepared samples in the order in which they are asked."""

    next_window: Callable[[], list[Ready]]
    """More of them; none at the end, when stopped, or where those that are not released fill the memory allowed."""
    release: Callable[[Sequence[Ready]], None]
    """Told what is answered."""
    stop: threading.Event
    """Set: nothing more is asked."""
    window: deque[Ready] = field(default_factory=deque)
    media: str | None = None
    """Of the sample that was taken last."""

    def take(self, most: int) -> list[Ready]:
        """The next samples, `most` at most, all of one window; none at the end."""
        if not self.window:
            self.window.extend(in_order(self.next_window(), self.media))
        if self.stop.is_set():
            return []
        taken = [self.window.popleft() for _ in range(min(most, len(self.window)))]
        self.media = taken[-1].row.media_sha256 if taken else None
        return taken


def in_order(window: Sequence[Ready], before: str | None = None) -> list[Ready]:
    """Queries on the same media together, for a model that computes these once; the longest first, so that a batch
    pads little, and what is too big for memory shows at once.

    before: the media that were asked about last. A window may begin and end amid the queries on some media: these
    come first and last, so that the model has them at hand still, or goes on with them in the next window.
    """
    after = window[-1].row.media_sha256 if window else None
    longest: dict[str | None, int] = {}
    for ready in window:
        media = ready.row.media_sha256
        longest[media] = max(longest.get(media, 0), ready.length)

    def place(ready: Ready) -> tuple[int, int, str, int]:
        media = ready.row.media_sha256
        turn = 0 if media == before else 2 if media == after else 1
        return turn, -longest[media], media or "", -ready.length

    return sorted(window, key=place)


def batches(adapter: ModelAdapter, queue: Queue, size: int | None) -> Iterator[list[Row]]:
    """All rows, a batch at a time. size: samples that are asked together; None: see `runner.answer`."""
    if isinstance(adapter, StreamingAdapter):
        yield from _Stream(adapter, queue, size).batches()
        return
    while batch := queue.take(size or BATCH_SIZE):
        rows = _rows(adapter, batch)
        queue.release(batch)
        yield rows


class _Stream:
    """A stream of queries and answers. Where it fails, the samples at work are asked again in halves, and another
    stream goes on behind them."""

    def __init__(self, adapter: StreamingAdapter, queue: Queue, at_once: int | None) -> None:
        self.adapter, self.queue, self.at_once = adapter, queue, at_once
        self.at_work: dict[int, Ready] = {}
        """Samples that were asked and not answered, by the number of the query in this stream."""
        self.rows: list[Row] = []
        """Answers that are not stored yet."""
        self.asked = 0

    def batches(self) -> Iterator[list[Row]]:
        size = self.at_once or BATCH_SIZE
        while True:
            asked = yield from self._one_stream(size)
            # Outside of the handler: the exception held the failed samples' tensors in memory.
            left = list(self.at_work.values()) if asked else self.queue.take(size)
            self.at_work.clear()
            self.rows += _rows(self.adapter, left)
            self.queue.release(left)
            if self.rows:
                yield self._take_rows()
            elif not asked:
                return

    def _one_stream(self, size: int) -> Generator[list[Row], None, bool]:
        """Rows of one stream, to its end or its failure. Returns whether it asked for anything."""
        before = self.asked
        try:
            for index, prediction in self.adapter.stream(self._queries(), self.at_once):
                ready = self.at_work.pop(index)
                self.rows.append(_answered(ready.row, _checked(prediction, 0.0)))
                self.queue.release([ready])
                del ready
                if len(self.rows) >= size:
                    yield self._take_rows()
        except UserError:
            raise
        except Exception:
            pass  # the samples at work are asked again: the one at fault says itself what is wrong
        return self.asked > before

    def _queries(self) -> Iterator[Prepared]:
        number = 0
        while taken := self.queue.take(1):
            self.asked += 1
            (ready,) = taken
            if ready.prepared is None:
                self.rows.append(ready.row)
                self.queue.release([ready])
                continue
            self.at_work[number] = ready
            number += 1
            yield ready.prepared

    def _take_rows(self) -> list[Row]:
        rows, self.rows = self.rows, []
        return rows


def _rows(adapter: ModelAdapter, batch: Sequence[Ready]) -> list[Row]:
    asked = [ready.prepared for ready in batch if ready.prepared is not None]
    predictions = iter(_generate(adapter, asked))
    return [ready.row if ready.prepared is None else _answered(ready.row, next(predictions)) for ready in batch]


def _answered(row: Row, prediction: Prediction) -> Row:
    """The row with its answer; what was noted of its media stays."""
    note = row.prediction.note
    return msgspec.structs.replace(
        row, prediction=prediction if note is None else msgspec.structs.replace(prediction, note=note)
    )


def _checked(prediction: Prediction, seconds: float) -> Prediction:
    """The prediction with its time; one whose points are no numbers has failed (JSON could not hold them)."""
    if not all(isfinite(point.x) and isfinite(point.y) and isfinite(point.time or 0.0) for point in prediction.points):
        return failure(SampleError(f"a point that is no number: {prediction.text[:80]}"))
    error = None if prediction.error is None else unicode(prediction.error)
    prediction = msgspec.structs.replace(prediction, text=unicode(prediction.text), error=error)
    return prediction if prediction.seconds is not None else msgspec.structs.replace(prediction, seconds=seconds)


def _generate(adapter: ModelAdapter, batch: Sequence[Prepared]) -> list[Prediction]:
    """Generate a batch; where it fails, its halves, down to the one sample that fails alone."""
    if not batch:
        return []
    started = time.perf_counter()
    try:
        predictions = adapter.generate(batch)
        if len(predictions) != len(batch):
            raise RuntimeError(f"the model gave {len(predictions)} answers to {len(batch)} queries")
        seconds = (time.perf_counter() - started) / len(batch)
        return [_checked(each, seconds) for each in predictions]
    except UserError:
        raise
    except Exception as error:
        if len(batch) == 1:
            return [failure(error)]
    # Outside of the handler: the exception held the failed batch's tensors in memory.
    half = len(batch) // 2
    return _generate(adapter, batch[:half]) + _generate(adapter, batch[half:])


def failure(error: Exception) -> Prediction:
    """The prediction of a sample that failed: a `SampleError` speaks for itself, others with their type."""
    kind = "" if isinstance(error, SampleError) else f"{type(error).__name__}: "
    return Prediction(error=unicode(f"{kind}{error}"))
