"""demo-screens: drawn interfaces; one click on a control, or none where the control is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.scorers import PointAccuracy
from mpeval.types import BoxTarget, Elicitation, PolygonTarget, RefusalTarget, Sample

from .generated import GeneratedBenchmark, demo_card, demo_protocols, scene_media

if TYPE_CHECKING:
    from .scenes import Scene, SceneQuery

_SCENES, _QUERIES_EACH = 84, 3
_TARGET_SLICE = {BoxTarget: "box", PolygonTarget: "polygon", RefusalTarget: "refusal"}


def _make() -> list[Sample]:
    from .scenes import generate

    samples = []
    for seed in range(_SCENES):
        scene = generate("screen", seed, "heldout")
        media = scene_media(scene.image)
        for i, query in enumerate(_queries(scene, with_refusal=seed % 2 == 1)):
            target = _target(query)
            slices = {"control": query.category, "target": _TARGET_SLICE[type(target)]}
            samples.append(Sample(f"{seed}-{i}", media, query.text, target, slices))
    return samples


def _queries(scene: Scene, with_refusal: bool) -> list[SceneQuery]:
    """Every second scene asks for one control that is not there: a sixth of all samples."""
    present = [query for query in scene.queries if not query.refusal]
    if not with_refusal:
        return present[:_QUERIES_EACH]
    absent = [query for query in scene.queries if query.refusal]
    return present[: _QUERIES_EACH - 1] + absent[:1]


def _target(query: SceneQuery) -> BoxTarget | PolygonTarget | RefusalTarget:
    if query.refusal:
        return RefusalTarget()
    (polygon,) = query.polygons
    return PolygonTarget(polygon) if polygon else BoxTarget(query.boxes[0])


benchmark = GeneratedBenchmark(
    card=demo_card(
        "demo-screens",
        "Demo: screens",
        "Click one control of a drawn interface: buttons, icons, toggles, sliders, boxes, tabs; or none.",
        _SCENES * _QUERIES_EACH,
    ),
    elicitations={"short": Elicitation("short", "{query}", max_new_tokens=64)},
    scorers={"strict": PointAccuracy(), "paper": PointAccuracy.paper()},
    protocols=demo_protocols(
        "ScreenSpot: allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, ScreenSpotEvaluator",
        differs="guesses the form of points in the text; its own targets are boxes alone",
    ),
    make=_make,
)
