"""Media: an image, several images or a video clip; pixels on demand, never at import."""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from mpeval.errors import SampleError
from mpeval.file_hashes import sha256_of

if TYPE_CHECKING:
    import numpy as np

    from mpeval.video.clip import Clip

MOST_PIXELS = 300_000_000
"""Of one picture: 0.9 GB once it is decoded. Pillow warns from 89 million on, which large scans and walls of screens
have."""

_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""EXIF orientation -> what turns the stored picture upright."""


class Stored(Protocol):
    """A picture that lies inside a larger file, a zip's member for instance; its `str` names it."""

    def read_bytes(self) -> bytes:
        """Raises `SampleError` where it cannot be read."""


Source = Path | bytes | Stored


@dataclass(frozen=True)
class Media:
    """One piece of media by path or bytes. A video is a file, a folder's pictures, or frames in memory."""

    kind: Literal["image", "images", "video"]
    sources: tuple[Source, ...] = ()
    """One picture each; of a video its file, or its frames in order."""
    frames: tuple[np.ndarray, ...] = field(default=(), repr=False)
    """Decoded pictures or frames, uint8 [height, width, 3], in place of sources."""
    times: tuple[float, ...] = ()
    """Seconds, one for each of a video's `frames`."""
    span: tuple[float, float] | None = None
    """Start and end of the clip in seconds of the video; None: all of it."""
    rate: float | None = None
    """Frames a second, where a video's frames are pictures."""
    stated_fps: float | None = None
    """Frames a second as the dataset states them of a video's file, which may say so less exactly."""

    @classmethod
    def video(cls, file: Path, span: tuple[float, float] | None = None, stated_fps: float | None = None) -> Media:
        return cls("video", (file,), span=span, stated_fps=stated_fps)

    @classmethod
    def image(cls, source: Source) -> Media:
        return cls("image", (source,))

    @cached_property
    def sha256(self) -> str:
        """Hash of the bytes as stored, 64 hexadecimal digits: two clips of one video share it.

        Raises `SampleError` for a file that cannot be read.
        """
        files = [source for source in self.sources if isinstance(source, Path)]
        if files and len(files) == len(self.sources) and not self.frames:
            return sha256_of(files)
        digest = hashlib.sha256()
        for source in self.sources:
            digest.update(_bytes(source))
        for frame in self.frames:
            digest.update(frame.tobytes())
        return digest.hexdigest()

    @cached_property
    def size(self) -> tuple[int, int]:
        """Width, height of the (first) picture as `pixels` gives it, read from the header alone; a video's frames."""
        if self.frames:
            return self.frames[0].shape[1], self.frames[0].shape[0]
        if self.kind == "video":
            return self.clip.size
        with _open(self.sources[0]) as picture:
            width, height = picture.size
            return (height, width) if _orientation(picture) >= 5 else (width, height)

    @cached_property
    def clip(self) -> Clip:
        """A video's frames, decoded as they are asked for. Raises `SampleError` for what is no video."""
        from mpeval.video.clip import Clip, FrameFolder, MemoryFrames, VideoFile

        if self.frames:
            return Clip(MemoryFrames(self.frames, self.times), self.span)
        if self.rate is not None:
            return Clip(FrameFolder(self.sources, self.rate), self.span)
        (file,) = self.sources
        if not isinstance(file, Path):
            raise SampleError(f"{_name(file)}: a video must be a file of its own; unpack it")
        return Clip(VideoFile(file), self.span, self.stated_fps)

    def pixels(self) -> list[np.ndarray]:
        """Decoded pictures, uint8 [height, width, 3]. Raises `SampleError` for what is no picture.

        Photographs are turned upright as their EXIF orientation says, like the release's (allenai/molmo2,
        olmo/preprocessing/image_preprocessor.py, `load_image`).
        """
        import numpy as np
        from PIL import Image

        if self.frames:
            return list(self.frames)
        pictures = []
        for source in self.sources:
            try:
                with _open(source) as picture:
                    turn = _TURNS.get(_orientation(picture))
                    # By way of RGBA: straight to RGB, Pillow warns of palettes with several transparent colours.
                    rgb = (picture.convert("RGBA") if picture.mode == "P" else picture).convert("RGB")
                    pictures.append(np.asarray(rgb.transpose(Image.Transpose[turn]) if turn else rgb))
            except SampleError:
                raise
            except Exception as error:  # a damaged file makes Pillow's decoders raise nearly anything
                raise SampleError(f"cannot decode {_name(source)}: {error}") from error
        return pictures


def _bytes(source: Source) -> bytes:
    try:
        return source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise SampleError(f"cannot read {_name(source)}: {error.strerror or error}") from error


def _open(source: Source):
    from PIL import Image, UnidentifiedImageError

    if Image.MAX_IMAGE_PIXELS != MOST_PIXELS:  # of twice as many Pillow refuses to read the header
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    try:
        picture = Image.open(source if isinstance(source, Path) else io.BytesIO(_bytes(source)))
        if picture.width * picture.height > MOST_PIXELS:
            raise SampleError(
                f"{_name(source)} is {picture.width}x{picture.height}: pictures of more than {MOST_PIXELS // 10**6} "
                "megapixels are not read"
            )
        return picture
    except SampleError:
        raise
    except UnidentifiedImageError as error:
        raise SampleError(f"{_name(source)} is not a picture that can be read") from error
    except OSError as error:
        raise SampleError(f"cannot read {_name(source)}: {error.strerror or error}") from error
    except Exception as error:  # a size that no picture has, a header cut short
        raise SampleError(f"cannot decode {_name(source)}: {error}") from error


def _orientation(picture) -> int:
    """The EXIF orientation, 1 (upright) to 8; from 5 on width and height change places."""
    from PIL import ExifTags, Image

    try:
        # The base class's: a PNG's own would decode the picture to look behind it.
        found = Image.Image.getexif(picture).get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF data are no reason to refuse the picture
        return 1
    return found if found in _TURNS else 1


def _name(source: Source) -> str:
    return f"{len(source)} bytes" if isinstance(source, bytes) else str(source)
