"""A clip: a video file, a folder of pictures or frames in memory, from a start to an end.

Time 0 is the clip's start; the file's own first frame is at 0 seconds whatever its container says, as players show
it. Frames are decoded when they are asked for, in order, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from mpeval.errors import SampleError
from mpeval.video.files import VideoFile

__all__ = ["Clip", "FrameFolder", "Frames", "MemoryFrames", "VideoFile"]

if TYPE_CHECKING:
    import numpy as np

    from mpeval.media import Source

_NEARLY = 1e-6
"""Seconds: times come from sums and divisions of floats."""
_DRIFT = 0.25
"""Of a frame."""


class Frames(Protocol):
    """All frames of a video."""

    @property
    def starts(self) -> np.ndarray:
        """float64 [n], ascending: when each frame comes on screen, in seconds; the first at 0."""

    @property
    def end(self) -> float:
        """When the last frame leaves the screen."""

    @property
    def fps(self) -> float:
        """Frames a second on average."""

    @property
    def size(self) -> tuple[int, int]:
        """Width, height as they are shown."""

    def pixels(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """uint8 [height, width, 3] of each frame asked for, in ascending order. Raises `SampleError`."""


@dataclass(frozen=True)
class Clip:
    """Part of a video."""

    video: Frames
    span: tuple[float, float] | None = None
    """Seconds of the video; None: all of it. An end past the video's end is cut."""
    stated_fps: float | None = None
    """Frames a second as the dataset states them, by which frames to track are chosen; None: it does not."""

    def __post_init__(self) -> None:
        if len(self.video.starts) == 0:
            raise SampleError(f"{self.video} has no frames")
        if self.span is not None and not 0 <= self.span[0] < min(self.span[1], self.video.end):
            start, end = self.span
            raise SampleError(
                f"a clip from {start:g} to {end:g} s is not in {self.video}, which lasts {self.video.end:.2f} s"
            )

    @property
    def fps(self) -> float:
        return self.video.fps

    @property
    def size(self) -> tuple[int, int]:
        return self.video.size

    @property
    def start(self) -> float:
        return self.span[0] if self.span else 0.0

    @property
    def duration(self) -> float:
        """Seconds."""
        return (min(self.span[1], self.video.end) if self.span else self.video.end) - self.start

    @property
    def fault(self) -> str | None:
        """What is missing of the span: its end, where that lies past the video by more than a frame."""
        if self.span is None or self.span[1] <= self.video.end + 1 / self.fps:
            return None
        return f"the clip ends at {self.span[1]:g} s, its video at {self.video.end:.2f} s: it is cut there"

    @cached_property
    def _indices(self) -> range:
        """The video's frames that are on screen in the clip: from the one at its start to the last before its end."""
        import numpy as np

        if self.span is None:
            return range(len(self.video.starts))
        starts, (begin, end) = self.video.starts, self.span
        first = int(np.searchsorted(starts, begin + self._nearly, side="right")) - 1
        return range(first, max(first + 1, int(np.searchsorted(starts, end - self._nearly))))

    @property
    def _nearly(self) -> float:
        """Seconds by which a frame may begin after the time at which it is meant. A span that was counted in frames of
        a stated rate, 29.97 of 30000/1001, drifts a little away from them."""
        return _NEARLY if self.stated_fps is None else max(_NEARLY, _DRIFT / self.fps)

    @property
    def frame_count(self) -> int:
        return len(self._indices)

    def on_screen(self, times: Sequence[float] | np.ndarray) -> np.ndarray:
        """The frame shown at each time, int64 [n], zero-based within the clip.

        At the clip's end that is the frame which begins there, if one does, as in the release (allenai/molmo2 at
        f3cb108, olmo/data/video_loader.py, `load_video_torchcodec`): the first that `frame_count` does not count.
        """
        import numpy as np

        # The release compares floats as they are; a clip that it cuts into a file of its own has no sums to round.
        nearly = self._nearly if self.start else 0.0
        absolute = np.asarray(times, dtype=np.float64) + self.start + nearly
        found = np.searchsorted(self.video.starts, absolute, side="right") - 1
        first = self._indices[0]
        return np.clip(found, first, len(self.video.starts) - 1) - first

    def starts(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """When frames come on screen, float64 [n], seconds from the clip's start."""
        import numpy as np

        return self.video.starts[np.asarray(indices) + self._indices[0]] - self.start

    def pixels(self, indices: Sequence[int] | np.ndarray) -> Iterator[np.ndarray]:
        """uint8 [height, width, 3] of frames, zero-based within the clip, in ascending order (repeats allowed)."""
        yield from self.video.pixels([int(index) + self._indices[0] for index in indices])


@dataclass(frozen=True)
class MemoryFrames:
    """Frames that are decoded already."""

    frames: tuple[np.ndarray, ...]
    times: tuple[float, ...]
    """Seconds, one a frame."""

    def __str__(self) -> str:
        return f"a video of {len(self.frames)} frames in memory"

    @cached_property
    def starts(self) -> np.ndarray:
        import numpy as np

        return np.asarray(self.times, dtype=np.float64)

    @property
    def end(self) -> float:
        return self.times[-1] + 1 / self.fps

    @property
    def fps(self) -> float:
        span = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / span if span > 0 else 1.0

    @property
    def size(self) -> tuple[int, int]:
        return self.frames[0].shape[1], self.frames[0].shape[0]

    def pixels(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        yield from (self.frames[index] for index in indices)


@dataclass(frozen=True)
class FrameFolder:
    """Pictures, one a frame, at a steady rate. They are not cached: reading one costs little."""

    files: tuple[Source, ...]
    fps: float

    def __str__(self) -> str:
        return f"a folder of {len(self.files)} frames"

    @cached_property
    def starts(self) -> np.ndarray:
        import numpy as np

        return np.arange(len(self.files)) / self.fps

    @property
    def end(self) -> float:
        return len(self.files) / self.fps

    @cached_property
    def size(self) -> tuple[int, int]:
        from mpeval.media import Media

        return Media.image(self.files[0]).size

    def pixels(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        from mpeval.media import Media

        for index in indices:
            (frame,) = Media.image(self.files[index]).pixels()
            if (frame.shape[1], frame.shape[0]) != self.size:
                own, first = "x".join(map(str, frame.shape[1::-1])), "x".join(map(str, self.size))
                raise SampleError(f"{self.files[index]!s} is {own}, the first frame {first}")
            yield frame
