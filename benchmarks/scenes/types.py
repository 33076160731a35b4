"""What a scene is: a picture, a caption, and queries with their targets.

Pixels: x right, y down; pixel (i, j) covers [i, i+1) x [j, j+1), so its centre is (i + 0.5, j + 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

SceneKind = Literal["shapes", "screen"]
Split = Literal["train", "heldout"]
QueryKind = Literal["points", "count", "screen"]

TEMPLATES: dict[QueryKind, str] = {"points": "point to {query}", "count": "{query}", "screen": "{query}"}
"""How the miniatures are asked, in training and by the demo benchmarks alike."""


@dataclass(frozen=True)
class Region:
    """One thing in the picture: its visible pixels, and a point well inside them."""

    left: int
    top: int
    mask: np.ndarray
    """Bool [height, width], placed at (left, top)."""
    anchor: tuple[float, float]
    """A point inside the mask, at or near the centre; pixels."""
    polygon: tuple[tuple[float, float], ...] | None = None
    """Outline in pixels, for a thing that is no rectangle."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2: the pixel edges that enclose the mask."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        columns = np.flatnonzero(self.mask.any(axis=0))
        return (
            float(self.left + columns[0]),
            float(self.top + rows[0]),
            float(self.left + columns[-1] + 1),
            float(self.top + rows[-1] + 1),
        )

    def full_mask(self, height: int, width: int) -> np.ndarray:
        """Bool [height, width] over the whole picture."""
        full = np.zeros((height, width), dtype=bool)
        full[self.top : self.top + self.mask.shape[0], self.left : self.left + self.mask.shape[1]] = self.mask
        return full


@dataclass(frozen=True)
class SceneQuery:
    """One question on a scene, with the regions that answer it (none: the right answer is a refusal)."""

    kind: QueryKind
    text: str
    """What is asked: a label (`red circles`), `how many red circles`, or `click the plus button`."""
    label: str
    """The thing alone: `red circles`, `plus button`."""
    category: str
    """What the query rests on: `colour kind`, `relation`, `icon`, `toggle`, ..."""
    regions: tuple[Region, ...]
    """In reading order."""
    size: tuple[int, int]
    """Width, height of the picture."""

    @property
    def prompt(self) -> str:
        """The user's text as the model gets it."""
        return TEMPLATES[self.kind].replace("{query}", self.text)

    @property
    def points(self) -> list[tuple[float, float]]:
        """One interior point a target, pixels."""
        return [region.anchor for region in self.regions]

    @property
    def boxes(self) -> list[tuple[float, float, float, float]]:
        """x1, y1, x2, y2 of each target."""
        return [region.box for region in self.regions]

    @property
    def polygons(self) -> list[tuple[tuple[float, float], ...] | None]:
        """Outline of each target; None for a rectangle."""
        return [region.polygon for region in self.regions]

    @property
    def masks(self) -> list[np.ndarray]:
        """Bool [height, width] of each target, drawn anew at every call."""
        width, height = self.size
        return [region.full_mask(height, width) for region in self.regions]

    @property
    def count(self) -> int:
        return len(self.regions)

    @property
    def refusal(self) -> bool:
        """Whether nothing in the picture answers the query."""
        return not self.regions


@dataclass(frozen=True)
class Scene:
    """A picture with everything that is known of it."""

    image: np.ndarray
    """uint8 [height, width, 3]."""
    queries: list[SceneQuery]
    caption: str
    """A plain listing of what is there, in the words of the vocabulary."""
