"""demo-video-points: shapes that move, hide and return; one point with its time on each that a label names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.scorers import VideoPointsF1
from mpeval.types import Elicitation, Point, Sample, TimedMask, VideoPointsTarget

from .generated import GeneratedBenchmark, clip_media, count_slice, demo_card, demo_protocols

if TYPE_CHECKING:
    from .scenes.clips import ClipQuery, ClipScene

_CLIPS, _QUERIES_EACH = 60, 3


def _make() -> list[Sample]:
    from .scenes.clips import generate_clip

    samples = []
    for seed in range(_CLIPS):
        clip = generate_clip(seed, "heldout")
        media = clip_media(clip)
        for i, query in enumerate(clip.queries[:_QUERIES_EACH]):
            slices = {"query": query.category, "targets": count_slice(query)}
            samples.append(Sample(f"{seed}-{i}", media, query.label, video_points_target(clip, query), slices))
    return samples


def video_points_target(clip: ClipScene, query: ClipQuery) -> VideoPointsTarget:
    from mpeval.masks import encode

    from .scenes.clips import FPS, first_seen

    height, width = clip.frames[0].shape[:2]
    seen = [(number / FPS, region.anchor) for number, region in map(first_seen, query.tracks)]
    return VideoPointsTarget(
        points=tuple(Point(x, y, time=time) for time, (x, y) in seen),
        masks=tuple(
            tuple(
                TimedMask(time, encode(region.full_mask(height, width)))
                for time, region in zip(clip.times, track, strict=True)
                if region is not None
            )
            for track in query.tracks
        ),
        duration=len(clip.frames) / FPS,
    )


benchmark = GeneratedBenchmark(
    card=demo_card(
        "demo-video-points",
        "Demo: moving shapes",
        "Point once to each shape that a label names, at any time at which it is there; at times there are none.",
        _CLIPS * _QUERIES_EACH,
        media="video",
    ),
    elicitations={"short": Elicitation("short", "point to {query}", max_new_tokens=192)},
    scorers={"strict": VideoPointsF1(), "paper": VideoPointsF1.paper()},
    protocols=demo_protocols(
        "Molmo2-VP: allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, VixMoPointEval",
        differs="guesses the form of points in the text, rounds to the nearest pixel, never reaches 1",
        verified=True,
    ),
    make=_make,
)
