"""Pictures of answers: points, boxes, polygons and masks on the media they belong to.

Every line is drawn twice, a wide dark one under a narrow bright one, so that it shows on any background.
Sizes grow with the picture; small pictures are enlarged first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpeval.types import RLE, AnyTarget, BoxTarget, MaskTarget, Point, PointsTarget, PolygonTarget, Target

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

_SMALLEST_SIDE = 640
"""A picture whose longer side is shorter is enlarged: markers must not hide what they mark."""
_PREDICTED = (255, 45, 85)
_TARGET = (60, 230, 110)
_UNDER = (0, 0, 0)
_OVER = (255, 255, 255)


def draw(
    pixels: np.ndarray,
    points: Sequence[Point] = (),
    target: Target | None = None,
    caption: str = "",
    names: Sequence[str] | None = None,
    side: int | None = None,
) -> Image.Image:
    """Draw a target in green and named points in red.

    pixels: uint8 [height, width, 3]; points and target in its pixels. caption: text under the picture. names: what
    stands beside each point (default: 1, 2, ...). side: longer side of the drawn picture in pixels (default: its own).
    What lies outside the picture is not drawn, but the numbers keep their order.
    """
    factor = side / max(pixels.shape[:2]) if side else math.ceil(_SMALLEST_SIDE / max(pixels.shape[:2]))
    picture = _scaled(pixels, factor)
    unit = max(1, round(max(picture.size) / 400))
    for mask in _masks(target):
        picture = _with_rim(picture, mask, unit)
    _draw_target(picture, target, factor, unit)
    for point, name in zip(points, names or [str(number + 1) for number in range(len(points))], strict=True):
        _draw_point(picture, point.x * factor, point.y * factor, name, unit)
    return with_caption(picture, caption, unit) if caption else picture


def _scaled(pixels: np.ndarray, factor: float) -> Image.Image:
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.NEAREST if factor >= 1 else Image.Resampling.BOX)


def _masks(target: Target | None) -> list[RLE]:
    if isinstance(target, MaskTarget):
        return [target.mask]
    return list(target.masks) if isinstance(target, PointsTarget) else []


def _with_rim(picture: Image.Image, rle: RLE, unit: int) -> Image.Image:
    """The picture with a mask's rim, drawn just outside it: what the mask covers stays as it is."""
    import numpy as np
    from PIL import Image
    from scipy.ndimage import binary_dilation

    from mpeval.masks import decode

    scaled = Image.fromarray(decode(rle)).resize(picture.size, Image.Resampling.NEAREST)
    inside = np.asarray(scaled, dtype=bool)
    pixels = np.array(picture)
    green = binary_dilation(inside, iterations=2 * unit)
    pixels[binary_dilation(green, iterations=unit) & ~inside] = _UNDER
    pixels[green & ~inside] = _TARGET
    return Image.fromarray(pixels)


def _draw_target(picture: Image.Image, target: Target | None, factor: float, unit: int) -> None:
    if isinstance(target, BoxTarget):
        x1, y1, x2, y2 = target.box
        _outline(picture, [(x1, y1), (x2, y1), (x2, y2), (x1, y2)], factor, unit)
    elif isinstance(target, PolygonTarget):
        _outline(picture, target.polygon, factor, unit)
    elif isinstance(target, AnyTarget):
        for place in target.places:
            _draw_target(picture, place, factor, unit)
    elif isinstance(target, PointsTarget):
        for point in target.points:
            _cross(picture, point.x * factor, point.y * factor, 3 * unit, unit)


def _outline(picture: Image.Image, corners: Sequence[tuple[float, float]], factor: float, unit: int) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    line = [(x * factor, y * factor) for x, y in (*corners, corners[0])]
    draw.line(line, fill=_UNDER, width=4 * unit, joint="curve")
    draw.line(line, fill=_TARGET, width=2 * unit, joint="curve")


def _cross(picture: Image.Image, x: float, y: float, arm: int, unit: int) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    for colour, width, reach in ((_UNDER, 3 * unit, arm + unit), (_TARGET, unit, arm)):
        draw.line([(x - reach, y), (x + reach, y)], fill=colour, width=width)
        draw.line([(x, y - reach), (x, y + reach)], fill=colour, width=width)


def _draw_point(picture: Image.Image, x: float, y: float, name: str, unit: int) -> None:
    """A ring with a dot at the point itself, and its name beside it, inside the picture."""
    from PIL import ImageDraw

    if not (0 <= x <= picture.width and 0 <= y <= picture.height):
        return
    draw = ImageDraw.Draw(picture)
    radius = 6 * unit
    for colour, width, reach in ((_UNDER, 4 * unit, radius + unit), (_OVER, 2 * unit, radius)):
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=width)
    draw.ellipse((x - 2 * unit, y - 2 * unit, x + 2 * unit, y + 2 * unit), fill=_PREDICTED, outline=_OVER)
    font = _font(11 * unit)
    _, top, right, bottom = draw.textbbox((0, 0), name, font=font, stroke_width=unit)
    text_x = x + radius + 2 * unit
    if text_x + right > picture.width:
        text_x = x - radius - 2 * unit - right
    text_y = min(max(y - (top + bottom) / 2, -top), picture.height - bottom)
    draw.text((text_x, text_y), name, fill=_OVER, font=font, stroke_width=unit, stroke_fill=_PREDICTED)


def with_caption(picture: Image.Image, caption: str, unit: int) -> Image.Image:
    """The picture above its caption, dark on white, wrapped at the picture's width; letters are ten units high."""
    from PIL import Image, ImageDraw

    font, margin = _font(10 * unit), 4 * unit
    lines = _wrapped(caption, font, picture.width - 2 * margin)
    step = 13 * unit
    page = Image.new("RGB", (picture.width, picture.height + len(lines) * step + 2 * margin), "white")
    page.paste(picture, (0, 0))
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        draw.text((margin, picture.height + margin + row * step), line, fill="black", font=font)
    return page


def _wrapped(text: str, font, width: int) -> list[str]:
    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            if line and font.getlength(f"{line} {word}") > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
            while (fits := _fitting(line, font, width)) < len(line):  # grounding tokens stand without spaces
                lines.append(line[:fits])
                line = line[fits:]
        lines.append(line)
    return lines


def _fitting(line: str, font, width: int) -> int:
    """How many characters fit, at least one."""
    count = len(line)
    while count > 1 and font.getlength(line[:count]) > width:
        count -= 1
    return count


def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size)
