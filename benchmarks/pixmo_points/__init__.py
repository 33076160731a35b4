"""PixMo-Points: point at everything that a label names in a photograph; one mask stands for each point.

The dataset is allenai/pixmo-points-eval on the Hub, split test, one Parquet file. It holds the addresses of the
pictures and the SHA-256 of their bytes: `mpeval data prepare pixmo-points` fetches them into `images/<sha256>`. Facts:
the dataset's page; allenai/molmo2 at f3cb108, olmo/data/pixmo_datasets.py (`PixMoPointsEval`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from mpeval.data.rows import parquet_rows, to_samples
from mpeval.data.source import DatasetBenchmark, DataSource, Link
from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.scorers import PointsF1
from mpeval.types import Card, Elicitation, Point, PointsTarget, ProtocolSpec, Sample

from .masks import encode_masks
from .prompts import drawn_prompt

PARQUET = "data/test-*.parquet"


class PercentPoint(msgspec.Struct):
    """In percent of the masks' width and height; the dataset's page says pixels, which the numbers contradict."""

    x: float
    y: float


class Row(msgspec.Struct):
    image_url: str
    image_sha256: str
    """Of the picture's bytes, 64 hexadecimal digits."""
    label: str
    points: list[PercentPoint]
    masks: Any
    """Arrow lists of booleans, [points, height, width]; one empty mask where there are no points."""


@dataclass(frozen=True)
class LinkedPicture:
    """A picture that the dataset only links to (a `media.Stored`)."""

    file: Path
    url: str

    def __str__(self) -> str:
        return str(self.file)

    def read_bytes(self) -> bytes:
        if not self.file.is_file():
            fetch = "'mpeval data prepare pixmo-points' fetches what is still to be had"
            raise SampleError(f"the picture of {self.url} is not there as {self.file}: {fetch}")
        return self.file.read_bytes()


def _read(folder: Path) -> Iterable[Sample]:
    def make(sample_id: str, row: Row) -> Sample:
        if not _is_hash(row.image_sha256):
            raise SampleError(f"image_sha256 is no hash: {row.image_sha256!r}")
        picture = LinkedPicture(folder / "images" / row.image_sha256, row.image_url)
        lower = row.label.lower()
        return Sample(
            sample_id,
            Media.image(picture),
            row.label,
            _target(row),
            {"targets": _targets_slice(len(row.points))},
            {"lower": lower, "drawn": drawn_prompt(int(sample_id), lower)},
        )

    rows = parquet_rows(sorted(folder.glob(PARQUET)), (), arrow=("masks",))
    return to_samples(((str(index), row) for index, row in enumerate(rows)), Row, make, on_threads=True)


def _target(row: Row) -> PointsTarget:
    """Raises `SampleError` where points and masks differ in number, masks in size, or a point is no number."""
    if not row.points:
        return PointsTarget((), ())
    if not all(isfinite(each.x) and isfinite(each.y) for each in row.points):
        raise SampleError("one of the row's points is not made of numbers")
    masks = encode_masks(row.masks)
    if len(masks) != len(row.points):
        raise SampleError(f"the row has {len(row.points)} points and {len(masks)} masks")
    height, width = masks[0].size
    return PointsTarget(tuple(Point(each.x * width / 100, each.y * height / 100) for each in row.points), masks)


def _targets_slice(count: int) -> str:
    """How many things there are, in the words of a slice: 0, 1, 2-4, 5+."""
    return str(count) if count < 2 else "2-4" if count < 5 else "5+"


def _links(folder: Path) -> Iterable[Link]:
    """Each picture once: several rows may ask about one."""
    found: dict[str, Link] = {}
    for row in parquet_rows(sorted(folder.glob(PARQUET)), (), columns=("image_url", "image_sha256")):
        url, sha256 = row.get("image_url"), row.get("image_sha256")
        if url and sha256 and _is_hash(sha256):
            found.setdefault(sha256, Link(url, f"images/{sha256}", sha256))
    return found.values()


def _is_hash(text: str) -> bool:
    return len(text) == 64 and text.isalnum()


benchmark = DatasetBenchmark(
    card=Card(
        name="pixmo-points",
        title="PixMo-Points",
        description=(
            "Point at everything that a label names, in photographs; at times there is nothing. Pictures are fetched "
            "from where they were found: one that is gone fails its sample."
        ),
        source="allenai/pixmo-points-eval",
        revision="e237f0491ca49bf8dec04e06fc0c3807a37ef157",
        license="ODC-By 1.0; each picture under its owner's terms",
        redistribution=False,
        size=436,
        suites=("image",),
        citation=(
            "@inproceedings{deitke2025molmo, title={Molmo and PixMo: Open Weights and Open Data for State-of-the-Art "
            "Vision-Language Models}, author={Deitke, Matt and Clark, Christopher and Lee, Sangho and Tripathi, Rohun "
            "and others}, booktitle={CVPR}, year={2025}}"
        ),
    ),
    source=DataSource(
        "allenai/pixmo-points-eval",
        "e237f0491ca49bf8dec04e06fc0c3807a37ef157",
        files=(PARQUET,),
        size_bytes=3_154_059,
        links=_links,
        split="test",
    ),
    elicitations={
        "paper": Elicitation("paper", "{drawn}", max_new_tokens=192),
        "plain": Elicitation("plain", "{lower}", max_new_tokens=192),
    },
    scorers={"paper": PointsF1.paper(), "strict": PointsF1()},
    protocols={
        "paper": ProtocolSpec(
            "paper",
            "paper",
            "paper",
            "MolmoPoint, Table 2; allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, PointingEval",
            differs=(
                "guesses the form of points in the text, rounds to the nearest pixel, never quite reaches 1 "
                "(0.99999999995); the release drops rows whose picture is gone, before it numbers them and draws their "
                "prompts: here they keep their place and count as missing answers"
            ),
            verified=True,
        ),
        "strict": ProtocolSpec("strict", "paper", "strict", "the definition of the paper's metric, without its quirks"),
    },
    read=_read,
)
