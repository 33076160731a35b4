"""molmo2-track: follow what an expression means in videos of five domains, often many alike objects at once.

The dataset is allenai/Molmo2-VideoTrackEval on the Hub: expressions, points and masks; its videos come from five other
datasets. Facts: allenai/molmo2 at f3cb108, olmo/data/molmo2_video_track_datasets.py (`Molmo2VideoTrackEval` and the
five sources).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mpeval.data.names import is_inside
from mpeval.data.rows import parquet_rows, to_samples
from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.types import Card, Sample, TrackTarget

from .tracking import protocols
from .tracking.prompts import ASKED_FPS, ELICITATIONS, drawn_prompt
from .tracking.rows import Fps, Frames, Side, by_frame, row_id, track_target
from .tracking.videos import frames_of

ROWS = "**/test-*.parquet"


@dataclass(frozen=True)
class Origin:
    """One of the five datasets that the videos are of."""

    domain: str
    clips: str
    """Folder of the clips that the release cuts, `<clip>.mp4`."""
    pictures: str = ""
    """Folder of a whole video's frames; `{video}` stands for its name, `{0}`, `{1}`, ... for the name's parts."""
    whole: str = ""
    """Folder of whole videos, `<video>.mp4`, where the dataset publishes videos."""
    every: int = 1
    """Of the published frames, each how many-th is one of the clip's."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of its videos, whatever they are."""
        published = f"{self.whole}/*.mp4" if self.whole else self.pictures.format("*", "*", "*", video="*")
        return published, f"{self.clips}/*.mp4"


ORIGINS: Mapping[str, Origin] = {
    "APTv2": Origin("animals", "APTv2/videos", "APTv2/APTv2/data/{0}/{1}/{2}"),
    "personpath22": Origin("person", "personpath22/videos/test", whole="personpath22/full_videos"),
    "sportsmot": Origin("sports", "SportsMOT/videos/val", "SportsMOT/sportsmot_publish/dataset/val/{video}/img1"),
    "dancetrack": Origin("dancers", "DanceTrack/videos/val", "DanceTrack/val/{video}/img1"),
    "sav": Origin("misc", "sav/sav_test/videos_fps6", "sav/sav_test/JPEGImages_24fps/{video}", every=4),
}
BY_HAND = (
    "the videos, each in the folder's own place: APTv2.zip (github.com/ViTAE-Transformer/APTv2) in APTv2; val of the "
    "Hub's noahcao/dancetrack in DanceTrack; sportsmot_publish.zip (codalab.lisn.upsaclay.fr/competitions/12424) in "
    "SportsMOT; what amazon-science/tracking-dataset's download.py fetches in personpath22/full_videos; sav_test.tar "
    "(ai.meta.com/datasets/segment-anything-video) in sav; all unpacked"
)


class ObjectPoints(msgspec.Struct):
    object_id: str | int
    points: list[list[float] | None]
    """x, y in pixels for each frame of the clip; nothing where the object is not seen."""


class ObjectEntries(msgspec.Struct):
    object_id: str | int
    masks: list[Any]
    """A COCO encoding, or nothing, for each frame of the clip."""


class Row(msgspec.Struct):
    video_dataset: str
    video: str
    clip: str
    exp: str
    fps: Fps
    w: Side
    h: Side
    start_frame: Frames | None
    end_frame: Frames | None
    """The clip's frames in its video, the last included."""
    mask_id: list[str | int]
    points: list[ObjectPoints]
    masks: list[ObjectEntries]


def _read(folder: Path) -> Iterable[Sample]:
    indices: dict[str, int] = {}

    def rows() -> Iterator[tuple[str, Any]]:
        """One at a time: together, the masks of all rows take gigabytes."""
        for index, row in enumerate(parquet_rows(sorted(folder.glob(ROWS)), ())):
            indices[row_id(row, index)] = index
            yield row_id(row, index), row

    def make(sample_id: str, row: Row) -> Sample:
        if row.video_dataset not in ORIGINS:
            raise SampleError(f"video_dataset is {row.video_dataset!r}, none of {', '.join(ORIGINS)}")
        origin = ORIGINS[row.video_dataset]
        slices = {"domain": origin.domain, "objects": str(len(row.mask_id)) if len(row.mask_id) < 3 else "3+"}
        wordings = {"drawn": drawn_prompt(indices[sample_id], row.exp)}
        return Sample(sample_id, _media(folder, origin, row), row.exp, _target(row), slices, wordings)

    return to_samples(rows(), Row, make)


def _media(folder: Path, origin: Origin, row: Row) -> Media:
    """The clip as the release cuts it, else its part of what the dataset publishes."""
    if not (is_inside(row.clip) and is_inside(row.video)):
        return Media.video(folder / "outside of the dataset")
    clip = folder / origin.clips / f"{row.clip}.mp4"
    if clip.is_file():
        return Media.video(clip, stated_fps=row.fps)
    first, end = (row.start_frame or 0, None if row.end_frame is None else row.end_frame + 1)
    if origin.whole and (whole := folder / origin.whole / f"{row.video}.mp4").is_file():
        span = (first / row.fps, end / row.fps) if end and row.clip != row.video else None
        return Media.video(whole, span, row.fps)
    parts = (*row.video.split("_", 2), "", "")
    pictures = folder / origin.pictures.format(*parts, video=row.video)
    if not origin.pictures or not pictures.is_dir():
        return Media.video(clip)
    frames = frames_of(pictures, least=(end - 1) * origin.every + 1 if end else 0)[:: origin.every]
    return Media("video", frames if row.clip == row.video else frames[first:end], rate=row.fps)


def _target(row: Row) -> TrackTarget:
    """Points of each sampled frame as the release lists them: by object, in the row's order."""
    if len(row.masks) != len(row.mask_id):
        raise SampleError(f"the row names {len(row.mask_id)} objects and has masks of {len(row.masks)}")
    length = max((len(each.points) for each in row.points), default=0)
    listed = []
    for number in range(0, length, max(int(row.fps) // ASKED_FPS, 1)):
        seen = [each for each in row.points if number < len(each.points) and each.points[number]]
        if seen:
            listed.append((number, {str(each.object_id): each.points[number] or [] for each in seen}))
    masks = [(str(each.object_id), by_frame(each.masks)) for each in row.masks]
    frames = max((len(each.masks) for each in row.masks), default=length)
    target = track_target(row.fps, frames, [str(each) for each in row.mask_id], listed, masks)
    return msgspec.structs.replace(target, size=(row.w, row.h))


benchmark = DatasetBenchmark(
    card=Card(
        name="molmo2-track",
        title="Molmo2-Track",
        description=(
            "Follow every object that an expression means, a point in each once a second, in videos of five domains: "
            "animals (APTv2), person (PersonPath22), sports (SportsMOT), dancers (DanceTrack), misc (SA-V)."
        ),
        source="Hub dataset allenai/Molmo2-VideoTrackEval (expressions, points, masks); videos of five other datasets",
        revision="main",
        license="ODC-By 1.0 for the annotations; each of the five datasets under its own terms",
        redistribution=False,
        size=None,
        suites=("tracking",),
        media="video",
        citation=(
            "@article{clark2026molmo2, title={Molmo2: Open Weights and Data for Vision-Language Models with Video "
            "Understanding and Grounding}, author={Clark, Christopher and Zhang, Jieyu and Ma, Zixian and others}, "
            "journal={arXiv preprint arXiv:2601.10611}, year={2026}}"
        ),
    ),
    source=DataSource(
        "allenai/Molmo2-VideoTrackEval",
        files=(ROWS,),
        by_hand=BY_HAND,
        videos=tuple(pattern for origin in ORIGINS.values() for pattern in origin.patterns),
        split="test",
    ),
    elicitations=ELICITATIONS,
    scorers=protocols.scorers(),
    protocols={"paper": protocols.PAPER, "strict": protocols.STRICT},
    read=_read,
)
