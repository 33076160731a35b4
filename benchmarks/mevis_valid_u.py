"""mevis-valid-u: follow what an expression about motion means, in 50 videos of many alike objects.

Facts: Ding et al., arXiv 2308.08544; henghuiding/MeViS at 7c0620b; allenai/molmo2 at f3cb108,
olmo/data/academic_video_track_datasets.py (`Mevis`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import SampleError, UserError
from mpeval.types import Card, ProtocolSpec, Sample

from .tracking import protocols
from .tracking.lmms_eval import LmmsEvalTrackScore
from .tracking.prompts import WITH_LMMS_EVAL
from .tracking.rows import Layout, Masks, Row, by_frame, precomputed, samples
from .tracking.videos import VideoPlaces

BY_HAND = (
    "fetch MeViS_release.zip of the Hub's dataset FudanCVL/MeViS, unpack it there, and unpack "
    "MeViS_release/{split}/JPEGImages.tar beside itself"
)
LICENSE = "CC BY-NC-SA 4.0 (MeViS)"
CITATION = (
    "@inproceedings{ding2023mevis, title={MeViS: A Large-scale Benchmark for Video Segmentation with Motion "
    "Expressions}, author={Ding, Henghui and Liu, Chang and He, Shuting and Jiang, Xudong and Loy, Chen Change}, "
    "booktitle={ICCV}, year={2023}}"
)


def places(split: str) -> VideoPlaces:
    """Where a split's videos lie."""
    return VideoPlaces(
        encoded=(f"{split}/videos/{{video}}", "videos/{video}"),
        pictures=(f"MeViS_release/{split}/JPEGImages/{{video}}", f"{split}/JPEGImages/{{video}}"),
        home="MeViS",
        by_hand=BY_HAND.format(split=split),
    )


PREPARED = ("valid_u/MasksRLE/{video}/{qid}.json", "MeViS/valid_u/MasksRLE/{video}/{qid}.json")
ANNOTATIONS = ("MeViS_release/valid_u", "valid_u", "MeViS/MeViS_release/valid_u", "MeViS/valid_u")


def _masks(annotations: Mapping[str, msgspec.Raw], folder: Path, row: Row) -> Masks:
    """Those of the annotations that the row names, in its order."""
    found = precomputed(folder, PREPARED, row)
    if found is not None:
        return found
    names = [str(each) for each in row.anno_id]
    missing = [name for name in names if name not in annotations]
    if missing or not names:
        raise SampleError(f"mask_dict.json has no annotation {', '.join(missing) or 'for a row that names none'}")
    try:
        return [by_frame(msgspec.json.decode(annotations[name], type=list[Any])) for name in names]
    except msgspec.DecodeError as error:
        raise SampleError(f"an annotation of {', '.join(names)} in mask_dict.json holds no masks: {error}") from error


def _annotations(folder: Path) -> Mapping[str, msgspec.Raw]:
    """Annotation -> one mask or nothing a frame, of all videos; none where they were prepared one by one.

    They are left as they are written until a row names them.
    """
    for place in ANNOTATIONS:
        file = folder / place / "mask_dict.json"
        if file.is_file():
            try:
                return msgspec.json.decode(file.read_bytes(), type=dict[str, msgspec.Raw])
            except (msgspec.DecodeError, OSError) as error:
                raise UserError(f"{file} is not readable JSON ({error}): unpack it again") from error
    prepared = [folder / place.partition("/{")[0] for place in PREPARED]
    if any(each.is_dir() for each in (*prepared, folder / "masks")):
        return {}
    raise UserError(f"{folder} holds no mask_dict.json of valid_u: {BY_HAND.format(split='valid_u')}")


ROWS = "track/valid_u-*.parquet"
VIDEOS = places("valid_u")


def _read(folder: Path) -> Iterable[Sample]:
    return samples(folder, Layout(ROWS, VIDEOS, partial(_masks, _annotations(folder))))


benchmark = DatasetBenchmark(
    card=Card(
        name="mevis-valid-u",
        title="MeViS, valid-u",
        description=(
            "Follow every object that an expression about motion means: a point in each, once a second. 50 videos of "
            "many alike objects, all frames annotated."
        ),
        source="Hub datasets allenai/molmo2-mevis (expressions, points) and FudanCVL/MeViS (frames, masks)",
        revision="main",
        license=LICENSE,
        redistribution=False,
        size=793,
        suites=("tracking",),
        media="video",
        citation=CITATION,
    ),
    source=DataSource(
        "allenai/molmo2-mevis", files=(ROWS,), by_hand=VIDEOS.by_hand, videos=VIDEOS.patterns, split="valid_u"
    ),
    elicitations=WITH_LMMS_EVAL,
    scorers=protocols.scorers(LmmsEvalTrackScore(), protocols.MaskScore()),
    protocols={
        "paper": protocols.PAPER,
        "lmms-eval": protocols.LMMS_EVAL,
        "official": ProtocolSpec(
            "official",
            elicitation="paper",
            scorer="official",
            source="henghuiding/MeViS at 7c0620b, tools/eval_mevis.py",
            differs="J and F of the union of objects alone, over all frames; needs masks ('mpeval segment')",
            verified=True,
        ),
        "strict": protocols.STRICT,
    },
    read=_read,
)
