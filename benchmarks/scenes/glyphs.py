"""A pixel font: system fonts differ between machines, and the miniatures need large plain capitals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_ROWS = {
    "a": ".###. #...# #...# ##### #...# #...# #...#",
    "c": ".#### #.... #.... #.... #.... #.... .####",
    "d": "####. #...# #...# #...# #...# #...# ####.",
    "e": "##### #.... #.... ####. #.... #.... #####",
    "h": "#...# #...# #...# ##### #...# #...# #...#",
    "i": "##### ..#.. ..#.. ..#.. ..#.. ..#.. #####",
    "k": "#...# #..#. #.#.. ##... #.#.. #..#. #...#",
    "l": "#.... #.... #.... #.... #.... #.... #####",
    "m": "#...# ##.## #.#.# #.#.# #...# #...# #...#",
    "n": "#...# ##..# ##..# #.#.# #..## #..## #...#",
    "o": ".###. #...# #...# #...# #...# #...# .###.",
    "p": "####. #...# #...# ####. #.... #.... #....",
    "q": ".###. #...# #...# #...# #.#.# #..#. .##.#",
    "s": ".#### #.... #.... .###. ....# ....# ####.",
    "t": "##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..",
    "u": "#...# #...# #...# #...# #...# #...# .###.",
    "v": "#...# #...# #...# #...# #...# .#.#. ..#..",
    "y": "#...# #...# .#.#. ..#.. ..#.. ..#.. ..#..",
}
"""Letter -> seven rows of five cells."""


@lru_cache(maxsize=64)
def word(text: str) -> np.ndarray:
    """Coverage of a word in capitals: float32 [11, 9 a letter]; a cell is one and a half pixels wide."""
    letters = [[[cell == "#" for cell in row] for row in _ROWS[letter].split()] for letter in text]
    gap = np.zeros((7, 1), dtype=bool)
    cells = np.hstack([part for letter in letters for part in (np.array(letter), gap)][:-1])
    fine = cells.repeat(3, axis=0).repeat(3, axis=1)  # 3 fine pixels a cell, 2 a pixel
    fine = np.pad(fine, ((0, fine.shape[0] % 2), (0, fine.shape[1] % 2)))
    height, width = fine.shape
    coverage = fine.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    coverage.flags.writeable = False  # shared by the cache
    return coverage
