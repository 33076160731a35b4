"""ref-davis17: follow the object that an expression means, in the 30 validation videos of DAVIS 2017.

Facts: Khoreva et al., ACCV 2018; allenai/molmo2 at f3cb108, olmo/data/academic_video_track_datasets.py (`RefDavis17`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.types import Card, Sample

from .tracking import davis, protocols
from .tracking.lmms_eval import LmmsEvalTrackScore
from .tracking.prompts import WITH_LMMS_EVAL
from .tracking.rows import Layout, Masks, Row, drawn_masks, precomputed, samples
from .tracking.videos import VideoPlaces

HOME = "Ref-DAVIS17"


def _masks(folder: Path, row: Row) -> Masks:
    """Each object's number in the palette of the video's annotations."""
    places = ("valid/MasksRLE/{video}/{qid}.json", f"{HOME}/valid/MasksRLE/{{video}}/{{qid}}.json")
    found = precomputed(folder, places, row)
    if found is not None:
        return found
    root = folder if (folder / "DAVIS").is_dir() else folder / HOME
    pattern, size = f"DAVIS/Annotations/480p/{row.video}/*.png", (int(row.width), int(row.height))
    return [drawn_masks(root, pattern, size, number) for number in row.obj_id]


LAYOUT = Layout(
    "track/valid-*.parquet",
    VideoPlaces(
        encoded=("valid/videos/{video}", "videos/{video}"),
        pictures=("DAVIS/JPEGImages/480p/{video}",),
        home=HOME,
        by_hand=(
            "fetch https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip and unpack it in the "
            "folder (DAVIS/JPEGImages/480p, DAVIS/Annotations/480p)"
        ),
    ),
    _masks,
    davis.groups,
)


def _read(folder: Path) -> Iterable[Sample]:
    return samples(folder, LAYOUT)


benchmark = DatasetBenchmark(
    card=Card(
        name="ref-davis17",
        title="Ref-DAVIS17, valid",
        description=(
            "Follow the object that an expression means, in the 30 validation videos of DAVIS 2017. Each of 61 objects "
            "has an expression by two annotators after its first frame and two after the whole video: four sets of "
            "expressions."
        ),
        source="Hub dataset allenai/molmo2-ref-davis17 (expressions, points); DAVIS 2017 (frames, masks)",
        revision="main",
        license="not stated by its publishers",
        redistribution=False,
        size=244,
        suites=("tracking",),
        media="video",
        citation=(
            "@inproceedings{khoreva2018video, title={Video Object Segmentation with Language Referring Expressions}, "
            "author={Khoreva, Anna and Rohrbach, Anna and Schiele, Bernt}, booktitle={ACCV}, year={2018}}"
        ),
    ),
    source=DataSource(
        "allenai/molmo2-ref-davis17",
        files=(LAYOUT.rows,),
        by_hand=LAYOUT.videos.by_hand,
        videos=LAYOUT.videos.patterns,
        split="valid",
    ),
    elicitations=WITH_LMMS_EVAL,
    scorers=protocols.scorers(LmmsEvalTrackScore(), davis.DavisScore()),
    protocols={
        "paper": protocols.PAPER,
        "lmms-eval": protocols.LMMS_EVAL,
        "official": protocols.DAVIS,
        "strict": protocols.STRICT,
    },
    read=_read,
)
