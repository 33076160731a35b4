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


def weighted(rng: np.random.Generator, weights: Mapping[Item, int]) -> Item:
    """One key, drawn in proportion to its weight."""
    keys = list(weights)
    mark = rng.random() * sum(weights.values())
    for key in keys:
        mark -= weights[key]
        if mark < 0:
            return key
    return keys[-1]
