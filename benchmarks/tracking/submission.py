"""What a challenge's server wants of each query: names of folders and frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mpeval.errors import UserError

from .rows import Layout, Row, asked_rows, row_id
from .videos import frames_of

if TYPE_CHECKING:
    from mpeval.submission import SubmittedQuery


def queries(folder: Path, layout: Layout, root: str, lists: Sequence[str]) -> Iterator[SubmittedQuery]:
    """Each query's place in the archive, `<root>/<video>/<expression>/<frame>.png`, with the names of its frames.

    lists: folders that may hold meta_expressions.json, which names each video's frames; where none does, the pictures'
    own names count. Raises `UserError` where neither is there.
    """
    from mpeval.submission import SubmittedQuery

    known = _frame_lists(folder, [*lists, *(f"{layout.videos.home}/{each}" for each in lists)])
    for index, raw in enumerate(asked_rows(folder, layout)):
        row = msgspec.convert(raw, Row)
        place = "/".join(filter(None, (root, row.video, str(row.qid))))
        frames = known.get(row.video) or _names(folder, layout, row.video)
        yield SubmittedQuery(row_id(raw, index), place, tuple(frames), (int(row.width), int(row.height)))


def _frame_lists(folder: Path, places: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Video -> names of its frames, from the first list of expressions that is there."""
    for place in places:
        file = folder / place / "meta_expressions.json"
        if file.is_file():
            try:
                videos: dict[str, Any] = json.loads(file.read_bytes())["videos"]
                return {video: [str(name) for name in each["frames"]] for video, each in videos.items()}
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise UserError(f"{file} does not list videos and their frames: fetch it again") from error
    return {}


def _names(folder: Path, layout: Layout, video: str) -> list[str]:
    found = layout.videos.find(folder, video)
    if found is None or found.is_file():
        raise UserError(
            f"the names of the frames of {video} are not known: put meta_expressions.json, or its pictures, "
            f"into {folder}"
        )
    return [each.stem for each in frames_of(found)]
