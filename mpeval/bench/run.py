"""A whole run of screens, against the same tensors lying on the device."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mpeval.bench.limits import host_peak_bytes, reset_host_peak, seconds
from mpeval.bench.media import ANSWER
from mpeval.bench.pictures import SCREEN_24_SIZE, Numbered, screen_png
from mpeval.bench.results import ScreenRun
from mpeval.bench.subject import QUESTION, Subject
from mpeval.manifest import SCHEMA, Manifest, run_identity
from mpeval.media import Media
from mpeval.runner import answer, cores
from mpeval.store import Run
from mpeval.types import Card, CountTarget, Elicitation, Query, Sample

DRAWN = 4
"""Different screens; a run shows each many times, under other names."""
ASKED = Elicitation("bench", max_new_tokens=ANSWER, max_crops=24)
PREPARING, MOST_PREPARING = 0.1, 10.0
"""Of the run's time, to measure how fast screens are prepared; and seconds at most."""


def screen_run(subject: Subject, screens: int, budget: float, progress: Callable[[int], None]) -> ScreenRun:
    """Run `screens` PNG pictures of 24 crops from bytes to stored rows: as many as `budget` seconds allow.

    Against it, the same prepared queries with their pixels on the device. progress is told of rows that are stored.
    """
    from mpeval.engine.memory import slots_that_fit

    device = subject.model.device
    drawn = [screen_png(SCREEN_24_SIZE, seed) for seed in range(DRAWN)]

    def sample(number: int) -> Sample:
        return Sample(str(number), Media.image(Numbered(drawn[number % DRAWN], number)), QUESTION, CountTarget(0))

    def prepared(number: int) -> Any:
        each = sample(number)
        return subject.prepare(Query(each.id, each.media, QUESTION, ASKED))

    ready = [prepared(number) for number in range(DRAWN)]
    seconds_preparing = min(PREPARING * budget, MOST_PREPARING)
    one_thread, prepared_a_second = _preparing(lambda number: prepared(DRAWN + number), seconds_preparing)
    slots = slots_that_fit(subject.model, subject.engine_input(ready[0]), ANSWER)
    on_device = [replace(each, shown=replace(each.shown, pixels=each.shown.pixels.to(device))) for each in ready]

    def resident(count: int) -> list[Any]:
        """Prepared queries that share pixels on the device and nothing else."""
        chosen = [(number, on_device[number % DRAWN]) for number in range(count)]
        return [replace(each, shown=replace(each.shown, name=f"{each.shown.name} {n}")) for n, each in chosen]

    def answer_resident(count: int) -> None:
        for _ in subject.stream(iter(resident(count)), slots):
            pass

    few = min(screens, max(2, slots // 2))
    answer_resident(1)
    one = seconds(lambda: answer_resident(few), device) / few
    slowest = max(one, 1 / prepared_a_second)
    asked, screens = screens, max(DRAWN, min(screens, int(0.8 * budget / (one + slowest))))
    device_seconds = seconds(lambda: answer_resident(screens), device)
    reset_host_peak()
    run_seconds, fault = _run(subject, [sample(10_000 + number) for number in range(screens)], slots, progress)
    notes = [f"{asked} would have taken longer than the time given"] * (screens < asked) + [fault] * bool(fault)
    return ScreenRun(
        screens=screens,
        threads=cores(),
        prepared_a_second=prepared_a_second,
        prepared_on_one_thread=one_thread,
        device_seconds=device_seconds,
        run_seconds=run_seconds,
        ratio=run_seconds / device_seconds,
        peak_host_bytes=host_peak_bytes(),
        note="; ".join(notes),
    )


def _preparing(prepare: Callable[[int], object], budget: float) -> tuple[float, float]:
    """Screens prepared a second on one thread and on as many as a run has, in about `budget` seconds."""
    begun = time.perf_counter()
    for number in range(2):
        prepare(number)
    one_thread = 2 / (time.perf_counter() - begun)
    count = max(cores(), int(budget * cores() * one_thread))
    begun = time.perf_counter()
    with ThreadPoolExecutor(cores()) as pool:
        for _ in pool.map(prepare, range(2, 2 + count)):
            pass
    return one_thread, count / (time.perf_counter() - begun)


def _run(subject: Subject, samples: list[Sample], slots: int, progress: Callable[[int], None]) -> tuple[float, str]:
    """Wall time from pictures to rows in a store, and what went wrong, if anything."""
    card = Card("bench", "Bench", "", "drawn", "1", "", True, len(samples))
    identity = run_identity(subject, card, ASKED, 0)
    manifest = Manifest(SCHEMA, subject.name, card.name, "bench", identity, len(samples))
    with TemporaryDirectory() as folder, Run.write(Path(folder) / "run", manifest) as run:
        begun = time.perf_counter()
        outcome = answer(subject, list(enumerate(samples)), ASKED, run, batch_size=slots, progress=progress)
        taken = time.perf_counter() - begun
        if outcome.interrupted:
            raise KeyboardInterrupt
        errors = [row.prediction.error for row in run.rows() if row.prediction.error]
    return taken, f"{len(errors)} screens failed: {errors[0]}" if errors else ""
