"""Video files, decoded with PyAV: the frame table from the packets, pixels from the nearest key frame on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mpeval.errors import SampleError
from mpeval.video.cache import FRAMES

if TYPE_CHECKING:
    import numpy as np


class _Table(NamedTuple):
    pts: np.ndarray
    """int64 [n], ascending: presentation times in units of the stream."""
    key: np.ndarray
    """bool [n]: where decoding can start."""
    unit: Fraction
    """Seconds."""
    end: float
    fps: float
    size: tuple[int, int]


@dataclass(frozen=True)
class VideoFile:
    """The first video stream of a file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def starts(self) -> np.ndarray:
        unit = self._table.unit  # multiplied first: 3 * 2048 / 12288 is 0.5, whatever 2048 / 12288 rounds to
        return (self._table.pts - self._table.pts[:1]) * unit.numerator / unit.denominator

    @property
    def end(self) -> float:
        return self._table.end

    @property
    def fps(self) -> float:
        return self._table.fps

    @property
    def size(self) -> tuple[int, int]:
        return self._table.size

    @cached_property
    def key(self) -> tuple[str, int, int]:
        """What the file is, for caches."""
        stat = self.path.stat()
        return str(self.path.absolute()), stat.st_mtime_ns, stat.st_size

    @cached_property
    def _table(self) -> _Table:
        with _container(self.path) as container:
            return _read_table(container, self.path)

    def pixels(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Frames in ascending order; those that a reader before decoded may still be in the cache."""
        at = 0
        while at < len(indices):
            frame = FRAMES.get((self.key, indices[at]))
            if frame is not None:
                yield frame
                at += 1
                continue
            # Decode on to the end: the rest is most likely not in the cache either.
            yield from self._decode(indices[at:])
            return

    def _decode(self, indices: Sequence[int]) -> Iterator[np.ndarray]:
        """Each frame once, however often it is asked for."""
        import av

        table, at = self._table, 0
        if indices[-1] >= len(table.pts):
            raise SampleError(f"{self.path} has {len(table.pts)} frames, frame {indices[-1]} is not one of them")
        try:
            with _container(self.path) as container:
                decoded = self._from(container, indices[0])
                for number, frame in decoded:
                    if number > indices[at]:
                        raise SampleError(f"{self.path}: frame {indices[at]} of {len(table.pts)} cannot be decoded")
                    if number < indices[at]:
                        continue
                    picture = _upright(frame)
                    FRAMES.put((self.key, number), picture)
                    while at < len(indices) and indices[at] == number:
                        yield picture
                        at += 1
                    if at == len(indices):
                        return
        except (av.error.FFmpegError, ValueError) as error:
            raise SampleError(f"cannot decode {self.path}: {_reason(error)}") from error
        time = self.starts[indices[at]]
        raise SampleError(f"{self.path} breaks off before {time:.2f} of {self.end:.2f} s: fetch the file again")

    def _from(self, container: Any, first: int) -> Iterator[tuple[int, Any]]:
        """Decoded frames with their numbers, from the last key frame at or before `first` on."""
        import numpy as np

        table = self._table
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        starts = np.flatnonzero(table.key[: first + 1])
        if len(starts) and starts[-1] > 0:
            container.seek(int(table.pts[starts[-1]]), stream=stream)
        for frame in container.decode(stream):
            if frame.pts is None:
                continue  # what cannot be placed in time is never shown
            number = int(np.searchsorted(table.pts, frame.pts))
            if number < len(table.pts) and table.pts[number] == frame.pts:
                yield number, frame


def _container(path: Path) -> Any:
    import av

    # The log level stays as it is: with one set, the codec's threads call back into Python, and all can wait for ever.
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SampleError(f"cannot open {path} as video: {_reason(error)}; fetch the file again") from error
    if not container.streams.video:
        container.close()
        raise SampleError(f"{path} holds no video")
    return container


def _read_table(container: Any, path: Path) -> _Table:
    import av
    import numpy as np

    stream = container.streams.video[0]
    unit = Fraction(stream.time_base)
    found: list[tuple[int, bool, int]] = []
    try:
        for packet in container.demux(stream):
            when = packet.pts if packet.pts is not None else packet.dts
            # those that are discarded were cut away by an edit of the file
            if packet.size and when is not None and not packet.is_discard:
                found.append((when, packet.is_keyframe, packet.duration or 0))
    except av.error.FFmpegError as error:
        if not found:
            raise SampleError(f"cannot read {path}: {_reason(error)}") from error
    if not found:
        raise SampleError(f"{path} has no frames")
    # An mp4's index lists all frames, but for those that an edit leaves out.
    ends, length = [each.pos + each.size for each in stream.index_entries], path.stat().st_size
    if ends and max(ends) > length:
        there = f"{sum(end <= length for end in ends)} of {len(ends)} frames are there"
        raise SampleError(f"{path} breaks off: {there}; fetch the file again")
    found.sort()
    written, begun = _written_end(container, stream), found[-1][0] * float(unit)
    if written is not None and begun < written - _SHORT:
        raise SampleError(f"{path} breaks off at {begun:.2f} of {written:.2f} s: fetch the file again")
    pts = np.array([each[0] for each in found], dtype=np.int64)
    # As the release's decoder: a packet's duration need not lead to the next picture where pictures change places.
    last = max(when + duration for when, _, duration in found)
    if last > pts[-1]:
        end = last * float(unit) - int(pts[0]) * float(unit)
    else:
        end = float(pts[-1] - pts[0]) * float(unit) + 1 / (float(stream.average_rate or 0) or _rate(pts, float(unit)))
    return _Table(pts, np.array([each[1] for each in found]), unit, end, len(pts) / end, _shown_size(container, path))


_SHORT = 1.0
"""Seconds that a Matroska file's last frame may begin before the end that its header tells."""


def _written_end(container: Any, stream: Any) -> float | None:
    """When the stream ends by the header of a Matroska file, which has no list of all frames; None: it does not say."""
    if "matroska" not in container.format.name:
        return None
    try:
        hours, minutes, seconds = map(float, stream.metadata.get("DURATION", "").split(":"))
    except ValueError:
        return None
    return 3600 * hours + 60 * minutes + seconds


def _rate(pts: np.ndarray, unit: float) -> float:
    span = float(pts[-1] - pts[0]) * unit
    return (len(pts) - 1) / span if span > 0 else 1.0


def _shown_size(container: Any, path: Path) -> tuple[int, int]:
    """Width, height after the rotation that the file asks for: it is known with the first frame."""
    import av

    container.seek(0)
    try:
        frame = next(container.decode(video=0))
    except (av.error.FFmpegError, StopIteration) as error:
        reason = "it has no frames" if isinstance(error, StopIteration) else _reason(error)
        raise SampleError(f"cannot decode {path}: {reason}") from error
    return (frame.height, frame.width) if _quarters(frame) % 2 else (frame.width, frame.height)


def _quarters(frame: Any) -> int:
    """Quarter turns anticlockwise, 0 to 3, that put a frame upright; a tilt in between is rounded, not drawn."""
    return round(frame.rotation / 90) % 4


def _reason(error: Exception) -> str:
    """What FFmpeg says, without its number and the name of its function."""
    return getattr(error, "strerror", None) or str(error)


def _upright(frame: Any) -> np.ndarray:
    """uint8 [height, width, 3], turned as the file asks."""
    import numpy as np

    picture = frame.to_ndarray(format="rgb24")
    turns = _quarters(frame)
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
