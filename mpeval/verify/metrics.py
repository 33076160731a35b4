"""The released scorers' numbers, computed by ours: the `metrics` folder of the parity format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mpeval.errors import SampleError, UserError
from mpeval.metrics.detection import PAPER_EPSILON
from mpeval.types import RLE
from mpeval.verify.check import Check

TOLERANCE = 1e-9

Differences = Iterator[tuple[str, float]]
"""Kind of number, absolute difference."""


def verify_metrics(directory: Path) -> list[Check]:
    """One check for each file and kind of number in a folder with `image_pointing.json`,
    `video_pointing.json`, `tracking.json`, `mask_quality.json` and `parsing.json`; a file that is not there
    is not checked.

    Raises `UserError` for a file that cannot be read as what its name says.
    """
    checks = []
    for name, differences in _FILES.items():
        path = directory / name
        if path.is_file():
            largest: dict[str, float] = {}
            for kind, difference in _read(path, differences):
                # A NaN compares false with everything and must not be lost.
                largest[kind] = difference if not difference <= largest.get(kind, -1.0) else largest[kind]
            checks += [
                Check(f"{directory.name}/{name}", kind, value, TOLERANCE) for kind, value in largest.items()
            ]
    return checks


def _read(path: Path, differences: Callable[[Any], Differences]) -> Differences:
    try:
        for case in json.loads(path.read_text(encoding="utf-8")):
            yield from differences(case)
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SampleError) as error:
        raise UserError(f"{path} is not in the parity format: {type(error).__name__} {error}") from error


def _image_pointing(case: dict) -> Differences:
    from mpeval.metrics.points import point_set_scores

    ours = point_set_scores(
        _tuples(case["pred_points"]),
        _tuples(case["gt_points"]),
        [_rle(mask) for mask in case["masks"]],
        "nearest",
        PAPER_EPSILON,
    )
    yield from _compare(ours._asdict(), case["expected"])


def _video_pointing(case: dict) -> Differences:
    from mpeval.metrics.video_points import timed_point_scores

    ours = timed_point_scores(
        _tuples(case["pred_points"]),
        _tuples(case["gt_points"]),
        [{float(time): _rle(mask) for time, mask in each.items()} for each in case["masks"]],
        case["duration"],
        (case["width"], case["height"]),
        "nearest",
        PAPER_EPSILON,
    )
    yield from _compare(ours._asdict(), case["expected"])


def _tracking(case: dict) -> Differences:
    from mpeval.metrics.tracks import paper_track_scores
    from mpeval.parsing import paper

    predicted = paper.tracks(case["prediction"], (case["width"], case["height"]), case["video_fps"])[1]
    yield "parsed tracks", _distance([_track(frame) for frame in predicted], _tracks(case["pred_tracks"]))
    masks = [
        {frame: _rle(mask) for frame, mask in enumerate(frames) if mask is not None}
        for frames in case["masks"].values()
    ]
    true = [
        paper.TrackFrame(float(time), frame, dict(points))
        for time, frame, points in _tracks(case["gt_tracks"])
    ]
    f1, hota = paper_track_scores(predicted, true, masks)
    yield from _compare({**f1._asdict(), **hota._asdict()}, case["expected"])


def _mask_quality(case: dict) -> Differences:
    from mpeval.metrics.mask_quality import mask_quality

    ours = mask_quality([_rle(mask) for mask in case["pred"]], [_rle(mask) for mask in case["gt"]])
    yield from _compare({**ours._asdict(), "J&F": ours.mean}, case["expected"])


def _parsing(case: dict) -> Differences:
    from mpeval.parsing import paper

    text, size = case["text"], (case["width"], case["height"])
    yield "points", _distance(paper.image_points(text, size)[1], case["points"])
    yield "timed points", _distance(paper.timed_points(text, size)[1], case["timed_points"])
    frames = paper.tracks(text, size, case.get("video_fps", 6))[1]
    yield "tracks", _distance([_track(frame) for frame in frames], _tracks(case["tracks"]))


_FILES: dict[str, Callable[[Any], Differences]] = {
    "image_pointing.json": _image_pointing,
    "video_pointing.json": _video_pointing,
    "tracking.json": _tracking,
    "mask_quality.json": _mask_quality,
    "parsing.json": _parsing,
}


def _compare(ours: dict[str, float], expected: dict[str, float]) -> Differences:
    for kind, value in expected.items():
        yield kind, abs(ours[kind] - value)


def _distance(ours: Any, expected: Any) -> float:
    """The largest difference between nested lists of numbers and strings; infinite where their shapes
    differ."""
    if isinstance(expected, list | tuple):
        if not isinstance(ours, list | tuple) or len(ours) != len(expected):
            return float("inf")
        return max((_distance(a, b) for a, b in zip(ours, expected)), default=0.0)
    if isinstance(expected, str) or isinstance(ours, str):
        return 0.0 if ours == expected else float("inf")
    return abs(ours - expected)


def _track(frame: Any) -> list:
    return [frame.time, frame.frame, [[each, list(xy)] for each, xy in frame.points.items()]]


def _tracks(entries: Iterable[dict]) -> list:
    return [
        [float(entry["time"]), entry["frame"], [[each, p["point"]] for each, p in entry["points"].items()]]
        for entry in entries
    ]


def _rle(mask: dict) -> RLE:
    return RLE((mask["size"][0], mask["size"][1]), mask["counts"])


def _tuples(points: Iterable[Iterable[float]]) -> list:
    return [tuple(point) for point in points]
