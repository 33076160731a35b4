"""molmo2-vc: how many objects, animals or events does a label name in a clip?

The dataset is allenai/Molmo2-VideoCountEval on the Hub, split val; its videos come from elsewhere. Facts: arXiv
2601.10611; allenai/molmo2 at f3cb108, olmo/data/molmo2_datasets.py (`Molmo2VideoCountEval`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from mpeval.data.rows import parquet_rows, to_samples
from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.media import Media
from mpeval.scorers import CountAccuracy
from mpeval.types import Card, CountTarget, Elicitation, ProtocolSpec, Sample

from .molmo2_videos import BY_HAND, PLACES, find_video

ROWS = "**/val-*.parquet"
BINS = (0, 5, 10, 15, 20, 25)
"""The release tells the accuracy of counts from one of these to the next."""

OVERCOUNT_FLOOR = 10
"""Points that an answer must exceed to count as far too many; the paper's own floor (Table 9) is not known."""


class Row(msgspec.Struct):
    video_id: str
    label: str
    question: str
    """The prompt, as it stands."""
    count: int
    category: str
    """object, animal or action/event."""
    video_source: str | None = None
    """youtube, MammalNet or generated."""
    clip_start: float | None = None
    clip_end: float | None = None
    """Seconds of the video."""


def count_bin(count: int) -> str:
    """The bin of a count, in the words of a slice: 0-4, ..., 25+."""
    first = max(each for each in BINS if each <= max(count, 0))
    return f"{first}+" if first == BINS[-1] else f"{first}-{BINS[BINS.index(first) + 1] - 1}"


def _read(folder: Path) -> Iterable[Sample]:
    def make(sample_id: str, row: Row) -> Sample:
        span = None if row.clip_end is None else (row.clip_start or 0.0, row.clip_end)
        return Sample(
            sample_id,
            Media.video(find_video(folder, row.video_id, row.video_source), span),
            row.question,
            CountTarget(row.count),
            {"category": row.category, "count": count_bin(row.count)},
        )

    rows = parquet_rows(sorted(folder.glob(ROWS)), ())
    return to_samples(((str(index), row) for index, row in enumerate(rows)), Row, make)


benchmark = DatasetBenchmark(
    card=Card(
        name="molmo2-vc",
        title="Molmo2-VC",
        description=(
            "How many different objects, animals or events a label names in a clip. overcounted is the share of "
            f"answers with more than twice as many points as there are things, and more than {OVERCOUNT_FLOOR} (Table "
            "9; the paper's own floor is not known)."
        ),
        source="Hub dataset allenai/Molmo2-VideoCountEval; videos as its page tells",
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
    source=DataSource("allenai/Molmo2-VideoCountEval", files=(ROWS,), by_hand=BY_HAND, videos=PLACES, split="val"),
    elicitations={"paper": Elicitation("paper", max_new_tokens=2048)},
    scorers={
        "paper": CountAccuracy.paper(overcount_floor=OVERCOUNT_FLOOR),
        "strict": CountAccuracy(overcount_floor=OVERCOUNT_FLOOR),
    },
    protocols={
        "paper": ProtocolSpec(
            "paper",
            "paper",
            "paper",
            "paper, Tables 4 and 9; allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, VixMoPointCountEval",
            differs="reads a number or a stated total from the text alone, and never reads 'There are none.' as 0",
            verified=True,
        ),
        "strict": ProtocolSpec(
            "strict",
            "paper",
            "strict",
            "the definition: the count that the answer states, else how many points it has",
        ),
    },
    read=_read,
)
