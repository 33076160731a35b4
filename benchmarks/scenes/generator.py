"""The one door to the scenes."""

from __future__ import annotations

import numpy as np

from .screens import screen_scene
from .shapes import shapes_scene
from .types import Scene, SceneKind, Split

_MAKERS = {"shapes": shapes_scene, "screen": screen_scene}


def generate(kind: SceneKind, seed: int, split: Split) -> Scene:
    """Generate one scene.

    seed: zero or positive; (kind, seed, split) is the scene's whole identity, and the same seed in two splits
    gives unrelated scenes. Raises ValueError for an unknown kind or split, or a negative seed.
    """
    stream = (seed, tuple(_MAKERS).index(kind), ("train", "heldout").index(split))
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(stream)))
    return _MAKERS[kind](rng, split)
