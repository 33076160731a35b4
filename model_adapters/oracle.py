"""Oracle: it sees the target and answers right. A benchmark on which it does not reach 1 has a fault."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import (
    RLE,
    AnyTarget,
    BoxTarget,
    CountTarget,
    MaskTarget,
    ObjectMasks,
    Point,
    PointsTarget,
    PolygonTarget,
    Prediction,
    Query,
    RefusalTarget,
    TimedMask,
    TrackTarget,
    UnreadableTarget,
    VideoPointsTarget,
)

from .sanity import CAPABILITIES, DECLINE, SanityModel, count_text, pointing

_WRITTEN = 1e-4
"""Pixels by which a written point may be off, on the widest of pictures."""


def answer(query: Query) -> Prediction:
    """An interior point of each target, the true count, or the statement that there is none."""
    target = query.target
    if target is None:
        raise ValueError("the oracle must be given the target (its capabilities say needs_target)")
    if isinstance(target, UnreadableTarget):
        raise SampleError(target.reason)
    if isinstance(target, RefusalTarget):
        return DECLINE
    if isinstance(target, CountTarget):
        return Prediction(text=count_text(target.count), form="count")
    points = _points(target, query.media)
    prediction = pointing(query, points) if points else DECLINE
    if isinstance(target, TrackTarget):
        masks = tuple(ObjectMasks(each.object_id, each.masks) for each in target.objects)
        return structs.replace(prediction, masks=masks)
    return prediction


def _points(
    target: BoxTarget | PolygonTarget | AnyTarget | MaskTarget | PointsTarget | VideoPointsTarget | TrackTarget,
    media: Media,
) -> tuple[Point, ...]:
    from mpeval.masks import interior_point

    if isinstance(target, BoxTarget):
        return (Point(*interior_point(_visible(target, media.size))),)
    if isinstance(target, PolygonTarget):
        return (Point(*interior_point(target)),)
    if isinstance(target, AnyTarget):
        return _points(target.places[0], media)
    if isinstance(target, MaskTarget):
        # One mask may stand for many things, and a scorer may want as many points as there are things.
        return (Point(*_in_mask(target, media.size)),) * max(1, target.count or 1)
    if isinstance(target, PointsTarget):
        return tuple(_covered(point, mask) for point, mask in zip(target.points, target.masks, strict=True))
    if isinstance(target, VideoPointsTarget):
        return _on_video(map(_timed, target.points, target.masks), target.size, media)
    points = (
        Point(*interior_point(mask), time=frame / target.fps, object_id=each.object_id)
        for each in target.objects
        for frame, mask in each.masks.items()
        if not target.asked or frame in target.asked
    )
    return _on_video(points, target.size, media)


def _on_video(points: Iterable[Point], stated: tuple[int, int] | None, media: Media) -> tuple[Point, ...]:
    """Points in pixels of the size that the dataset states, in those of the video."""
    if stated is None or stated == media.size:
        return tuple(points)
    across, down = media.size[0] / stated[0], media.size[1] / stated[1]
    return tuple(structs.replace(each, x=each.x * across, y=each.y * down) for each in points)


def _visible(target: BoxTarget, size: tuple[int, int]) -> BoxTarget:
    """The box's part on a picture of width, height, where it has one: text cannot point off the picture."""
    (x1, y1, x2, y2), (width, height) = target.box, size
    part = max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height)
    return BoxTarget(part) if part[0] <= part[2] and part[1] <= part[3] else target


def _timed(point: Point, masks: tuple[TimedMask, ...]) -> Point:
    """The object's own point where its mask covers it, else one inside the mask of nearly that time."""
    nearest = min(masks, key=lambda each: abs(each.time - (point.time or 0.0)))
    return structs.replace(_covered(point, nearest.mask), time=nearest.time)


def _covered(point: Point, mask: RLE) -> Point:
    """The point itself where the mask covers it and all around it, so that it is nearest to its own target; else one
    inside."""
    from mpeval.masks import interior_point, points_in_mask

    around = [(point.x + x, point.y + y) for x in (-_WRITTEN, _WRITTEN) for y in (-_WRITTEN, _WRITTEN)]
    if points_in_mask(mask, around, "floor").all() and points_in_mask(mask, around, "nearest").all():
        return point
    x, y = interior_point(mask)
    return structs.replace(point, x=x, y=y)


def _in_mask(target: MaskTarget, size: tuple[int, int]) -> tuple[float, float]:
    """A point that is inside for every program, if there is one: some look it up in the mask where it stands, others
    scale it to the mask's size, or look at the mask's grey. size: of the picture, width, height."""
    import numpy as np

    from mpeval.masks import decode, encode, interior_point

    width, height = size
    if target.mask.size == (height, width) and target.grey is None:
        return interior_point(target.mask)
    mask, grey = decode(target.mask), decode(target.grey or target.mask)
    in_place = np.zeros((height, width), bool)
    in_place[: mask.shape[0], : mask.shape[1]] = mask[:height, :width]
    scaled = np.ones((height, width), bool)
    for rounded in (np.rint, np.floor):
        row = rounded((np.arange(height) + 0.25) * (grey.shape[0] / height)).astype(int)
        column = rounded((np.arange(width) + 0.25) * (grey.shape[1] / width)).astype(int)
        scaled &= np.pad(grey, ((0, 1), (0, 1)))[row][:, column]
    for inside in (in_place & scaled, in_place, scaled):
        if inside.any():
            return interior_point(encode(inside))
    raise SampleError("no point of the picture lies in the mask")


def _load(argument: str | None, options: ModelOptions) -> SanityModel:
    return SanityModel("oracle", answer, structs.replace(CAPABILITIES, needs_target=True))


entry = ModelEntry("oracle", "Sanity model: sees the target and answers right", load=_load)
