"""Runs made for the site's tests: written straight into the store, without a model."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from mpeval import registry
from mpeval.manifest import Manifest, Session, run_folder
from mpeval.store import Row, Run
from mpeval.types import BoxTarget, Point, Prediction, RefusalTarget

HOSTILE = "<img src=x onerror=alert(1)>"

_AT_ONCE = 1000


def put_run(out: Path, model: str, benchmark: str, rows: Iterable[Row], expected: int, seed: int = 0) -> Path:
    """Write a run as `mpeval run` would; gives its folder."""
    found = registry.benchmark(benchmark)
    protocol = next(iter(found.protocols.values()))
    elicitation = found.elicitations[protocol.elicitation]
    identity = {
        "model": {"name": model},
        "benchmark": {"name": benchmark, "revision": found.card.revision},
        "elicitation": {"name": elicitation.name, "template": elicitation.template},
        "seed": seed,
    }
    session = Session("2026-01-01T00:00:00+00:00", f"mpeval run --model {model}", {}, "cpu", "float32", 8)
    manifest = Manifest(1, model, benchmark, protocol.name, identity, expected, (session,))
    folder = run_folder(out, identity)
    with Run.write(folder, manifest) as run:
        batch = []
        for row in rows:
            batch.append(row)
            if len(batch) == _AT_ONCE:
                run.put(batch)
                batch = []
        run.put(batch)
    return folder


def screens(count: int, accuracy: float, seed: int = 0) -> Iterator[Row]:
    """Rows of a screen benchmark: one click each, three queries on a picture, a few refusals and format failures."""
    draw, targets = random.Random(seed), random.Random(1)
    width, height = 1920, 1080
    for i in range(count):
        side = targets.choice((8, 30, 60, 150, 400))
        x, y = float(targets.randint(0, width - side)), float(targets.randint(0, height - side))
        control, platform = targets.choice(("button", "icon", "text", "toggle")), targets.choice(("web", "desktop"))
        target = RefusalTarget() if targets.random() < 0.05 else BoxTarget((x, y, x + side, y + side))
        if draw.random() < 0.03:
            prediction = Prediction("I would click there.", generated_tokens=9, seconds=0.1)
        else:
            hit = draw.random() < accuracy
            point = Point(x + side / 2, y + side / 2) if hit else Point(draw.randrange(width), draw.randrange(height))
            text = f'<points coords="1 1 {point.x:.0f} {point.y:.0f}">it</points>'
            prediction = Prediction(text, (point,), "molmo2-coords", generated_tokens=12, seconds=0.1)
        slices = {"control": control, "platform": platform}
        yield Row(f"sample-{i}", i, f"{i // 3:064x}", (width, height), f"click control {i}", target, slices, prediction)


def hostile(count: int = 5) -> Iterator[Row]:
    """Rows whose every text would do harm as markup or as a key."""
    script = "</script><script>alert(1)</script>"
    slices = {"__proto__": HOSTILE, "control": "');alert(1);//", "constructor": script}
    prompt, target = f"{HOSTILE} 'and' \\ \u2028 \u202eback", BoxTarget((0, 0, 15, 15))
    for i in range(count):
        error = HOSTILE if i == 4 else None
        points = () if error else (Point(10.0 * i, 10.0),)
        prediction = Prediction(HOSTILE, points, "molmo2-coords", generated_tokens=4, error=error)
        yield Row(f"{HOSTILE}{i}", i, f"{i:064x}", (100, 80), prompt, target, slices, prediction)
