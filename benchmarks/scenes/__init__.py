"""Synthetic scenes: the miniatures train on the `train` split, the demo benchmarks draw from `heldout`.

A scene is a function of (kind, seed, split) and of nothing else: no global state, no system font, no clock.
The two splits share the words and the names of the colours; they differ in seeds, canvas sizes, sizes of
shapes and colours of background.
"""

from __future__ import annotations

from .generator import generate
from .types import TEMPLATES, Region, Scene, SceneKind, SceneQuery, Split
from .vocabulary import VOCABULARY

__all__ = [
    "TEMPLATES",
    "VOCABULARY",
    "Region",
    "Scene",
    "SceneKind",
    "SceneQuery",
    "Split",
    "generate",
]
