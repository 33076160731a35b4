"""Rows of the tracking datasets as samples.

They share one layout (allenai/molmo2 at f3cb108, olmo/data/academic_video_track_datasets.py, `TrackingDataset`): an
expression, a rate, the ids of its objects, and points of theirs once a second. Masks lie elsewhere, in each dataset's
own way: frame n of the video is entry n of an object's masks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import structs

from mpeval.data.rows import NOT_READ, LazySample, parquet_rows, to_samples
from mpeval.errors import SampleError, UserError
from mpeval.once import Once
from mpeval.types import RLE, Group, Sample, TrackedObject, TrackTarget

from .prompts import ASKED_FPS, drawn_prompt
from .videos import VideoPlaces, media, with_gaps

if TYPE_CHECKING:
    import numpy as np

Masks = list[dict[int, RLE]]
"""For each object frame -> mask, frames in which it is not seen left out."""


Fps = Annotated[float, msgspec.Meta(gt=0, le=1000)]
"""Frames a second."""
Frames = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""Of a video: their number, or one's place."""
Side = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
"""Pixels."""


class RowPoint(msgspec.Struct):
    id: int | str
    point: list[float] | None = None
    """x, y in pixels."""


class RowFrame(msgspec.Struct):
    frame: int
    points: list[RowPoint]


class Row(msgspec.Struct):
    video: str
    """Its folder or file, without the suffix."""
    expression: str
    fps: Fps
    """Of the frames that there are; answers are asked at `sampling_fps`."""
    width: Side
    height: Side
    frame_trajectories: list[RowFrame] | str | None = None
    """The points of each object once a second; a mirror of the data holds them as JSON."""
    mask_id: list[str] = []
    """The objects, in the order of their numbers."""
    mask_ids: list[str] = []
    """Its name in the mirror."""
    qid: str | int = ""
    """The expression's number within its video."""
    n_frames: Frames | None = None
    obj_id: list[int] = []
    anno_id: list[str | int] = []

    @property
    def objects(self) -> list[str]:
        return self.mask_id or self.mask_ids

    def trajectories(self) -> list[RowFrame]:
        """In order of frames. Raises `SampleError` for JSON that is something else."""
        frames = self.frame_trajectories or []
        if isinstance(frames, str):
            try:
                frames = msgspec.json.decode(frames, type=list[RowFrame])
            except msgspec.MsgspecError as error:
                raise SampleError(f"frame_trajectories cannot be read: {error}") from error
        return sorted(frames, key=lambda each: each.frame)


@dataclass(frozen=True)
class Layout:
    """Where one dataset's parts lie in its folder."""

    rows: str
    """Pattern of the Parquet files."""
    videos: VideoPlaces
    masks: Callable[[Path, Row], Masks] | None
    """(folder, row) -> the masks of its objects in their order. Raises `SampleError`. None: they are not public."""
    groups: Callable[[Sequence[Mapping[str, Any]]], Sequence[tuple[Group, str] | None]] | None = None
    """Raw rows -> each one's group and the set of expressions that it is of (a slice), None for a row without."""


def samples(folder: Path, layout: Layout) -> Iterable[Sample]:
    """The rows that are asked: those that want answers once a second, as the release filters them.

    Raises `UserError` where the folder holds no video at all.
    """
    rows = asked_rows(folder, layout)
    names = {str(row.get("video")) for row in rows}
    if names and not any(layout.videos.find(folder, name) for name in names):
        raise UserError(f"{folder} holds none of the {len(names)} videos: {layout.videos.by_hand}")
    named = [(row_id(row, index), row) for index, row in enumerate(rows)]
    indices = {sample_id: index for index, (sample_id, _) in enumerate(named)}
    groups = layout.groups(rows) if layout.groups else [None] * len(rows)

    def make(sample_id: str, row: Row) -> Sample:
        index = indices[sample_id]
        group, of_set = groups[index] or (None, None)
        slices = {"objects": str(len(row.objects)) if len(row.objects) < 3 else "3+"} if layout.masks else {}
        return LazySample(
            sample_id,
            media(folder, layout.videos, row.video, row.fps, row.n_frames),
            row.expression,
            NOT_READ,
            {**slices, "set": of_set} if of_set else slices,
            {"drawn": drawn_prompt(index, row.expression)},
            partial(_read_target, folder, layout, row, group),
        )

    return to_samples(named, Row, make)


def asked_rows(folder: Path, layout: Layout) -> list[dict[str, Any]]:
    """The rows that want answers once a second; those that lack a field are kept, to fail by their name."""

    def is_asked(row: Mapping[str, Any]) -> bool:
        fps = row.get("fps") or ASKED_FPS
        return row.get("sampling_fps", ASKED_FPS) == ASKED_FPS and fps >= 1 and fps % ASKED_FPS == 0

    return [row for row in parquet_rows(sorted(folder.glob(layout.rows)), ()) if is_asked(row)]


def row_id(row: Mapping[str, Any], index: int) -> str:
    """The dataset's own, else the row's place among those that are asked."""
    return str(row["id"]) if row.get("id") not in (None, "") else str(index)


def _read_target(folder: Path, layout: Layout, row: Row, group: Group | None) -> TrackTarget:
    masks = layout.masks(folder, row) if layout.masks else None
    return structs.replace(_target(row, masks), group=group, size=(row.width, row.height))


def _target(row: Row, masks: Masks | None) -> TrackTarget:
    listed = [
        (frame.frame, {str(each.id): each.point for each in frame.points if each.point is not None})
        for frame in row.trajectories()
    ]
    # Masks stand in the order of the objects; there may be more of them than the row names.
    names = [*row.objects, *(f"mask {number}" for number in range(len(row.objects), len(masks or ())))]
    named = None if masks is None else list(zip(names, masks))
    return track_target(row.fps, row.n_frames, row.objects, listed, named)


def track_target(
    fps: float,
    frame_count: int | None,
    names: Sequence[str],
    listed: Iterable[tuple[int, Mapping[str, Sequence[float]]]],
    masks: Sequence[tuple[str, dict[int, RLE]]] | None,
) -> TrackTarget:
    """A row's target, its objects in the order of their masks.

    frame_count: of the video, None where the row does not say: as many as there are masks. names: of the objects, in
    the order of their numbers. listed: frames with each object's point, as the dataset lists them; names that are none
    of the objects' are left out. masks: each with its object's name; None where they are not public.
    """
    if masks is None:
        return TrackTarget((), fps, known=False)
    known = list(dict.fromkeys([*names, *(name for name, _ in masks)]))
    # As many digits as are needed: the paper's scorer sorts the release's numbers as numbers.
    id_of = {name: f"{number:0{len(str(len(known) - 1))}d}" for number, name in enumerate(known)}
    points: dict[str, dict[int, tuple[float, float]]] = {name: {} for name in known}
    own = dict(masks)
    order = [*own, *(name for name in known if name not in own)]
    orders = {}
    for number, by_name in listed:
        present = [name for name in by_name if name in names]
        for name in present:
            xy = by_name[name]
            if len(xy) != 2 or not all(map(isfinite, xy)):
                raise SampleError(f"the point of object {name} in frame {number} is no pair of numbers: {list(xy)}")
            points[name][number] = (float(xy[0]), float(xy[1]))
        if not present or present != sorted(present, key=order.index):
            orders[number] = tuple(id_of[name] for name in present)
    objects = tuple(TrackedObject(id_of[name], points[name], own.get(name, {})) for name in order)
    length = frame_count or max((frame + 1 for _, mask in masks for frame in mask), default=0)
    # At 29.97 frames a second the answer at 1.0 s is frame 30; the release lists points of every 29th frame there.
    seconds = (round(number / ASKED_FPS * fps) for number in range(int(length / fps * ASKED_FPS) + 1))
    asked = tuple(dict.fromkeys(frame for frame in seconds if frame < length))
    return TrackTarget(objects, fps, tuple(range(length)), asked, orders)


# --- masks ----------------------------------------------------------------------------------------


def read_masks(file: Path) -> list[list[Any]]:
    """The entries of each object in a JSON file, object -> one entry a frame. Raises `SampleError`."""
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise SampleError(f"its masks cannot be read: {file}: {error.strerror or error}") from error
    except ValueError as error:
        raise SampleError(f"{file} is not readable JSON: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(entries, list) for entries in content.values()):
        raise SampleError(f"{file} holds no masks: a list for each object is expected")
    return list(content.values())


def by_frame(entries: Sequence[Any]) -> dict[int, RLE]:
    """Frame -> mask, of one object's entries: a COCO encoding or nothing for each frame. Empty masks are left out.

    Raises `SampleError` for a mask that cannot be read.
    """
    from mpeval.masks import area, read_ahead

    found = {number: rle(entry) for number, entry in enumerate(entries) if entry is not None}
    read_ahead(list(found.values()))
    return {number: mask for number, mask in found.items() if area(mask)}


def rle(entry: Any) -> RLE:
    """A mask as datasets write it: compressed, or run lengths in plain numbers. Raises `SampleError`."""
    from mpeval.masks import from_run_lengths

    try:
        height, width = (int(side) for side in entry["size"])
        counts = entry["counts"]
    except (TypeError, KeyError, ValueError) as error:
        raise SampleError(f"a mask needs its size and counts, this one is {str(entry)[:60]}") from error
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", "replace")
    if isinstance(counts, list):
        return from_run_lengths(counts, (height, width))
    if not isinstance(counts, str):
        raise SampleError(f"a mask's counts are no encoding: {str(counts)[:60]}")
    return RLE((height, width), counts)


def precomputed(folder: Path, places: Sequence[str], row: Row) -> Masks | None:
    """The masks that the release's own preparation wrote (`MasksRLE/<video>/<qid>.json`), or a mirror's
    (`masks/<video>/<mask id>.json`); None where there are none."""
    for place in places:
        file = folder / place.format(video=row.video, qid=row.qid)
        if file.is_file():
            return [by_frame(entries) for entries in read_masks(file)]
    mirrored = [folder / "masks" / row.video / f"{name}.json" for name in row.objects]
    if mirrored and any(file.is_file() for file in mirrored):
        return [by_frame(entries) for file in mirrored for entries in read_masks(file)[:1]]
    return None


def drawn_masks(folder: Path, names: str, size: tuple[int, int], value: int, least: bool = False) -> dict[int, RLE]:
    """Frame -> mask, of one object's pictures, one a frame in order of their names.

    names: pattern. size: width, height, to which each is brought. value: of the object's pixels, of grey where `least`
    (from this on), else of the palette. The pictures read last are remembered while they stay as they are. Raises
    `SampleError` where there are none, or one cannot be read or is missing between others.
    """
    try:
        found = [(file, file.stat()) for file in with_gaps(sorted(folder.glob(names)))]
    except OSError as error:
        place = error.filename or folder / names
        raise SampleError(f"its masks cannot be read: {place}: {error.strerror or error}") from error
    if not found:
        raise SampleError(f"its masks are not there: {folder / names}")
    grey = value if least else None
    key = str((size, grey, [(str(file), stat.st_mtime_ns, stat.st_size) for file, stat in found]))
    return _DRAWN.get(key, lambda: _read_drawn([file for file, _ in found], size, grey)).objects.get(value, {})


@dataclass(frozen=True)
class _Drawn:
    """What a video's pictures show: several expressions mean one object, or others in the same pictures."""

    objects: dict[int, dict[int, RLE]]
    """Pixels' value -> frame -> mask."""

    @property
    def nbytes(self) -> int:
        return sum(len(mask.counts) + _BESIDE for masks in self.objects.values() for mask in masks.values())


_BESIDE = 250
"""Bytes that a mask takes beside its runs."""

_DRAWN: Once[_Drawn] = Once(64 << 20)


def _read_drawn(files: Sequence[Path], size: tuple[int, int], grey: int | None) -> _Drawn:
    """grey: levels from this on are one object, and others none; None: each number of the palette but 0 is one."""
    import numpy as np

    from mpeval.masks import encode, resized

    objects: dict[int, dict[int, RLE]] = {}
    for number, file in enumerate(files):
        values = resized(_values(file, grey is not None), size[::-1])
        if grey is None:
            masks = {int(value): values == value for value in np.flatnonzero(np.bincount(values.ravel())) if value}
        else:
            inside = values >= grey
            masks = {grey: inside} if inside.any() else {}
        for value, mask in masks.items():
            objects.setdefault(value, {})[number] = encode(mask)
    return _Drawn(objects)


def _values(file: Path, grey: bool) -> np.ndarray:
    """A picture's levels of grey or its palette's numbers, uint8 [height, width]. Raises `SampleError`."""
    import numpy as np
    from PIL import Image

    try:
        with Image.open(file) as picture:
            values = np.asarray(picture.convert("L") if grey else picture, np.uint8)
    except Exception as error:  # a damaged file makes Pillow's decoders raise nearly anything
        raise SampleError(f"cannot read the mask {file}: {error}") from error
    if values.ndim != 2:
        raise SampleError(f"the mask {file} is a picture in colours: one with a palette is expected")
    return values
