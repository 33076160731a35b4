"""Colour: a rule by hand for the demo suite: find the colour that the question names, point at its patches.

It cannot tell shapes, sizes or relations apart. A benchmark on which it does well could be solved without
looking at anything but colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Point, Prediction, Query

from .sanity import CAPABILITIES, DECLINE, SanityModel, count_text, is_count_question, pointing

if TYPE_CHECKING:
    import numpy as np

_FARTHEST = 60.0
"""Largest distance in RGB at which a pixel still counts as a palette colour."""
_SMALLEST_PATCH = 0.0005
"""Least share of the picture that a patch must cover; less is an edge or noise."""


def answer(query: Query) -> Prediction:
    """The centre of mass of each connected patch of the first colour named, or how many patches there are."""
    from mpeval.benchmarks.scenes.vocabulary import COLOURS

    words = query.prompt.lower().split()
    colour = next((word for word in words if word in COLOURS), None)
    points = _patches(query.media.pixels()[0], COLOURS, colour) if colour else []
    if is_count_question(query):
        return Prediction(text=count_text(len(points)), form="count")
    if not points:
        return DECLINE
    return pointing(query, [Point(x, y) for x, y in points])


def _patches(picture: np.ndarray, palette: dict[str, tuple[int, int, int]], colour: str) -> list[tuple[float, float]]:
    """Centres x, y of the patches of one colour in a picture, uint8 [height, width, 3]."""
    import numpy as np
    from scipy import ndimage

    colours = np.array(list(palette.values()), dtype=np.float32)
    distances = np.linalg.norm(picture[:, :, None].astype(np.float32) - colours, axis=-1)
    wanted = list(palette).index(colour)
    mask = (distances.argmin(-1) == wanted) & (distances[:, :, wanted] < _FARTHEST)
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    patches = [i for i in range(1, len(areas)) if areas[i] >= _SMALLEST_PATCH * mask.size]
    centres = ndimage.center_of_mass(mask, labels, patches)
    return [(float(x) + 0.5, float(y) + 0.5) for y, x in centres]


def _load(argument: str | None, options: ModelOptions) -> SanityModel:
    from msgspec.structs import replace

    return SanityModel("colour", answer, replace(CAPABILITIES, media=("image",)))


entry = ModelEntry("colour", "Sanity model: points at every patch of the colour that is named", load=_load)
