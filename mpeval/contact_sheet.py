"""One picture of a whole answer about a video or several pictures: a panel a frame, points and targets in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mpeval.types import Point, PointsTarget, Target, TrackTarget, VideoPointsTarget

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from mpeval.media import Media
    from mpeval.types import RLE
    from mpeval.video.clip import Clip

_MOST_FRAMES = 12
_PANEL_SIDE = 320
_COLUMNS = 4
_GAP = 6
_UNIT = 2
"""Letters are ten of these high."""

_Named = tuple[str, Point]


def contact_sheet(
    media: Media, points: Sequence[Point], target: Target | None = None, caption: str = ""
) -> Image.Image:
    """Draw frames of a video, at most 12, those with points before those of the target alone; all of several pictures.

    A point bears its object's name, or its number among all points. A target's masks are rimmed where they are known.
    Raises `SampleError` where media cannot be read.
    """
    from PIL import Image

    from mpeval.drawing import with_caption

    panels = list(_panels(media, points, target))
    width, height = (max(panel.size[axis] for panel in panels) + _GAP for axis in (0, 1))
    columns = min(_COLUMNS, len(panels))
    sheet = Image.new("RGB", (columns * width - _GAP, -(-len(panels) // columns) * height - _GAP), "white")
    for place, panel in enumerate(panels):
        sheet.paste(panel, (place % columns * width, place // columns * height))
    return with_caption(sheet, caption, _UNIT) if caption else sheet


def _panels(media: Media, points: Sequence[Point], target: Target | None) -> Iterator[Image.Image]:
    named = [(point.object_id or str(number), point) for number, point in enumerate(points, start=1)]
    if media.kind == "video":
        yield from _frames(media.clip, named, target)
        return
    for place, pixels in enumerate(media.pixels()):
        here = [each for each in named if (each[1].image or 0) == place]
        yield _panel(pixels, here, [], f"picture {place + 1}")


def _frames(clip: Clip, named: Sequence[_Named], target: Target | None) -> Iterator[Image.Image]:
    """Of points with a time past the clip's end the last frame is shown: where they would be sought."""
    points: dict[int, list[_Named]] = defaultdict(list)
    for name, point in named:
        points[int(clip.on_screen([point.time or 0.0])[0])].append((name, point))
    masks = _masks(clip, target)
    shown = _spread(sorted(points), _MOST_FRAMES)
    shown += _spread(sorted(set(masks) - set(points)), _MOST_FRAMES - len(shown))
    shown = sorted(shown) or _spread(range(clip.frame_count), _MOST_FRAMES)
    for frame, start, pixels in zip(shown, clip.starts(shown), clip.pixels(shown), strict=True):
        yield _panel(pixels, points[frame], masks.get(frame, []), f"{start:.2f} s")


def _masks(clip: Clip, target: Target | None) -> dict[int, list[RLE]]:
    """A target's masks by frame of the clip."""
    timed: list[tuple[float, RLE]] = []
    if isinstance(target, VideoPointsTarget):
        timed = [(each.time, each.mask) for track in target.masks for each in track]
    elif isinstance(target, TrackTarget):
        timed = [(number / target.fps, mask) for each in target.objects for number, mask in each.masks.items()]
    found: dict[int, list[RLE]] = defaultdict(list)
    for frame, (_, mask) in zip(clip.on_screen([time for time, _ in timed]), timed, strict=True):
        found[int(frame)].append(mask)
    return found


def _spread(frames: Sequence[int], most: int) -> list[int]:
    """At most so many of the frames, evenly, the first and the last among them where two have room."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / max(1, most - 1))] for i in range(most)]


def _panel(pixels: np.ndarray, named: Sequence[_Named], masks: Sequence[RLE], caption: str) -> Image.Image:
    from mpeval.drawing import draw, with_caption

    names, points = [name for name, _ in named], [point for _, point in named]
    drawn = draw(pixels, points, PointsTarget((), tuple(masks)), names=names, side=_PANEL_SIDE)
    return with_caption(drawn, caption, _UNIT - 1)
