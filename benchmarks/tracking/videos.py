"""Where the videos of tracking datasets lie: as pictures, as they are published, or encoded as the release does."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mpeval.data.names import is_inside
from mpeval.media import Media

PICTURES = (".jpg", ".jpeg", ".png")
_STEADY = 0.9
"""Of the steps between frames' numbers, the share that must be the same for another one to be a gap."""


@dataclass(frozen=True)
class VideoPlaces:
    """Where to look for a video's file, then for its frames; `{video}` stands for its name."""

    encoded: tuple[str, ...]
    """Files without their suffix, .mp4. The release encodes every frame, so that frame n is picture n."""
    pictures: tuple[str, ...]
    """Folders of frames."""
    home: str
    """The release's name of the folder: all may also lie in a folder of that name."""
    by_hand: str
    """How to get them."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of everything that may be a video here."""
        own = [*self.pictures, *(f"{place}.mp4" for place in self.encoded)]
        return tuple(root + place.format(video="*") for root in ("", f"{self.home}/") for place in own)

    def find(self, folder: Path, video: str) -> Path | None:
        """The video's file, or the folder of its frames; None where neither is there."""
        if not is_inside(video):
            return None
        for root in (folder, folder / self.home):
            for place in self.encoded:
                if (file := root / f"{place.format(video=video)}.mp4").is_file():
                    return file
            for place in self.pictures:
                if (pictures := root / place.format(video=video)).is_dir():
                    return pictures
        return None


def media(folder: Path, places: VideoPlaces, video: str, fps: float, frame_count: int | None = None) -> Media:
    """A video that is decoded when it is asked for; one that is not there fails then, with the place expected.

    fps, frame_count: of its frames, as the dataset states them.
    """
    found = places.find(folder, video)
    if found is None:
        name = video if is_inside(video) else "outside of the dataset"
        return Media.video(folder / f"{places.encoded[0].format(video=name)}.mp4")
    if found.is_file():
        return Media.video(found, stated_fps=fps)
    return Media("video", frames_of(found, frame_count), rate=fps)


def frames_of(folder: Path, count: int | None = None, least: int = 0) -> tuple[Path, ...]:
    """Its pictures in order of their names.

    count: how many there are, if that is known; least: how many there are at least. One that is missing between
    others, and the first one after them, keeps its place, so that no frame takes another's number: to read it fails,
    with its name.
    """
    found = sorted(each for each in folder.iterdir() if each.suffix.lower() in PICTURES)
    if not found or (count is not None and len(found) >= count):
        return tuple(found)  # an empty folder is a video without frames, not one that lacks some
    found, wanted = with_gaps(found), count or least
    return (*found, *([folder / f"frame {len(found)} of {wanted}"] if len(found) < wanted else []))


def with_gaps(found: Sequence[Path]) -> list[Path]:
    """The pictures, and the paths of those left out of a numbering in steady steps."""
    names = [re.fullmatch(r"(.*?)(\d+)", each.stem) for each in found]
    if len({(name[1], len(name[2])) if name else None for name in names}) != 1 or names[0] is None:
        return list(found)
    numbers = [int(name[2]) for name in names if name]
    steps = Counter(after - before for before, after in pairwise(numbers))
    step, times = steps.most_common(1)[0] if steps else (0, 0)
    apart = numbers[-1] - numbers[0]
    if step < 1 or times < _STEADY * (len(numbers) - 1) or apart > 2 * step * len(numbers):
        return list(found)
    there, prefix, digits = dict(zip(numbers, found)), names[0][1], len(names[0][2])
    wanted = sorted({*range(numbers[0], numbers[-1], step), *numbers})
    return [there.get(n) or found[0].with_stem(f"{prefix}{n:0{digits}d}") for n in wanted]
