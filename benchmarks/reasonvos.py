"""reasonvos: follow the one object that takes reasoning to find.

Facts: Bai et al., arXiv 2409.19603; allenai/molmo2 at f3cb108, olmo/data/academic_video_track_datasets.py
(`ReasonVOS`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import SampleError
from mpeval.types import Card, Sample

from .tracking import protocols
from .tracking.lmms_eval import LmmsEvalTrackScore
from .tracking.prompts import WITH_LMMS_EVAL
from .tracking.rows import Layout, Masks, Row, drawn_masks, precomputed, samples
from .tracking.videos import VideoPlaces

HOME = "ReasonVOS"
WHITE = 255


def _masks(folder: Path, row: Row) -> Masks:
    """The pictures of the one annotation that the row names: a source, a video and an object."""
    places = ("MasksRLE/{video}/{qid}.json", f"{HOME}/MasksRLE/{{video}}/{{qid}}.json")
    found = precomputed(folder, places, row)
    if found is not None:
        return found
    if len(row.anno_id) != 1:
        raise SampleError(f"the row names {len(row.anno_id)} annotations, one is expected")
    roots = [folder, folder / HOME, folder / HOME / HOME]
    root = next((each for each in roots if (each / "Annotations").is_dir()), folder / HOME)
    pattern = f"Annotations/{row.anno_id[0]}/*.png"
    return [drawn_masks(root, pattern, (int(row.width), int(row.height)), WHITE, least=True)]


LAYOUT = Layout(
    "track/test-*.parquet",
    VideoPlaces(
        encoded=("videos/{video}",),
        pictures=("ReasonVOS/JPEGImages/{video}", "JPEGImages/{video}"),
        home=HOME,
        by_hand=(
            "fetch ReasonVOS.zip from the address on github.com/showlab/VideoLISA "
            "(https://drive.google.com/file/d/1QMggGR91AE-iUUub5YwzMYiFt0TeV5_8) and unpack it in the folder "
            "(ReasonVOS/JPEGImages, ReasonVOS/Annotations)"
        ),
    ),
    _masks,
)


def _read(folder: Path) -> Iterable[Sample]:
    return samples(folder, LAYOUT)


benchmark = DatasetBenchmark(
    card=Card(
        name="reasonvos",
        title="ReasonVOS",
        description="Follow the object that an expression means, where it takes knowledge or reasoning to see which.",
        source="Hub dataset allenai/molmo2-reasonvos (expressions, points); showlab/VideoLISA (frames, masks)",
        revision="main",
        license="not stated by its publishers; each video under its owner's terms",
        redistribution=False,
        size=458,
        suites=("tracking",),
        media="video",
        citation=(
            "@inproceedings{bai2024videolisa, title={One Token to Seg Them All: Language Instructed Reasoning "
            "Segmentation in Videos}, author={Bai, Zechen and He, Tong and Mei, Haiyang and Wang, Pichao and others}, "
            "booktitle={NeurIPS}, year={2024}}"
        ),
    ),
    source=DataSource(
        "allenai/molmo2-reasonvos",
        files=(LAYOUT.rows,),
        by_hand=LAYOUT.videos.by_hand,
        videos=LAYOUT.videos.patterns,
        split="test",
    ),
    elicitations=WITH_LMMS_EVAL,
    scorers=protocols.scorers(LmmsEvalTrackScore()),
    protocols={"paper": protocols.PAPER, "lmms-eval": protocols.LMMS_EVAL, "strict": protocols.STRICT},
    read=_read,
)
