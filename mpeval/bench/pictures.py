"""Pictures and clips to measure with: drawn, so that they are the same everywhere."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpeval.media import Media

if TYPE_CHECKING:
    import numpy as np

IMAGE_SIZE = (1024, 768)
SCREEN_24_SIZE = (3840, 2160)
SCREEN_64_SIZE = (3200, 3200)
"""Width, height. The tilings that fit them best have 8, 24 and 64 crops where as many are allowed."""
FRAME_SIZE = (640, 360)
FRAME_RATE = 2.0


@dataclass(frozen=True)
class Numbered:
    """A picture whose bytes differ from its like by a number behind their end, which decoders do not read: as many
    different files as a run needs, without drawing each."""

    picture: bytes
    number: int

    def __str__(self) -> str:
        return f"picture {self.number}"

    def read_bytes(self) -> bytes:
        return self.picture + self.number.to_bytes(4, "big")


def screen_png(size: tuple[int, int], seed: int) -> bytes:
    """A screen of windows, lines of text and a photograph's noise, as PNG. size: width, height."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(_screen(size, seed)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def picture(size: tuple[int, int], seed: int = 0) -> Media:
    """The same in memory, decoded."""
    return Media("image", frames=(_screen(size, seed),))


def clip(frames: int) -> Media:
    """A clip of so many frames, decoded, at `FRAME_RATE`."""
    times = tuple(index / FRAME_RATE for index in range(frames))
    drawn = [_screen(FRAME_SIZE, seed) for seed in range(4)]
    return Media("video", frames=tuple(drawn[index % 4] for index in range(frames)), times=times)


def _screen(size: tuple[int, int], seed: int) -> np.ndarray:
    """uint8 [height, width, 3]."""
    import numpy as np

    rng = np.random.default_rng(seed)
    width, height = size
    pixels = np.full((height, width, 3), rng.integers(160, 250, 3), dtype=np.uint8)
    for _ in range(40):  # windows and buttons
        left, top = rng.integers(0, (width, height)).tolist()
        wide, high = rng.integers((width // 40, height // 60), (width // 4, height // 4)).tolist()
        pixels[top : top + high, left : left + wide] = rng.integers(0, 256, 3)
    for top in range(height // 10, height - height // 10, max(height // 60, 2)):  # lines of text
        ink = rng.random(width // 3) < 0.4
        line = pixels[top : top + max(height // 200, 1), : 3 * (width // 3)]
        line[:, np.repeat(ink, 3)] = 20
    noise = rng.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    pixels[-height // 4 :, -width // 4 :][: noise.shape[0], : noise.shape[1]] = noise
    return pixels
