"""mevis-valid: MeViS's 140 videos whose truth is not public; the challenge's server scores what is submitted.

Facts: henghuiding/MeViS at 7c0620b, README.md; allenai/molmo2 at f3cb108, olmo/data/academic_video_track_datasets.py
(`MevisChallenge`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.types import Card, ProtocolSpec, Sample

from . import mevis_valid_u
from .tracking import protocols, submission
from .tracking.prompts import ELICITATIONS
from .tracking.rows import Layout, samples

LAYOUT = Layout("track/valid-*.parquet", mevis_valid_u.places("valid"), None)


def _read(folder: Path) -> Iterable[Sample]:
    return samples(folder, LAYOUT)


benchmark = DatasetBenchmark(
    card=Card(
        name="mevis-valid",
        title="MeViS, valid",
        description=(
            "Follow every object that an expression about motion means. Its truth is not public: a run is not scored "
            "here; 'mpeval segment' and 'mpeval export --format submission' make what the challenge's server takes."
        ),
        source="Hub datasets allenai/molmo2-mevis-valid (expressions) and FudanCVL/MeViS (frames)",
        revision="main",
        license=mevis_valid_u.LICENSE,
        redistribution=False,
        size=2236,
        suites=("tracking",),
        in_average=False,
        media="video",
        citation=mevis_valid_u.CITATION,
    ),
    source=DataSource(
        "allenai/molmo2-mevis-valid", files=(LAYOUT.rows,), by_hand=LAYOUT.videos.by_hand, videos=LAYOUT.videos.patterns
    ),
    elicitations=ELICITATIONS,
    scorers={"server": protocols.ServerScore()},
    protocols={
        name: ProtocolSpec(
            name,
            elicitation="paper",
            scorer="server",
            source="the challenge's server, https://codalab.lisn.upsaclay.fr/competitions/15094 (paper, Table 5)",
            differs="nothing is scored here: the server's J&F of the submitted masks is the score",
        )
        for name in ("paper", "strict")
    },
    read=_read,
    submission=lambda folder: submission.queries(folder, LAYOUT, "", ("MeViS_release/valid", "valid")),
)
