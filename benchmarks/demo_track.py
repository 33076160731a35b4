"""demo-track: shapes that move, hide and return; follow each that a label names through the clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.scorers import TrackScore
from mpeval.types import Elicitation, Sample, TrackedObject, TrackTarget

from .generated import GeneratedBenchmark, clip_media, count_slice, demo_card, demo_protocols

if TYPE_CHECKING:
    from .scenes.clips import ClipQuery, ClipScene

_FIRST_SEED = 2000
"""Other clips than the other two have."""
_CLIPS, _QUERIES_EACH = 60, 2


def _make() -> list[Sample]:
    from .scenes.clips import generate_clip

    samples = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + _CLIPS):
        clip = generate_clip(seed, "heldout")
        media = clip_media(clip)
        queries = [query for query in clip.queries if query.count][:_QUERIES_EACH]
        for i, query in enumerate(queries):
            slices = {"query": query.category, "targets": count_slice(query), "away": _away(query)}
            samples.append(Sample(f"{seed}-{i}", media, query.label, track_target(clip, query), slices))
    return samples


def track_target(clip: ClipScene, query: ClipQuery) -> TrackTarget:
    from mpeval.masks import encode

    from .scenes.clips import FPS

    height, width = clip.frames[0].shape[:2]
    objects = []
    for name, track in enumerate(query.tracks, start=1):
        seen = {number: region for number, region in enumerate(track) if region is not None}
        objects.append(
            TrackedObject(
                str(name),
                {number: region.anchor for number, region in seen.items()},
                {number: encode(region.full_mask(height, width)) for number, region in seen.items()},
            )
        )
    return TrackTarget(tuple(objects), FPS, tuple(range(len(clip.frames))))


def _away(query: ClipQuery) -> str:
    """Whether any of the shapes is away in some frame."""
    return "some" if any(region is None for track in query.tracks for region in track) else "none"


benchmark = GeneratedBenchmark(
    card=demo_card(
        "demo-track",
        "Demo: tracking",
        "Follow each shape that a label names: a point in every frame in which it is there, under one number.",
        116,
        media="video",
    ),
    elicitations={"short": Elicitation("short", "track {query}", max_new_tokens=512)},
    scorers={"strict": TrackScore(), "paper": TrackScore.paper()},
    protocols=demo_protocols(
        "paper, Tables 5 and 6: allenai/molmo2 at f3cb108, olmo/eval/object_tracking_utils.py",
        differs="goes by an object's place in a list, so that with one absent it tests a point against another's "
        "mask; rounds to the nearest pixel, never reaches 1",
        verified=True,
    ),
    make=_make,
)
