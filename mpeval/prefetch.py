"""Queries prepared ahead of the model on threads, as far as the memory allowed reaches.

Threads suffice: decoding (Pillow, PyAV), tiling (numpy), hashing and reading let go of the interpreter's lock.

What is begun next, and where memory ends, depends on the samples alone and not on how fast each was: a thread measures
its query first (from its media's header), then the queries take their memory in order.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mpeval.batches import Ready
from mpeval.types import Footprint, Sample

MOST_AHEAD = 4096
"""Queries prepared ahead at most, however small: their rows take memory too."""
WAKE = 0.2
"""Seconds between looks at whether the run is to stop, while nothing is ready."""
FAREWELL = 10.0
"""Seconds to wait for threads at the end; one may hang in a file on a network."""

Positioned = tuple[int, Sample]


class _Stop(Protocol):
    def is_set(self) -> bool: ...


@dataclass
class _Entry:
    """A query on its way."""

    positioned: Positioned
    number: int
    footprint: Footprint | None = None
    """None: not known before it is prepared."""
    measured: bool = False
    own_bytes: int = 0
    """What it holds for itself, while it is held."""
    ready: Ready | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.ready is not None or self.error is not None


class Prefetch:
    """Prepared queries in order. Media that several queries share count once.

    Where queries say what they need (`Footprint`), the bound is strict, but for a single query that is larger; else
    each is taken to be as large as the largest so far, and as many as there are threads begin before one is known.
    """

    def __init__(
        self,
        measure: Callable[[Positioned], Footprint | None],
        prepare: Callable[[Positioned], Ready],
        pending: Sequence[Positioned],
        workers: int,
        most_bytes: int,
    ) -> None:
        """measure: what a query will hold, read from headers alone; what it raises, `prepare` will say."""
        self._measure, self._prepare = measure, prepare
        self._todo = deque(pending)
        self._most_bytes = most_bytes
        self._ahead: deque[_Entry] = deque()
        """Begun and not taken, in order."""
        self._taken: dict[int, _Entry] = {}
        """Taken and not released, by position."""
        self._shared: dict[str, int] = {}
        """Media -> queries that hold them."""
        self._held_bytes = self._largest = 0
        self._begun = self._turn = 0
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, name=f"prepare-{i}", daemon=True) for i in range(workers)]

    @property
    def held_bytes(self) -> int:
        """What prepared queries hold, those included that are being prepared or answered."""
        return self._held_bytes

    def take(self, most: int, stop: _Stop) -> list[Ready]:
        """The next queries in order: fewer than `most` at the end or where memory ends; none if stopped.

        Raises what preparing raised that is no sample's own failure.
        """
        window: list[Ready] = []
        while len(window) < most and (entry := self._next_done(stop)) is not None:
            if entry.error is not None:
                raise entry.error
            assert entry.ready is not None
            window.append(entry.ready)
        return [] if stop.is_set() else window

    def release(self, batch: Iterable[Ready]) -> None:
        """Say that queries are done with: the room they leave is used at once."""
        with self._changed:
            for ready in batch:
                entry = self._taken.pop(ready.row.position)
                self._held_bytes -= entry.own_bytes
                if entry.footprint is not None and entry.footprint.media is not None:
                    self._leave(entry.footprint)
            self._changed.notify_all()

    def __enter__(self) -> Prefetch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        until = time.monotonic() + FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _next_done(self, stop: _Stop) -> _Entry | None:
        """Wait for the first one ahead; None at the end, when stopped, and where it waits for memory."""
        with self._changed:
            while not stop.is_set():
                if self._ahead and self._ahead[0].done:
                    entry = self._ahead.popleft()
                    self._taken[entry.positioned[0]] = entry
                    self._changed.notify_all()
                    return entry
                if not self._ahead and not self._todo:
                    return None
                if self._ahead and self._ahead[0].measured and self._waits(self._ahead[0]):
                    return None
                self._changed.wait(WAKE)
        return None

    # --- on the threads ---------------------------------------------------------------------------

    def _work(self) -> None:
        # One call a query: a thread that waits for the next must not hold the last one's picture.
        while self._one():
            pass

    def _one(self) -> bool:
        """Prepare the next query. False: there is none, or the run is over."""
        entry = self._begin()
        if entry is None:
            return False
        try:
            footprint = self._measure(entry.positioned)
        except Exception:
            footprint = Footprint(None, 0, 0)
        if not self._reserve(entry, footprint):
            return False
        ready, error = None, None
        try:
            ready = self._prepare(entry.positioned)
        except BaseException as raised:
            error = raised
        with self._changed:
            if footprint is None and ready is not None:
                self._held_bytes += ready.nbytes - entry.own_bytes
                entry.own_bytes = ready.nbytes
                self._largest = max(self._largest, ready.nbytes)
            entry.ready, entry.error = ready, error
            self._changed.notify_all()
        return True

    def _begin(self) -> _Entry | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._todo or len(self._ahead) < MOST_AHEAD)
            if self._closed or not self._todo:
                return None
            entry = _Entry(self._todo.popleft(), self._begun)
            self._begun += 1
            self._ahead.append(entry)
            return entry

    def _reserve(self, entry: _Entry, footprint: Footprint | None) -> bool:
        """Wait for this query's turn and for room. False: the run is over."""
        with self._changed:
            entry.footprint, entry.measured = footprint, True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or (entry.number == self._turn and not self._waits(entry)))
            if self._closed:
                return False
            self._held_bytes += self._needed(entry)
            entry.own_bytes = self._largest if footprint is None else footprint.own_bytes
            if footprint is not None and footprint.media is not None:
                self._shared[footprint.media] = self._shared.get(footprint.media, 0) + 1
            self._turn += 1
            self._changed.notify_all()
            return True

    def _waits(self, entry: _Entry) -> bool:
        """Whether it is the next one and finds no room. Where nothing is held, there is room for anything."""
        if entry.number != self._turn:
            return False
        return self._held_bytes > 0 and self._held_bytes + self._needed(entry) > self._most_bytes

    def _needed(self, entry: _Entry) -> int:
        if entry.footprint is None:
            return self._largest
        shared = entry.footprint.media is not None and entry.footprint.media in self._shared
        return entry.footprint.own_bytes + (0 if shared else entry.footprint.media_bytes)

    def _leave(self, footprint: Footprint) -> None:
        assert footprint.media is not None
        self._shared[footprint.media] -= 1
        if not self._shared[footprint.media]:
            del self._shared[footprint.media]
            self._held_bytes -= footprint.media_bytes


def side_by_side(samples: Sequence[Positioned]) -> list[Positioned]:
    """Queries on the same files next to each other, where the first of them stands: their media are prepared once.

    Files are told apart by name, nothing is read.
    """
    places: dict[object, int] = {}
    order = [places.setdefault(_files(sample), len(places)) for _, sample in samples]
    return [samples[index] for index in sorted(range(len(samples)), key=order.__getitem__)]


def _files(sample: Sample) -> object:
    media = sample.media
    return tuple(map(id, media.frames)) if media.frames else media.sources
