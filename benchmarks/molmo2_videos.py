"""Where the videos of Molmo2's counting and pointing datasets lie (allenai/molmo2 at f3cb108,
olmo/data/molmo2_datasets.py, `_find_video_point_path_by_id`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mpeval.data.names import is_inside

FOLDERS = {
    "youtube": ("youtube-cc/youtube-cc-exist", "youtube-cc/youtube-cc-kw", "youtube-cc/youtube-cc-temporal"),
    "MammalNet": ("MammalNet/trimmed_video",),
    "generated": ("generated_videos",),
}
"""Source of a video -> where it may lie; the release's copies at two frames a second lie in `<folder>-2fps`."""

SUFFIXES = (".mp4", ".mov", ".mkv", ".webm")

PLACES = ("youtube-cc/*/*", "MammalNet/*/*", "generated_videos/**/*.*")
"""Patterns of all of them."""

BY_HAND = (
    "the videos, as the page of the Hub's dataset allenai/Molmo2-VideoPoint tells: at two frames a second in "
    "youtube-cc/youtube-cc-{exist,kw,temporal}-2fps, MammalNet/trimmed_video-2fps and generated_videos, as "
    "<video_id>_2fps.mp4; or as they were fetched, without -2fps and _2fps"
)


def find_video(folder: Path, video_id: str, source: str | None) -> Path:
    """A video's file: the release's copy at two frames a second, else the video as it was fetched.

    Where there is neither, the path at which the copy was expected. An id may name a folder (`sora2/clip`).
    """
    if not is_inside(video_id):
        return folder / "outside of the dataset"
    places = FOLDERS.get(source or "") or tuple(place for group in FOLDERS.values() for place in group)
    candidates = [path for place in places for path in _candidates(folder, place, video_id)]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _candidates(folder: Path, place: str, video_id: str) -> Iterator[Path]:
    group, _, name = video_id.rpartition("/")
    # Generated videos lie in a folder that is not renamed itself, those in its own folders are.
    copies = place if place in FOLDERS["generated"] else f"{place}-2fps"
    yield folder / copies / (f"{group}-2fps" if group else "") / f"{name}_2fps.mp4"
    for suffix in SUFFIXES:
        yield folder / place / group / f"{name}{suffix}"
    yield from (file for file in sorted((folder / place / video_id).glob("*")) if file.suffix in SUFFIXES)
