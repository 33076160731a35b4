"""ref-yt-vos: follow the one object that an expression means, in videos of YouTube-VOS.

Facts: Seo et al., ECCV 2020; allenai/molmo2 at f3cb108, olmo/data/academic_video_track_datasets.py (`RefYoutubeVOS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.types import Card, Sample

from .tracking import protocols, submission
from .tracking.lmms_eval import LmmsEvalTrackScore
from .tracking.prompts import WITH_LMMS_EVAL
from .tracking.rows import Layout, Masks, Row, drawn_masks, precomputed, samples
from .tracking.videos import VideoPlaces

HOME = "Ref-YT-VOS"
WHITE = 255


def _masks(folder: Path, row: Row) -> Masks:
    places = ("valid/MasksRLE/{video}/{qid}.json", f"{HOME}/valid/MasksRLE/{{video}}/{{qid}}.json")
    found = precomputed(folder, places, row)
    if found is not None:
        return found
    root = folder if (folder / "valid/Annotations").is_dir() else folder / HOME
    pattern = f"valid/Annotations/{row.video}/{row.qid}/*.png"
    return [drawn_masks(root, pattern, (int(row.width), int(row.height)), WHITE, least=True)]


LAYOUT = Layout(
    "track/valid-*.parquet",
    VideoPlaces(
        encoded=("valid/videos/{video}", "videos/{video}"),
        pictures=("valid/JPEGImages/{video}",),
        home=HOME,
        by_hand=(
            "join the challenge at https://competitions.codalab.org/competitions/29139, fetch valid.zip there and "
            "unpack it in the folder (valid/JPEGImages)"
        ),
    ),
    _masks,
)


def _read(folder: Path) -> Iterable[Sample]:
    """Without masks the truth counts as not public: the challenge scores what is submitted."""
    masks = ("valid/Annotations", "valid/MasksRLE", "masks")
    public = any((root / place).is_dir() for root in (folder, folder / HOME) for place in masks)
    return samples(folder, LAYOUT if public else replace(LAYOUT, masks=None))


benchmark = DatasetBenchmark(
    card=Card(
        name="ref-yt-vos",
        title="Ref-YouTube-VOS, valid",
        description=(
            "Follow the object that an expression means, a point once a second. Without its masks in the folder a run "
            "is not scored here: 'mpeval export --format submission' writes what the challenge's server takes."
        ),
        source="Hub dataset allenai/molmo2-ref-yt-vos (expressions, points); the challenge's valid.zip (frames)",
        revision="main",
        license="CC BY 4.0 for the annotations (YouTube-VOS); each video under its owner's terms",
        redistribution=False,
        size=834,
        suites=("tracking",),
        media="video",
        citation=(
            "@inproceedings{seo2020urvos, title={URVOS: Unified Referring Video Object Segmentation Network with a "
            "Large-Scale Benchmark}, author={Seo, Seonguk and Lee, Joon-Young and Han, Bohyung}, booktitle={ECCV}, "
            "year={2020}}"
        ),
    ),
    source=DataSource(
        "allenai/molmo2-ref-yt-vos",
        files=(LAYOUT.rows,),
        by_hand=LAYOUT.videos.by_hand,
        videos=LAYOUT.videos.patterns,
        split="valid",
    ),
    elicitations=WITH_LMMS_EVAL,
    scorers=protocols.scorers(LmmsEvalTrackScore()),
    protocols={"paper": protocols.PAPER, "lmms-eval": protocols.LMMS_EVAL, "strict": protocols.STRICT},
    read=_read,
    submission=lambda folder: submission.queries(folder, LAYOUT, "Annotations", ("meta_expressions/valid", "valid")),
)
