"""Drawing with numpy alone: anti-aliased stamps that come out the same on every machine."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

Polygon = tuple[tuple[float, float], ...]
"""Vertices in the unit square, y down."""
Colour = tuple[int, int, int]

_OVERSAMPLE = 4


def _rotated(polygon: Polygon, quarter_turns: float) -> Polygon:
    """The polygon turned clockwise about the middle of the unit square."""
    cos, sin = math.cos(quarter_turns * math.pi / 2), math.sin(quarter_turns * math.pi / 2)
    return tuple((0.5 + cos * (x - 0.5) - sin * (y - 0.5), 0.5 + sin * (x - 0.5) + cos * (y - 0.5)) for x, y in polygon)


def _regular(corners: int, inner: float | None = None) -> Polygon:
    """A regular polygon, or a star where `inner` gives the notches' radius over the tips'."""
    steps = corners if inner is None else 2 * corners
    radii = [0.5 if inner is None or i % 2 == 0 else 0.5 * inner for i in range(steps)]
    angles = [2 * math.pi * i / steps - math.pi / 2 for i in range(steps)]
    return tuple((0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in zip(radii, angles, strict=True))


def _plus(arm: float) -> Polygon:
    near, far = 0.5 - arm / 2, 0.5 + arm / 2
    return (
        (near, 0), (far, 0), (far, near), (1, near), (1, far), (far, far),
        (far, 1), (near, 1), (near, far), (0, far), (0, near), (near, near),
    )  # fmt: skip


def _heart() -> Polygon:
    """The usual sextic heart curve, scaled into the unit square."""
    points = []
    for i in range(24):
        t = 2 * math.pi * i / 24
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((0.5 + x / 32, (13 - y) / 30))
    return tuple(points)


_SQUARE: Polygon = ((0, 0), (1, 0), (1, 1), (0, 1))
_ARROW: Polygon = ((0, 0.5), (0.5, 0), (0.5, 0.32), (1, 0.32), (1, 0.68), (0.5, 0.68), (0.5, 1))

FIGURES: dict[str, tuple[Polygon, ...]] = {
    "circle": (_regular(32),),
    "square": (_SQUARE,),
    "triangle": (((0.5, 0), (1, 1), (0, 1)),),
    "star": (_regular(5, inner=0.42),),
    "cross": (_plus(0.38),),
    "diamond": (((0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)),),
    "plus": (_plus(0.26),),
    "minus": (((0, 0.37), (1, 0.37), (1, 0.63), (0, 0.63)),),
    "close": (_rotated(_plus(0.26), 0.5),),
    "check": (((0, 0.55), (0.16, 0.39), (0.36, 0.6), (0.84, 0.1), (1, 0.26), (0.36, 0.92)),),
    "left": (_ARROW,),
    "up": (_rotated(_ARROW, 1),),
    "right": (_rotated(_ARROW, 2),),
    "down": (_rotated(_ARROW, 3),),
    "heart": (_heart(),),
    "pause": (((0.1, 0), (0.4, 0), (0.4, 1), (0.1, 1)), ((0.6, 0), (0.9, 0), (0.9, 1), (0.6, 1))),
    "bars": tuple(((0.0, y), (1.0, y), (1.0, y + 0.2), (0.0, y + 0.2)) for y in (0.0, 0.4, 0.8)),
    "play": (((0.05, 0), (1, 0.5), (0.05, 1)),),
}
"""Name -> the polygons whose union is the figure, in the unit square."""


@lru_cache(maxsize=4096)
def figure(name: str, width: int, height: int | None = None) -> np.ndarray:
    """Coverage of a figure stretched over width x height pixels: float32 [height, width] in 0..1."""
    height = width if height is None else height
    x = (np.arange(width * _OVERSAMPLE) + 0.5) / (width * _OVERSAMPLE)
    y = ((np.arange(height * _OVERSAMPLE) + 0.5) / (height * _OVERSAMPLE))[:, None]
    covered = np.zeros((y.size, x.size), dtype=bool)
    for polygon in FIGURES[name]:
        inside = np.zeros_like(covered)
        for (x1, y1), (x2, y2) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
            if y1 != y2:
                crossing = x1 + (y - y1) * ((x2 - x1) / (y2 - y1))
                inside ^= ((y1 > y) != (y2 > y)) & (x < crossing)
        covered |= inside
    return _frozen(_reduced(covered, _OVERSAMPLE))


@lru_cache(maxsize=4096)
def rounded(width: int, height: int, radius: int) -> np.ndarray:
    """Coverage of a rectangle with rounded corners: float32 [height, width] in 0..1."""
    x = (np.arange(width * _OVERSAMPLE) + 0.5) / _OVERSAMPLE
    y = ((np.arange(height * _OVERSAMPLE) + 0.5) / _OVERSAMPLE)[:, None]
    dx = np.maximum(np.maximum(radius - x, x - (width - radius)), 0)
    dy = np.maximum(np.maximum(radius - y, y - (height - radius)), 0)
    return _frozen(_reduced(dx * dx + dy * dy <= radius * radius, _OVERSAMPLE))


def _reduced(covered: np.ndarray, factor: int) -> np.ndarray:
    height, width = covered.shape
    blocks = covered.reshape(height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False  # shared by the cache
    return array


def polygon_of(name: str, left: int, top: int, width: int, height: int) -> Polygon:
    """Outline in pixels of a figure of one polygon that is stretched over a rectangle."""
    (outline,) = FIGURES[name]
    return tuple((left + x * width, top + y * height) for x, y in outline)


def stamp(canvas: np.ndarray, coverage: np.ndarray, left: int, top: int, colour: Colour) -> None:
    """Blend one colour into the canvas, float32 [H, W, 3], in place. The stamp must lie inside."""
    height, width = coverage.shape
    window = canvas[top : top + height, left : left + width]
    window += coverage[:, :, None] * (np.asarray(colour, dtype=np.float32) - window)


def background(rng: np.random.Generator, width: int, height: int, colour: Colour) -> np.ndarray:
    """A canvas, float32 [height, width, 3]: plain, a soft gradient, faint stripes or faint grain."""
    canvas = np.empty((height, width, 3), dtype=np.float32)
    canvas[:] = colour
    style = rng.integers(4)
    if style == 1:
        slope_x, slope_y = rng.random(2) * 30 - 15
        ramp_x = (np.arange(width, dtype=np.float32) / width - 0.5) * slope_x
        ramp_y = (np.arange(height, dtype=np.float32) / height - 0.5) * slope_y
        canvas += (ramp_x + ramp_y[:, None])[:, :, None]
    elif style == 2:
        period = int(rng.integers(6, 14))
        canvas[:, np.arange(width) % period < period // 2] += float(rng.random() * 12 - 6)
    elif style == 3:
        canvas += rng.integers(-5, 6, size=(height, width, 1)).astype(np.float32)
    return canvas


def jittered(rng: np.random.Generator, colour: Colour, spread: int = 10) -> Colour:
    """The colour with each channel moved by at most `spread`."""
    moves = rng.integers(-spread, spread + 1, 3)
    red, green, blue = (int(min(255, max(0, c + d))) for c, d in zip(colour, moves, strict=True))
    return red, green, blue


def scaled(colour: Colour, factor: float) -> Colour:
    """The colour made darker (factor < 1) or lighter."""
    red, green, blue = (int(min(255, c * factor)) for c in colour)
    return red, green, blue
