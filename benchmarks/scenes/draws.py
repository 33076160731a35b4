"""Random draws from `random` alone: unlike `choice` and `shuffle`, its stream is the same in every numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def some(rng: np.random.Generator, items: Sequence[Item], count: int) -> list[Item]:
    """`count` different items (or all of them, where there are fewer) in random order."""
    marks = rng.random(len(items))
    return [items[i] for i in sorted(range(len(items)), key=lambda i: marks[i])[:count]]


def muted_colour(
    rng: np.random.Generator, brightness: tuple[int, int], tint: int, avoid: Sequence[tuple[int, int, int]]
) -> tuple[int, int, int]:
    """Any colour within `tint` levels of a grey of that brightness, but none within 16 levels of those to `avoid`."""
    while True:
        grey = int(rng.integers(brightness[0], brightness[1] + 1))
        red, green, blue = (min(255, max(0, grey + int(d))) for d in rng.integers(-tint, tint + 1, size=3))
        if all(max(abs(red - r), abs(green - g), abs(blue - b)) > 16 for r, g, b in avoid):
            return red, green, blue


def weighted(rng: np.random.Generator, weights: Mapping[Item, int]) -> Item:
    """One key, drawn in proportion to its weight."""
    keys = list(weights)
    mark = rng.random() * sum(weights.values())
    for key in keys:
        mark -= weights[key]
        if mark < 0:
            return key
    return keys[-1]
