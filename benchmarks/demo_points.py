"""demo-points: shapes on a plain ground; point to all that a label or a relation names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.scorers import PointsF1
from mpeval.types import Elicitation, Point, PointsTarget, Sample

from .generated import GeneratedBenchmark, count_slice, demo_card, demo_protocols, scene_media

if TYPE_CHECKING:
    from .scenes import SceneQuery

_SCENES, _QUERIES_EACH = 84, 3


def _make() -> list[Sample]:
    from .scenes import generate

    samples = []
    for seed in range(_SCENES):
        scene = generate("shapes", seed, "heldout")
        media = scene_media(scene.image)
        queries = [query for query in scene.queries if query.kind == "points"][:_QUERIES_EACH]
        for i, query in enumerate(queries):
            slices = {"query": query.category, "targets": count_slice(query)}
            if size := _size(query):
                slices["size"] = size
            samples.append(Sample(f"{seed}-{i}", media, query.text, _target(query), slices))
    return samples


def _target(query: SceneQuery) -> PointsTarget:
    from mpeval.masks import encode

    points = tuple(Point(x, y) for x, y in query.points)
    return PointsTarget(points, tuple(encode(mask) for mask in query.masks))


def _size(query: SceneQuery) -> str | None:
    """Small, large or mixed targets; None where there is none. The two sizes never come near each other."""
    width, height = query.size
    between = 16.5 * (width * height) ** 0.5 / 112
    sizes = {"small" if region.mask.shape[1] < between else "large" for region in query.regions}
    return "mixed" if len(sizes) > 1 else next(iter(sizes), None)


benchmark = GeneratedBenchmark(
    card=demo_card(
        "demo-points",
        "Demo: shapes",
        "Point to the shapes of a colour, kind, size or place; one to eight shapes; at times there are none.",
        _SCENES * _QUERIES_EACH,
    ),
    elicitations={"short": Elicitation("short", "point to {query}", max_new_tokens=192)},
    scorers={"strict": PointsF1(), "paper": PointsF1.paper()},
    protocols=demo_protocols(
        "PixMo-Points: allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, PointingEval",
        differs="guesses the form of points in the text, rounds to the nearest pixel, never reaches 1",
        verified=True,
    ),
    make=_make,
)
