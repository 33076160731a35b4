"""Scenes that look like an interface: a window with a title bar and rows of controls.

Controls differ by icon, word, colour or place in their row; each row holds distractors of its own family, and
colours return in several families, so that neither the noun nor the colour alone leads to the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .draws import muted_colour, some
from .glyphs import word
from .raster import background, figure, jittered, polygon_of, rounded, scaled, stamp
from .types import Region, Scene, SceneQuery, Split
from .vocabulary import BUTTON_WORDS, COLOURS, ICONS, NOUNS, ORDINALS, VERBS

_HELDOUT_WIDTHS, _HELDOUT_HEIGHTS = (114, 118, 124, 132), (108, 114, 120, 128)
_WIDTHS: dict[Split, tuple[int, ...]] = {
    "train": tuple(width for width in range(112, 137) if width not in _HELDOUT_WIDTHS),
    "heldout": _HELDOUT_WIDTHS,
}
_HEIGHTS: dict[Split, tuple[int, ...]] = {
    "train": tuple(height for height in range(107, 133) if height not in _HELDOUT_HEIGHTS),
    "heldout": _HELDOUT_HEIGHTS,
}
_HELDOUT_DESKTOPS = ((60, 90, 60), (100, 80, 140), (190, 170, 180), (50, 40, 30))
_HELDOUT_WINDOWS = ((240, 246, 240), (238, 230, 240), (52, 58, 60))
_ACCENTS = ((52, 72, 110), (70, 110, 90), (120, 60, 70), (90, 90, 100), (110, 80, 40))
_TITLE, _ROW = 11, 23
_QUERIES, _ABSENT = 8, 3


@dataclass(frozen=True)
class _Control:
    family: str
    name: str
    """What sets it apart within its family: an icon, a word, a colour or an ordinal."""
    region: Region

    @property
    def label(self) -> str:
        return _label(self.family, self.name)


@dataclass(frozen=True)
class _Window:
    """Where a row is drawn, and in which colours."""

    canvas: np.ndarray
    paper: tuple[int, int, int]
    ink: tuple[int, int, int]
    accent: tuple[int, int, int]
    palette: tuple[str, ...]
    """The colours that coloured controls share, so that a colour names several of them."""
    left: int
    width: int


def screen_scene(rng: np.random.Generator, split: Split) -> Scene:
    """Draw one screen. Every draw comes from `rng`, by `integers` and `random` alone."""
    width = _WIDTHS[split][rng.integers(len(_WIDTHS[split]))]
    height = _HEIGHTS[split][rng.integers(len(_HEIGHTS[split]))]
    canvas = background(rng, width, height, _desktop(rng, split))
    window, top = _draw_window(rng, canvas, split)
    controls = _draw_rows(rng, window, top, height - 4)
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    return Scene(image, _queries(rng, controls, (width, height)), _caption(controls))


def _desktop(rng: np.random.Generator, split: Split) -> tuple[int, int, int]:
    if split == "train":
        return muted_colour(rng, (30, 210), 35, _HELDOUT_DESKTOPS)
    return jittered(rng, _HELDOUT_DESKTOPS[rng.integers(len(_HELDOUT_DESKTOPS))], 6)


def _theme(rng: np.random.Generator, split: Split) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """A window's paper and accent. As in shapes: a few held-out papers, and for training any other."""
    if split == "train":
        brightness = (224, 252) if rng.random() < 0.62 else (38, 78)
        return muted_colour(rng, brightness, 10, _HELDOUT_WINDOWS), muted_colour(rng, (60, 105), 45, ())
    paper = jittered(rng, _HELDOUT_WINDOWS[rng.integers(len(_HELDOUT_WINDOWS))], 3)
    return paper, jittered(rng, _ACCENTS[rng.integers(len(_ACCENTS))], 8)


def _draw_window(rng: np.random.Generator, canvas: np.ndarray, split: Split) -> tuple[_Window, int]:
    """The card and its title bar; with it the first row's top."""
    height, width = canvas.shape[:2]
    paper, accent = _theme(rng, split)
    dark = sum(paper) < 384
    inset = int(rng.integers(2, 5))
    stamp(canvas, rounded(width - 2 * inset, height - 2 * inset, 4), inset, inset, scaled(paper, 0.7))
    stamp(canvas, rounded(width - 2 * inset - 2, height - 2 * inset - 2, 3), inset + 1, inset + 1, paper)
    bar = scaled(accent, 1.5 if dark else 0.8)
    stamp(canvas, rounded(width - 2 * inset - 2, _TITLE, 3), inset + 1, inset + 1, bar)
    for i in range(int(rng.integers(4))):  # a title's worth of blank strokes: decoration, never a target
        stamp(canvas, rounded(14, 3, 1), inset + 6 + 18 * i, inset + 5, (235, 235, 235))
    ink = (235, 235, 235) if dark else (40, 40, 44)
    palette = tuple(some(rng, tuple(COLOURS), 5))
    return _Window(canvas, paper, ink, accent, palette, inset + 5, width - 2 * inset - 10), inset + 1 + _TITLE


def _draw_rows(rng: np.random.Generator, window: _Window, top: int, bottom: int) -> list[_Control]:
    """Fill the window with rows of different families, with what is spare spread between them."""
    count = (bottom - top) // _ROW
    families = some(rng, tuple(_MAKERS), count)
    spare = bottom - top - count * _ROW
    controls: list[_Control] = []
    for family in families:
        gap = int(rng.integers(spare + 1)) if spare > 0 else 0
        spare -= gap
        top += gap
        controls += _MAKERS[family](rng, window, top)
        top += _ROW
    return controls


# --- rows: each draws its controls from left to right at `top`, within _ROW pixels of height ----------


def _icons(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    names = some(rng, ICONS, int(rng.integers(3, 5)))
    round_ones = rng.random() < 0.5
    light = rng.random() < 0.5
    button, glyph = (scaled(window.paper, 0.82), window.ink) if light else (window.accent, (250, 250, 250))
    if light and sum(window.paper) < 384:
        button = scaled(window.paper, 1.7)
    controls = []
    for name, left in zip(names, _slots(rng, window, len(names), 20), strict=True):
        coverage = rounded(20, 20, 10 if round_ones else 3)
        stamp(window.canvas, coverage, left, top + 1, button)
        stamp(window.canvas, figure(name, 12), left + 4, top + 5, glyph)
        outline = polygon_of("circle", left, top + 1, 20, 20) if round_ones else None
        controls.append(_Control("icon", name, _region(coverage, left, top + 1, outline)))
    return controls


def _words(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    names = some(rng, BUTTON_WORDS, 2)
    light = rng.random() < 0.5
    controls = []
    for name, left in zip(names, _slots(rng, window, 2, 42), strict=True):
        letters = word(name)
        width = letters.shape[1] + 7
        left += int(rng.integers(42 - width + 1))
        coverage = rounded(width, 17, 4)
        stamp(window.canvas, coverage, left, top + 2, window.ink if light else window.accent)
        if light:
            stamp(window.canvas, rounded(width - 2, 15, 3), left + 1, top + 3, window.paper)
        stamp(window.canvas, letters, left + 4, top + 5, window.ink if light else (250, 250, 250))
        controls.append(_Control("word", name, _region(coverage, left, top + 2)))
    return controls


def _dots(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    names = some(rng, window.palette, int(rng.integers(3, 5)))
    controls = []
    for name, left in zip(names, _slots(rng, window, len(names), 16), strict=True):
        coverage = figure("circle", 16)
        stamp(window.canvas, coverage, left, top + 3, jittered(rng, COLOURS[name]))
        outline = polygon_of("circle", left, top + 3, 16, 16)
        controls.append(_Control("dot", name, _region(coverage, left, top + 3, outline)))
    return controls


def _toggles(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    names = some(rng, window.palette, int(rng.integers(2, 4)))
    controls = []
    for name, left in zip(names, _slots(rng, window, len(names), 26), strict=True):
        coverage = rounded(26, 14, 7)
        stamp(window.canvas, coverage, left, top + 4, jittered(rng, COLOURS[name]))
        knob = left + (2 if rng.random() < 0.5 else 14)
        stamp(window.canvas, figure("circle", 10), knob, top + 6, (250, 250, 250))
        controls.append(_Control("toggle", name, _region(coverage, left, top + 4)))
    return controls


def _sliders(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    """Two tracks; the target is the knob, wherever it stands."""
    names = some(rng, window.palette, 2)
    controls = []
    for name, left in zip(names, _slots(rng, window, 2, 42), strict=True):
        paint = jittered(rng, COLOURS[name])
        stamp(window.canvas, rounded(42, 4, 2), left, top + 9, (150, 150, 150))
        knob = left + int(rng.integers(42 - 12 + 1))
        coverage = figure("circle", 12)
        stamp(window.canvas, coverage, knob, top + 5, paint)
        outline = polygon_of("circle", knob, top + 5, 12, 12)
        controls.append(_Control("slider", name, _region(coverage, knob, top + 5, outline)))
    return controls


def _plays(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    names = some(rng, window.palette, int(rng.integers(2, 5)))
    controls = []
    for name, left in zip(names, _slots(rng, window, len(names), 17), strict=True):
        coverage = figure("play", 17)
        stamp(window.canvas, coverage, left, top + 3, jittered(rng, COLOURS[name]))
        outline = polygon_of("play", left, top + 3, 17, 17)
        controls.append(_Control("play", name, _region(coverage, left, top + 3, outline, 0.36)))
    return controls


def _boxes(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    controls = []
    count = int(rng.integers(2, 5))
    for i, left in enumerate(_slots(rng, window, count, 14)):
        coverage = rounded(14, 14, 2)
        stamp(window.canvas, coverage, left, top + 4, window.ink)
        stamp(window.canvas, rounded(11, 11, 1), left + 2, top + 6, window.paper)
        if rng.random() < 0.3:
            stamp(window.canvas, figure("check", 9), left + 3, top + 7, window.accent)
        controls.append(_Control("box", ORDINALS[i], _region(coverage, left, top + 4)))
    return controls


def _tabs(rng: np.random.Generator, window: _Window, top: int) -> list[_Control]:
    """Adjoining tabs over a line, one of them active."""
    count = int(rng.integers(2, 5))
    width = int(rng.integers(20, min(30, window.width // count)))
    left = window.left + int(rng.integers(window.width - count * width + 1))
    active = int(rng.integers(count))
    strength = 1.0 if sum(window.paper) > 384 else 1.4
    stamp(window.canvas, rounded(window.width, 2, 0), window.left, top + 18, window.accent)
    controls = []
    for i in range(count):
        coverage = rounded(width - 2, 15, 3)
        shade = scaled(window.accent, strength if i == active else strength + 0.6)
        stamp(window.canvas, coverage, left, top + 3, shade)
        stamp(window.canvas, rounded(width - 10, 3, 1), left + 4, top + 9, (245, 245, 245))
        controls.append(_Control("tab", ORDINALS[i], _region(coverage, left, top + 3)))
        left += width
    return controls


_MAKERS: dict[str, Callable[[np.random.Generator, _Window, int], list[_Control]]] = {
    "icon": _icons,
    "word": _words,
    "dot": _dots,
    "toggle": _toggles,
    "slider": _sliders,
    "play": _plays,
    "box": _boxes,
    "tab": _tabs,
}


def _slots(rng: np.random.Generator, window: _Window, count: int, width: int) -> list[int]:
    """Left edges of `count` things of one width, in order, with random gaps of two pixels at least."""
    spare = window.width - count * width - 2 * (count - 1)
    cuts = sorted(int(cut) for cut in rng.integers(spare + 1, size=count))
    return [window.left + cut + i * (width + 2) for i, cut in enumerate(cuts)]


def _region(
    coverage: np.ndarray,
    left: int,
    top: int,
    polygon: tuple[tuple[float, float], ...] | None = None,
    middle: float = 0.5,
) -> Region:
    """middle: where along the width the anchor lies (a play button's weight is on the left)."""
    height, width = coverage.shape
    return Region(left, top, coverage > 0.5, (left + middle * width, top + height / 2), polygon)


# --- texts ---------------------------------------------------------------------------------------------


def _label(family: str, name: str) -> str:
    return f"{name} {NOUNS[family]}"


def _queries(rng: np.random.Generator, controls: list[_Control], size: tuple[int, int]) -> list[SceneQuery]:
    """Instructions for different controls, and some for controls that are not there."""
    present = [
        SceneQuery("screen", _instruction(rng, c.family, c.name), c.label, c.family, (c.region,), size)
        for c in some(rng, controls, _QUERIES)
    ]
    absent = [
        SceneQuery("screen", _instruction(rng, family, name), _label(family, name), family, (), size)
        for family, name in _absent(rng, controls)
    ]
    return present + absent


def _instruction(rng: np.random.Generator, family: str, name: str) -> str:
    verb = VERBS[family][rng.integers(len(VERBS[family]))]
    return f"{verb} the {_label(family, name)}"


def _absent(rng: np.random.Generator, controls: list[_Control]) -> list[tuple[str, str]]:
    """Controls that are not there, mostly of families that are."""
    names = {"icon": ICONS, "word": BUTTON_WORDS, "box": ORDINALS, "tab": ORDINALS}
    here = {(control.family, control.name) for control in controls}
    families = {control.family for control in controls}
    pool = [
        (family, name)
        for family in _MAKERS
        for name in names.get(family, tuple(COLOURS))
        if (family, name) not in here and (family in families or rng.random() < 0.06)
    ]
    return some(rng, pool, _ABSENT)


def _caption(controls: list[_Control]) -> str:
    """The controls' labels in reading order."""
    return " , ".join(control.label for control in controls)
