"""Media: an image, several images or a video clip; pixels on demand, never at import."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mpeval.errors import SampleError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Media:
    """One piece of media by path or bytes.

    `frames` and `times` hold decoded frames where a video is already in memory (float seconds, one a frame).
    """

    kind: Literal["image", "images", "video"]
    sources: tuple[Path | bytes, ...] = ()
    frames: tuple[np.ndarray, ...] = field(default=(), repr=False)
    times: tuple[float, ...] = ()

    @classmethod
    def image(cls, source: Path | bytes) -> Media:
        return cls("image", (source,))

    @cached_property
    def sha256(self) -> str:
        """Hash of the bytes as stored, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(source if isinstance(source, bytes) else source.read_bytes())
        for frame in self.frames:
            digest.update(frame.tobytes())
        return digest.hexdigest()

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width, height of the (first) picture, read from the header alone."""
        if self.frames:
            return self.frames[0].shape[1], self.frames[0].shape[0]
        with _open(self.sources[0]) as picture:
            return picture.size

    def pixels(self) -> list[np.ndarray]:
        """Decoded pictures or frames, uint8 [height, width, 3]. Raises `SampleError` for what is no picture."""
        import numpy as np

        if self.frames:
            return list(self.frames)
        pictures = []
        for source in self.sources:
            try:
                with _open(source) as picture:
                    pictures.append(np.asarray(picture.convert("RGB")))
            except (OSError, SyntaxError, ValueError) as error:
                raise SampleError(f"cannot decode {_name(source)}: {error}") from error
        return pictures


def _open(source: Path | bytes):
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(source) if isinstance(source, bytes) else source)
    except UnidentifiedImageError as error:
        raise SampleError(f"{_name(source)} is not a picture that can be read") from error
    except OSError as error:
        raise SampleError(f"cannot read {_name(source)}: {error.strerror or error}") from error


def _name(source: Path | bytes) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
