"""demo-video-count: shapes that move, hide and return; how many different ones does a label name?"""

from __future__ import annotations

from mpeval.scorers import CountAccuracy
from mpeval.types import CountTarget, Elicitation, Sample

from .generated import GeneratedBenchmark, clip_media, count_slice, demo_card, demo_protocols

_FIRST_SEED = 1000
"""Other clips than demo-video-points has."""
_CLIPS, _QUERIES_EACH = 60, 2


def _make() -> list[Sample]:
    from .scenes.clips import generate_clip

    samples = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + _CLIPS):
        clip = generate_clip(seed, "heldout")
        media = clip_media(clip)
        for i, query in enumerate(clip.queries[:_QUERIES_EACH]):
            slices = {"query": query.category, "targets": count_slice(query)}
            samples.append(Sample(f"{seed}-{i}", media, f"how many {query.label}", CountTarget(query.count), slices))
    return samples


benchmark = GeneratedBenchmark(
    card=demo_card(
        "demo-video-count",
        "Demo: counting moving shapes",
        "Count the different shapes that a label names, those that are away for a while once.",
        _CLIPS * _QUERIES_EACH,
        media="video",
    ),
    elicitations={"short": Elicitation("short", "{query}", max_new_tokens=192)},
    scorers={"strict": CountAccuracy(), "paper": CountAccuracy.paper()},
    protocols=demo_protocols(
        "Molmo2-VC: allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, VixMoPointCountEval",
        differs="reads the text alone, and never reads 'There are none.' as 0",
    ),
    make=_make,
)
