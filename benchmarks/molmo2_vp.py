"""molmo2-vp: point once, with its time, at each thing that a label names in a video.

The dataset is allenai/Molmo2-VideoPointEval on the Hub, split val; its videos come from elsewhere. Facts: arXiv
2601.10611; allenai/molmo2 at f3cb108, olmo/data/molmo2_datasets.py (`Molmo2VideoPointEval`).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from mpeval.data.rows import parquet_rows, to_samples
from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.scorers import VideoPointsF1
from mpeval.types import Card, Elicitation, Point, ProtocolSpec, Sample, TimedMask, VideoPointsTarget

from .molmo2_videos import BY_HAND, PLACES, find_video
from .tracking.rows import Side, rle

ROWS = "**/val-*.parquet"
ANNOTATED_FPS = 2
"""Frames a second of which `frame_id` counts."""


class RowPoint(msgspec.Struct):
    x: float
    y: float
    """Pixels."""


class RowMask(msgspec.Struct):
    frame_id: int
    rle: Any


class Row(msgspec.Struct):
    video_id: str
    label: str
    width: Side
    height: Side
    video_duration: float
    """Seconds."""
    two_fps_timestamps: list[float]
    """When each point lies."""
    points: list[RowPoint]
    """One for each thing."""
    masks: list[list[RowMask]]
    """For each thing its masks."""
    video_source: str | None = None


def _read(folder: Path) -> Iterable[Sample]:
    def make(sample_id: str, row: Row) -> Sample:
        slices = {"targets": _targets_slice(len(row.points))}
        return Sample(
            sample_id,
            Media.video(find_video(folder, row.video_id, row.video_source)),
            row.label,
            _target(row),
            slices | ({"source": row.video_source} if row.video_source else {}),
        )

    rows = parquet_rows(sorted(folder.glob(ROWS)), ())
    return to_samples(((str(index), row) for index, row in enumerate(rows)), Row, make, on_threads=True)


def _target(row: Row) -> VideoPointsTarget:
    """Raises `SampleError` where points, times and masks differ in number, or a mask cannot be read."""
    from mpeval.masks import read_ahead

    if not len(row.points) == len(row.two_fps_timestamps) == len(row.masks):
        raise SampleError(
            f"the row has {len(row.points)} points, {len(row.two_fps_timestamps)} times and masks of {len(row.masks)}"
        )
    places = (value for each in row.points for value in (each.x, each.y))
    if not all(map(isfinite, (row.video_duration, *row.two_fps_timestamps, *places))):
        raise SampleError("the row's points, times or duration are no numbers")
    points = [Point(each.x, each.y, time=time) for each, time in zip(row.points, row.two_fps_timestamps)]
    masks = [
        tuple(TimedMask(each.frame_id / ANNOTATED_FPS, rle(each.rle)) for each in of_thing) for of_thing in row.masks
    ]
    read_ahead([each.mask for of_thing in masks for each in of_thing])
    return VideoPointsTarget(tuple(points), tuple(masks), row.video_duration, (row.width, row.height))


def _targets_slice(count: int) -> str:
    """How many things there are, in the words of a slice: 0, 1, 2-4, 5+."""
    return str(count) if count < 2 else "2-4" if count < 5 else "5+"


benchmark = DatasetBenchmark(
    card=Card(
        name="molmo2-vp",
        title="Molmo2-VP",
        description="Point once, with its time, at each thing that a label names in a video; masks twice a second.",
        source="Hub dataset allenai/Molmo2-VideoPointEval; videos as its page tells",
        revision="main",
        license="ODC-By 1.0; each video under its owner's terms",
        redistribution=False,
        size=None,
        suites=("video",),
        media="video",
        citation=(
            "@article{clark2026molmo2, title={Molmo2: Open Weights and Data for Vision-Language Models with Video "
            "Understanding and Grounding}, author={Clark, Christopher and Zhang, Jieyu and Ma, Zixian and others}, "
            "journal={arXiv preprint arXiv:2601.10611}, year={2026}}"
        ),
    ),
    source=DataSource("allenai/Molmo2-VideoPointEval", files=(ROWS,), by_hand=BY_HAND, videos=PLACES, split="val"),
    elicitations={"paper": Elicitation("paper", 'How many "{query}" are there in the video?', max_new_tokens=2048)},
    scorers={"paper": VideoPointsF1.paper(), "strict": VideoPointsF1()},
    protocols={
        "paper": ProtocolSpec(
            "paper",
            "paper",
            "paper",
            "paper, Table 4; allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, VixMoPointEval",
            differs="guesses the form of points in the text; a point hits only at exactly the time of a mask, so that "
            "one on the last frame, which need not be at half a second, can hardly hit; rounds to the nearest pixel, "
            "never quite reaches 1 (0.99999999995)",
            verified=True,
        ),
        "strict": ProtocolSpec(
            "strict",
            "paper",
            "strict",
            "the definition of the paper's metric, without its guesses: a point counts in the pixel that covers it, at "
            "the time of a mask",
        ),
    },
    read=_read,
)
