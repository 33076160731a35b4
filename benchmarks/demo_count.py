"""demo-count: shapes on a plain ground; how many of them does a label name?"""

from __future__ import annotations

from mpeval.scorers import CountAccuracy
from mpeval.types import CountTarget, Elicitation, Sample

from .generated import GeneratedBenchmark, count_slice, demo_card, demo_protocols, scene_media

_FIRST_SEED = 1000
"""Other scenes than demo-points has."""
_SCENES, _QUERIES_EACH = 100, 2


def _make() -> list[Sample]:
    from .scenes import generate

    samples = []
    for seed in range(_FIRST_SEED, _FIRST_SEED + _SCENES):
        scene = generate("shapes", seed, "heldout")
        media = scene_media(scene.image)
        queries = [query for query in scene.queries if query.kind == "count"][:_QUERIES_EACH]
        for i, query in enumerate(queries):
            slices = {"query": query.category, "targets": count_slice(query)}
            samples.append(Sample(f"{seed}-{i}", media, query.text, CountTarget(query.count), slices))
    return samples


benchmark = GeneratedBenchmark(
    card=demo_card(
        "demo-count",
        "Demo: counting",
        "Count the shapes of a colour, kind or size; also how often the count is close (within 1, or 5 %).",
        _SCENES * _QUERIES_EACH,
    ),
    elicitations={"short": Elicitation("short", "{query}", max_new_tokens=192)},
    scorers={"strict": CountAccuracy(), "paper": CountAccuracy.paper()},
    protocols=demo_protocols(
        "video counting: allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, VixMoPointCountEval",
        differs="reads the text alone, and never reads 'There are none.' as 0",
    ),
    make=_make,
)
