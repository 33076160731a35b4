"""Points in boxes and polygons, edges included, and a point inside a polygon. Plain Python: shapes are
small."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

Vertex = tuple[float, float]


def point_in_box(x: float, y: float, box: tuple[float, float, float, float]) -> bool:
    """Whether x, y lies in the box x1, y1, x2, y2, edges included (allenai/molmo2, olmo/eval/evaluators.py,
    `ScreenSpotEvaluator`)."""
    x1, y1, x2, y2 = box
    return x1 <= x <= x2 and y1 <= y <= y2


def point_in_polygon(x: float, y: float, polygon: Sequence[Vertex]) -> bool:
    """Whether x, y lies in the polygon, edges included: a ray to the right crosses the outline an odd number
    of times."""
    inside = False
    for (x1, y1), (x2, y2) in _edges(polygon):
        if _on_edge(x, y, x1, y1, x2, y2):
            return True
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def polygon_interior_point(polygon: Sequence[Vertex]) -> Vertex:
    """x, y of a point inside the polygon: the middle of the widest chord half-way between neighbouring vertex
    heights.

    A polygon without area has no inside: the mean of its vertices then.
    """
    best_width, best = 0.0, _mean(polygon)
    for above, below in pairwise(sorted({y for _, y in polygon})):
        y = (above + below) / 2
        crossings = sorted(
            x1 + (y - y1) / (y2 - y1) * (x2 - x1)
            for (x1, y1), (x2, y2) in _edges(polygon)
            if (y1 > y) != (y2 > y)
        )
        for left, right in zip(crossings[::2], crossings[1::2], strict=False):
            if right - left > best_width:
                best_width, best = right - left, ((left + right) / 2, y)
    return best


def _edges(polygon: Sequence[Vertex]) -> list[tuple[Vertex, Vertex]]:
    return [(polygon[i - 1], polygon[i]) for i in range(len(polygon))]


def _on_edge(x: float, y: float, x1: float, y1: float, x2: float, y2: float) -> bool:
    if not (min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2)):
        return False
    return (x - x1) * (y2 - y1) == (y - y1) * (x2 - x1)


def _mean(polygon: Sequence[Vertex]) -> Vertex:
    return sum(x for x, _ in polygon) / len(polygon), sum(y for _, y in polygon) / len(polygon)
