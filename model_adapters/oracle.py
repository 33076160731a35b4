"""Oracle: it sees the target and answers right. A benchmark on which it does not reach 1 has a fault."""

from __future__ import annotations

from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import (
    BoxTarget,
    CountTarget,
    MaskTarget,
    Point,
    PointsTarget,
    PolygonTarget,
    Prediction,
    Query,
    RefusalTarget,
    TrackTarget,
)

from .sanity import CAPABILITIES, DECLINE, SanityModel, count_text, pointing


def answer(query: Query) -> Prediction:
    """An interior point of each target, the true count, or the statement that there is none."""
    target = query.target
    if target is None:
        raise ValueError("the oracle must be given the target (its capabilities say needs_target)")
    if isinstance(target, RefusalTarget):
        return DECLINE
    if isinstance(target, CountTarget):
        return Prediction(text=count_text(target.count), form="count")
    points = _points(target)
    return pointing(query, points) if points else DECLINE


def _points(target: BoxTarget | PolygonTarget | MaskTarget | PointsTarget | TrackTarget) -> tuple[Point, ...]:
    from msgspec.structs import replace

    from mpeval.masks import interior_point

    if isinstance(target, BoxTarget | PolygonTarget):
        return (Point(*interior_point(target)),)
    if isinstance(target, MaskTarget):
        # One mask may stand for many things, and a scorer may want as many points as there are things.
        return (Point(*interior_point(target.mask)),) * max(1, target.count or 1)
    if isinstance(target, PointsTarget):
        inside = [interior_point(mask) for mask in target.masks]
        return tuple(replace(point, x=x, y=y) for point, (x, y) in zip(target.points, inside, strict=True))
    return tuple(
        Point(*interior_point(mask), time=frame / target.fps, object_id=each.object_id)
        for each in target.objects
        for frame, mask in each.masks.items()
    )


def _load(argument: str | None, options: ModelOptions) -> SanityModel:
    from msgspec.structs import replace

    return SanityModel("oracle", answer, replace(CAPABILITIES, needs_target=True))


entry = ModelEntry("oracle", "Sanity model: sees the target and answers right", load=_load)
