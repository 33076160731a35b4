"""The photographs and pages: every picture there, licensed and small, every target inside its picture."""

from __future__ import annotations

import re

import pytest

from mpeval.benchmarks import demo_photos
from mpeval.masks import interior_point
from mpeval.metrics.regions import point_in_box, point_in_polygon
from mpeval.types import Benchmark, BoxTarget, PolygonTarget, RefusalTarget

FOLDER = demo_photos._HERE
SAMPLES = list(demo_photos.benchmark.samples())


def test_it_is_a_benchmark_outside_the_average():
    assert isinstance(demo_photos.benchmark, Benchmark)
    assert not demo_photos.benchmark.card.in_average
    assert demo_photos.benchmark.card.size == len(SAMPLES) == len({sample.id for sample in SAMPLES})
    assert {sample.slices["source"] for sample in SAMPLES} == {"photos", "pages"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_targets_lie_inside_their_picture(sample):
    width, height = sample.media.size
    assert max(width, height) <= 640
    target = sample.target
    if isinstance(target, BoxTarget):
        x1, y1, x2, y2 = target.box
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert point_in_box(*interior_point(target), target.box)
    elif isinstance(target, PolygonTarget):
        assert all(0 <= x <= width and 0 <= y <= height for x, y in target.polygon)
        assert point_in_polygon(*interior_point(target), target.polygon)
    else:
        assert isinstance(target, RefusalTarget)


def test_pictures_decode():
    for name in {sample.id.split("/")[0]: sample for sample in SAMPLES}.values():
        (pixels,) = name.media.pixels()
        assert pixels.shape == (name.media.size[1], name.media.size[0], 3)


def test_every_picture_has_a_licence_and_a_query():
    pictures = {path.name for path in (FOLDER / "pictures").iterdir()}
    licensed = set(re.findall(r"\b[a-z]+\.(?:jpg|png)\b", (FOLDER / "LICENSES.md").read_text(encoding="utf-8")))
    assert pictures <= licensed
    assert pictures == {sample.media.sources[0].name for sample in SAMPLES}  # type: ignore[union-attr]


def test_what_is_shipped_is_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 1_500_000
