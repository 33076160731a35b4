"""Media are prepared once for all questions on them, and cross to the device once."""

from __future__ import annotations

import gc
import io
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import mpeval.engine.tiling as tiling
from mpeval.media import Media
from mpeval.model_adapters.molmo import MolmoAdapter
from mpeval.model_adapters.molmo_media import KEEP_BYTES
from mpeval.once import Once
from mpeval.registry import ModelOptions, resolve_model
from mpeval.runner import Outcome, answer, select
from mpeval.store import Run
from mpeval.types import CountTarget, Elicitation, Query, Sample

from ..test_store import manifest
from ..video.videos import write_video

ASKED = Elicitation("test", "{query}", max_new_tokens=4, max_crops=6)


@pytest.fixture(scope="module")
def adapter() -> MolmoAdapter:
    entry, argument = resolve_model("random-weights:tiny")
    return entry.load(argument, ModelOptions(device="cpu", dtype="float32"))  # type: ignore[return-value]


@pytest.fixture
def calls(adapter: MolmoAdapter, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of the tilers was called by an adapter that has seen nothing yet."""
    monkeypatch.setattr(adapter.media, "_once", Once(KEEP_BYTES))
    found: Counter[str] = Counter()
    lock = threading.Lock()

    def count(name: str) -> None:
        tiler = getattr(tiling, name)

        def counted(*arguments: Any) -> Any:
            with lock:
                found[name] += 1
            return tiler(*arguments)

        monkeypatch.setattr(tiling, name, counted)

    count("tile_images")
    count("tile_video")
    return found


def png(seed: int, width: int = 130, height: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def ask(adapter: MolmoAdapter, samples: list[Sample], folder: Path, **options: int) -> tuple[Outcome, list]:
    with Run.write(folder, manifest()) as run:
        outcome = answer(adapter, select(samples), ASKED, run, workers=4, **options)  # type: ignore[arg-type]
        return outcome, list(run.rows())


@pytest.mark.parametrize("prefetch_bytes", [1, 1 << 30])
def test_64_questions_on_one_screenshot_tile_it_once(
    adapter: MolmoAdapter, calls: Counter[str], tmp_path: Path, prefetch_bytes: int
) -> None:
    """Also where each question has a file of its own with the same bytes, and others stand between them."""
    screen, samples = png(0), list[Sample]()
    (tmp_path / "screen.png").write_bytes(screen)
    for number in range(64):
        media = Media.image(tmp_path / "screen.png" if number % 2 else screen)
        samples.append(Sample(f"s{number}", media, f"find {number}", CountTarget(0)))
        if number % 16 == 0:
            samples.append(Sample(f"other{number}", Media.image(png(number + 1)), "find", CountTarget(0)))
    outcome, rows = ask(adapter, samples, tmp_path / "run", batch_size=4, prefetch_bytes=prefetch_bytes)
    assert outcome == Outcome(68, 0, False)
    assert [row.sample_id for row in rows] == [sample.id for sample in samples]
    assert calls == {"tile_images": 5}


def test_answers_are_those_of_questions_asked_alone(adapter: MolmoAdapter, tmp_path: Path) -> None:
    media = [Media.image(png(index % 2)) for index in range(6)]
    samples = [Sample(f"s{i}", each, f"find {i}", CountTarget(0)) for i, each in enumerate(media)]
    _, rows = ask(adapter, samples, tmp_path / "run", batch_size=6)
    for row, sample in zip(rows, samples, strict=True):
        (alone,) = adapter.generate([adapter.prepare(Query(sample.id, sample.media, sample.query, ASKED))])
        assert (row.prediction.text, row.prediction.points) == (alone.text, alone.points)


def test_a_picture_that_cannot_be_decoded_is_its_questions_failure_alone(adapter: MolmoAdapter, tmp_path: Path) -> None:
    cut = png(1)[:-900]
    media = [Media.image(cut if index % 3 == 0 else png(2)) for index in range(12)]
    outcome, rows = ask(
        adapter, [Sample(f"s{i}", each, "find", CountTarget(0)) for i, each in enumerate(media)], tmp_path / "run"
    )
    assert outcome == Outcome(8, 4, False)
    assert [bool(row.prediction.error) for row in rows] == [index % 3 == 0 for index in range(12)]
    assert all("cannot decode" in (row.prediction.error or "") for row in rows[::3])


def test_a_video_is_decoded_once_for_all_questions_on_the_same_frames(
    adapter: MolmoAdapter, calls: Counter[str], tmp_path: Path
) -> None:
    write_video(tmp_path / "clip.mp4", 12)
    media = [Media.video(tmp_path / "clip.mp4", span=(0.0, 0.2) if index == 5 else None) for index in range(6)]
    samples = [Sample(f"s{i}", each, f"find {i}", CountTarget(0)) for i, each in enumerate(media)]
    outcome, _ = ask(adapter, samples, tmp_path / "run")
    assert outcome == Outcome(6, 0, False)
    assert calls == {"tile_video": 2}, "the whole clip, and its beginning"


@pytest.mark.parametrize(
    "media",
    [
        Media.image(png(0, 640, 480)),
        Media.image(png(0, 31, 700)),
        Media.image(png(0, 9, 5)),
        Media("images", (png(1), png(2, 300, 40))),
        Media("video", frames=tuple(np.zeros((5, 40, 60, 3), np.uint8)), times=(0.0, 0.5, 1.0, 1.5, 2.0)),
    ],
    ids=["screen", "strip", "dot", "two", "video"],
)
@pytest.mark.parametrize("max_crops", [1, 6])
def test_a_footprint_is_never_less_than_what_is_held_nor_twice_as_much(
    adapter: MolmoAdapter, media: Media, max_crops: int
) -> None:
    query = Query("0", media, "find the red circle " * 5, Elicitation("t", max_crops=max_crops))
    prepared, footprint = adapter.prepare(query), adapter.footprint(query)
    assert footprint.media == prepared.shown.name
    assert prepared.shown.nbytes <= footprint.media_bytes
    assert prepared.nbytes <= footprint.media_bytes + footprint.own_bytes
    if media.kind != "images":
        assert footprint.media_bytes < 2 * prepared.shown.nbytes


def test_tiles_are_views_of_the_joined_pixels(adapter: MolmoAdapter) -> None:
    prepared = adapter.prepare(Query("0", Media("images", (png(1), png(2, 300, 40))), "find", ASKED))
    shown = prepared.shown
    assert [len(each.pixels) for each in shown.tiles] == [7, 7]
    start = shown.pixels.data_ptr()
    assert [each.pixels.ctypes.data - start for each in shown.tiles] == [0, shown.tiles[0].pixels.nbytes]


def test_one_copy_crosses_to_the_device_and_goes_with_the_last_question(adapter: MolmoAdapter) -> None:
    """`meta` stands for a GPU: a device that is not the host's."""
    device = torch.device("meta")
    shown = adapter.prepare(Query("0", Media.image(png(3)), "find", ASKED)).shown
    assert shown.pixels_on(torch.device("cpu")) is shown.pixels, "nothing is copied on a CPU"
    first, second = shown.pixels_on(device), shown.pixels_on(device)
    assert first is second and first.device == device and first.shape == shown.pixels.shape
    del first, second
    gc.collect()
    assert shown._copy[0]() is None, "no device memory is held for questions to come"
    assert shown.pixels_on(device).device == device


def test_pixels_are_pinned_for_a_gpu_alone(adapter: MolmoAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned: list[torch.Size] = []

    def pin_memory(self: torch.Tensor) -> torch.Tensor:
        pinned.append(self.shape)
        return self.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    adapter.prepare(Query("0", Media.image(png(4)), "find", ASKED))
    assert not pinned
    monkeypatch.setattr(adapter.media, "pin", True)
    query = Query("0", Media.image(png(5)), "find", ASKED)
    shown = adapter.prepare(query).shown
    assert adapter.footprint(query).media_bytes > 1 << (shown.pixels.nbytes - 1).bit_length(), "as torch rounds it up"
    assert pinned == [shown.pixels.shape]
    assert shown.tiles[0].pixels.ctypes.data == shown.pixels.data_ptr(), "the tiles are in pinned memory too"
