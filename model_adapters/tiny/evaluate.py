"""What a checkpoint answers on scenes that are neither trained on nor in the benchmarks: a curve while training.

The demo benchmarks draw from the first seeds of the held-out split; these scenes start at `FIRST_SEED`.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mpeval.benchmarks.scenes import SceneQuery, generate
from mpeval.masks import encode
from mpeval.media import Media
from mpeval.metrics.points import point_set_scores
from mpeval.metrics.regions import point_in_box, point_in_polygon
from mpeval.registry import ModelOptions
from mpeval.types import Elicitation, Prediction, Query

from ..molmo import MolmoAdapter

FIRST_SEED = 1_000_000
_ASKED = Elicitation("short", max_new_tokens=128)
_BATCH = 32


def evaluate(folder: Path, scenes: int) -> dict[str, float]:
    """F1 of points, count accuracy and screen accuracy over the first queries of `scenes` scenes of each kind."""
    adapter = MolmoAdapter("tiny", folder, ModelOptions(device="cpu", dtype="float32"))
    asked = list(_queries(scenes))
    values: dict[str, list[float]] = defaultdict(list)
    for start in range(0, len(asked), _BATCH):
        chunk = asked[start : start + _BATCH]
        prepared = [adapter.prepare(Query("", media, query.prompt, _ASKED)) for query, media in chunk]
        for (query, _), prediction in zip(chunk, adapter.generate(prepared), strict=True):
            values[query.kind].append(score(query, prediction))
            if query.kind != "count" and query.count == 1:
                values["one_target"].append(score(query, prediction))
    return {kind: round(float(np.mean(kept)), 4) for kind, kept in values.items()}


def score(query: SceneQuery, prediction: Prediction) -> float:
    points = [(point.x, point.y) for point in prediction.points]
    if query.kind == "points":
        return point_set_scores(points, query.points, [encode(mask) for mask in query.masks]).f1
    if query.kind == "count":
        said = f"total of {query.count}." if query.count else "There are none."
        return float(prediction.text.endswith(said))
    if not query.regions or not points:
        return float(not query.regions and not points)
    region = query.regions[0]
    inside = point_in_polygon(*points[0], region.polygon) if region.polygon else point_in_box(*points[0], region.box)
    return float(inside)


def _queries(scenes: int) -> Iterator[tuple[SceneQuery, Media]]:
    for seed in range(FIRST_SEED, FIRST_SEED + scenes):
        for kind, each in (("shapes", {"points": 2, "count": 1}), ("screen", {"screen": 2})):
            scene = generate(kind, seed, "heldout")  # type: ignore[arg-type]
            stored = io.BytesIO()
            Image.fromarray(scene.image).save(stored, format="PNG", compress_level=1)
            media = Media.image(stored.getvalue())
            for wanted, count in each.items():
                of_kind = [query for query in scene.queries if query.kind == wanted]
                # Screens list absent controls last: take both ends.
                chosen = of_kind[:count] if wanted != "screen" else [of_kind[seed % len(of_kind)], of_kind[0]]
                yield from ((query, media) for query in chosen)
