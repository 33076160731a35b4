"""The runner: samples in, predictions in the store.

Threads prepare queries (decode, tile, tokenize) while the device generates, those on the same media next to each
other (`prefetch.py`). Prepared queries are taken in windows, put in order and answered (`batches.py`). What lies
prepared is bounded in bytes. Each batch of answers is stored as soon as it is done.

Answers do not depend on which samples share a batch: that is the adapter's promise, and a query's seed comes
from the run's seed and the sample's id alone.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec

from mpeval.batches import BATCH_SIZE, Queue, Ready, batches, failure
from mpeval.errors import SampleError, UserError
from mpeval.prefetch import Positioned, Prefetch, side_by_side
from mpeval.store import Row, Run
from mpeval.types import (
    Elicitation,
    Footprint,
    MeasuringAdapter,
    ModelAdapter,
    Prediction,
    Query,
    Sample,
    UnreadableTarget,
)

BATCHES_IN_A_WINDOW = 8

PREFETCH_BYTES = 4 << 30
"""Host memory for prepared queries: a picture of 24 crops of 378 px takes 11 MB, once for all queries on it."""


@dataclass(frozen=True)
class Outcome:
    """How one call of `answer` ended."""

    answered: int
    failed: int
    interrupted: bool


def select(samples: Iterable[Sample], limit: int | None = None, seed: int = 0) -> list[Positioned]:
    """The samples to ask, in published order: all, or `limit` of them, drawn by seed and stratified by slice.

    A stratum is one combination of slice values; each gets its share of the draw, to within one sample. Draws
    are nested: those of a smaller limit are among those of a larger one. Raises `UserError` for an id that is
    used twice.
    """
    positioned = list(enumerate(samples))
    seen: set[str] = set()
    for _, sample in positioned:
        if sample.id in seen:
            raise UserError(f"sample id '{sample.id}' is used twice: ids of a benchmark must differ")
        seen.add(sample.id)
    if limit is None or limit >= len(positioned):
        return positioned

    strata: dict[str, list[Positioned]] = {}
    for each in positioned:
        strata.setdefault(str(sorted(each[1].slices.items())), []).append(each)
    order: list[tuple[float, Positioned]] = []
    for name, members in strata.items():
        # Systematic sampling: the members are spread evenly over 0..1 behind a random start.
        start = _random(seed, "stratum", name)
        members.sort(key=lambda each: _random(seed, "sample", each[1].id))
        order += [((rank + start) / len(members), each) for rank, each in enumerate(members)]
    order.sort(key=lambda each: (each[0], each[1][0]))
    return sorted((each for _, each in order[:limit]), key=lambda each: each[0])


def query_seed(seed: int, sample_id: str) -> int:
    """A sample's own seed in 0..2**32-1, fixed by the run's seed and the sample's id."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{sample_id}".encode()).digest()[:4], "big")


def _random(seed: int, kind: str, name: str) -> float:
    """A number in 0..1 that is the same on every machine and Python."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{kind}/{name}".encode()).digest()[:7], "big") / 2**56


def answer(
    adapter: ModelAdapter,
    samples: Sequence[Positioned],
    elicitation: Elicitation,
    run: Run,
    *,
    seed: int = 0,
    batch_size: int | None = None,
    workers: int | None = None,
    prefetch_bytes: int = PREFETCH_BYTES,
    progress: Callable[[int], None] = lambda stored: None,
) -> Outcome:
    """Ask the model about every sample that the run has no answer to, and store what comes back.

    Samples that failed in an earlier session are asked again. batch_size: how many samples are asked together; None:
    as many as a model that streams finds room for, else `BATCH_SIZE`. progress is told how many samples were just
    stored. Ctrl-C finishes the samples at work and stops; a second one stops at once. Raises `UserError` for
    what no other sample would survive either.
    """
    done = run.done()
    pending = [each for each in samples if each[1].id not in done]
    measure = partial(_measure, adapter, elicitation, seed)
    prepare = partial(_prepare, adapter, elicitation, seed)
    answered = failed = 0
    sizes = _windows(batch_size or BATCH_SIZE)
    with (
        _interruptible() as stop,
        Prefetch(measure, prepare, side_by_side(pending), workers or cores(), prefetch_bytes) as ahead,
    ):
        queue = Queue(lambda: ahead.take(next(sizes), stop), ahead.release, stop)
        for rows in batches(adapter, queue, batch_size):
            run.put(rows)
            failed_here = sum(row.prediction.error is not None for row in rows)
            failed += failed_here
            answered += len(rows) - failed_here
            progress(len(rows))
        return Outcome(answered, failed, interrupted=stop.is_set())


def _windows(batch: int) -> Iterator[int]:
    """Samples in each window: two batches first, so that the device need not wait for more, then twice as many each."""
    batches = 2
    while True:
        yield batches * batch
        batches = min(2 * batches, BATCHES_IN_A_WINDOW)


# --- one sample -----------------------------------------------------------------------------------

_ONE_BY_ONE = threading.Lock()
"""Held by the thread that prepares again what did not fit into memory beside what other threads were preparing."""


def _measure(adapter: ModelAdapter, elicitation: Elicitation, seed: int, positioned: Positioned) -> Footprint | None:
    """What preparing the sample will take; None where the model cannot say."""
    _, sample = positioned
    if not isinstance(adapter, MeasuringAdapter):
        return None
    prompt = elicitation.prompt(sample)
    return adapter.footprint(Query(sample.id, sample.media, prompt, elicitation, query_seed(seed, sample.id)))


def _prepare(adapter: ModelAdapter, elicitation: Elicitation, seed: int, positioned: Positioned) -> Ready:
    """The sample as the model takes it, or its row with what is wrong with it."""
    try:
        return _prepared(adapter, elicitation, seed, positioned)
    except MemoryError:
        pass  # outside of the handler: the exception holds what was made so far
    with _ONE_BY_ONE:  # as others may at this moment
        try:
            return _prepared(adapter, elicitation, seed, positioned)
        except MemoryError as error:
            position, sample = positioned
            reason = str(error) or "MemoryError"
            said = SampleError(f"memory ended while this was prepared ({reason})")
            row = Row(sample.id, position, None, None, sample.query, sample.target, dict(sample.slices), failure(said))
            return Ready(row, None)


def _prepared(adapter: ModelAdapter, elicitation: Elicitation, seed: int, positioned: Positioned) -> Ready:
    """`_prepare`; raises `MemoryError`."""
    position, sample = positioned
    target = sample.target
    row = Row(sample.id, position, None, None, sample.query, target, dict(sample.slices), Prediction())
    try:
        if isinstance(target, UnreadableTarget):
            raise SampleError(f"the dataset's row cannot be used: {target.reason}")
        row = msgspec.structs.replace(row, prompt=elicitation.prompt(sample))
        row = msgspec.structs.replace(row, media_sha256=sample.media.sha256, size=sample.media.size)
        if sample.media.kind == "video" and sample.media.clip.fault:
            row = msgspec.structs.replace(row, prediction=Prediction(note=sample.media.clip.fault))
        shown = target if adapter.capabilities.needs_target else None
        query = Query(sample.id, sample.media, row.prompt, elicitation, query_seed(seed, sample.id), shown)
        return Ready(row, adapter.prepare(query))
    except (UserError, MemoryError):
        raise
    except Exception as error:
        return Ready(msgspec.structs.replace(row, prediction=failure(error)), None)


# --- threads and signals --------------------------------------------------------------------------


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second raises `KeyboardInterrupt`."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(2, b"\nmpeval: stopping after this batch (Ctrl-C again: at once)\n")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def cores() -> int:
    """Cores that this process may use, 16 at most."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, available)
