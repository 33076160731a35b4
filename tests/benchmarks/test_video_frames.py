"""Frames of tracked videos: pictures that are missing, and rates that are no whole numbers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpeval import registry
from mpeval.benchmarks.tracking.rows import track_target
from mpeval.benchmarks.tracking.videos import frames_of
from mpeval.masks import encode
from tests.video.videos import number_of, write_video

from . import track_folders as folders


def pictures(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for name in names:
        (folder / f"{name}.jpg").touch()
    return folder


@pytest.mark.parametrize(
    ("numbers", "count", "missing"),
    [
        ([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12], 13, ["3"]),
        ([0, 5, 10, *range(25, 90, 5)], None, ["15", "20"]),
        (range(8), 10, ["frame 8 of 10"]),
        ([0, 3, 4, 9, 11, 20], 6, []),  # as many as there should be
        ([0, 3, 4, 9, 11, 20], None, []),  # no steady numbering
        ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 999_999_999], None, []),
        ([7], None, []),
    ],
)
def test_a_missing_picture_keeps_its_place(tmp_path, numbers, count, missing) -> None:
    there = [f"{number:09d}" for number in numbers]
    found = frames_of(pictures(tmp_path / "v", there), count)
    gone = [each.stem for each in found if not each.exists()]
    assert [name.lstrip("0") for name in gone] == missing
    assert [each.stem for each in found if each.exists()] == there
    assert list(found[: len(there)]) == sorted(found)[: len(there)]


def test_a_missing_picture_fails_its_video_by_name(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    (root / "mevis-valid-u/MeViS_release/valid_u/JPEGImages/v0/00005.jpg").unlink()
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", "mevis-valid-u", "--data-dir", root, "--out", tmp_path / "out",
        "--json",
    )  # fmt: skip
    (result,) = json.loads(ended.out)
    assert (ended.status, result["failed"]) == (1, 2)
    assert "v0/00005.jpg: No such file" in result["failures"][0]


def test_a_missing_picture_of_a_longer_video_is_seen_too(tmp_path) -> None:
    """Of DanceTrack's videos a clip is a part: the count alone would not tell."""
    root = folders.molmo2_track(tmp_path)
    (root / "molmo2-track/DanceTrack/val/v3/img1/00007.jpg").unlink()
    sample = list(registry.benchmark("molmo2-track").samples(str(root)))[3]
    assert [source.stem for source in sample.media.sources if not source.exists()] == ["00007"]  # type: ignore[union-attr]


def test_points_are_asked_at_whole_seconds(tmp_path) -> None:
    """At 29.97 frames a second an answer at 2.0 s is read as frame 60."""
    mask = encode(np.ones((2, 2), bool))
    target = track_target(29.97, 90, ["a"], [], [("a", dict.fromkeys(range(90), mask))])
    assert target.asked == (0, 30, 60)
    assert track_target(24, 90, ["a"], [], [("a", {0: mask})]).asked == (0, 24, 48, 72)
    assert track_target(0.5, 3, ["a"], [], [("a", {0: mask})]).asked == (0, 1, 2)


@pytest.mark.parametrize("fps", [29.97, 30000 / 1001, 30.0])
def test_a_clip_of_a_video_of_29_97_frames_a_second(tmp_path, fps) -> None:
    """Its rate is the row's: the frames to track are chosen by it, whatever the file's own average is."""
    root = folders.molmo2_track(tmp_path)
    file = root / "molmo2-track/personpath22/full_videos/v1.mp4"
    write_video(file, 60, Fraction(30000, 1001), folders.SIZE)
    rows = [folders_row(root, fps=fps, start_frame=20, end_frame=49)]
    folders.write_rows(root / "molmo2-track/data/test-00000-of-00001.parquet", rows)
    (sample,) = registry.benchmark("molmo2-track").samples(str(root))
    assert sample.media.stated_fps == fps
    assert [number_of(frame) for frame in sample.media.clip.pixels([0, 29])] == [20, 49]
    assert sample.media.clip.frame_count == 30


def folders_row(root: Path, **other: object) -> dict[str, object]:
    """The row of PersonPath22, changed."""
    import pyarrow.parquet

    (file,) = (root / "molmo2-track/data").glob("*.parquet")
    return {**pyarrow.parquet.read_table(file).to_pylist()[1], **other}


@pytest.mark.parametrize(
    "broken",
    [
        {"fps": 0},
        {"fps": -6},
        {"width": 0},
        {"n_frames": 2**40},
        {"video": "x" * 300},
        {"frame_trajectories": [{"frame": 0, "points": [{"id": 0, "point": [float("nan"), 1.0]}]}]},
    ],
    ids=lambda each: next(iter(each)),
)
def test_a_row_of_nonsense_fails_alone(tmp_path, mpeval, broken) -> None:
    """No traceback, nothing that never ends, and the record stays readable."""
    root = folders.mevis_valid_u(tmp_path)
    rows = [folders.row(0) | {"fps": float(folders.FPS)}, folders.row(1) | {"fps": float(folders.FPS)} | broken]
    folders.write_rows(root / "mevis-valid-u/track/valid_u-00000-of-00001.parquet", rows)
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", "mevis-valid-u", "--data-dir", root, "--out", tmp_path / "out",
        "--json",
    )  # fmt: skip
    assert ended.status in (0, 1), ended.err
    (result,) = json.loads(ended.out)
    assert result["samples"] - result["failed"] == 1
    assert mpeval("score", tmp_path / "out").status == 0


@pytest.mark.parametrize("protocol", ["paper", "strict", "lmms-eval"])
def test_a_video_of_another_size_than_its_row_states(tmp_path, mpeval, protocol) -> None:
    """Points and masks belong to the row's size: an answer counts where it lies on the picture."""
    root = folders.mevis_valid_u(tmp_path)
    for file in (root / "mevis-valid-u/MeViS_release/valid_u/JPEGImages/v0").iterdir():
        Image.open(file).resize((240, 50)).save(file)
    write_video(root / "mevis-valid-u/valid_u/videos/v1.mp4", folders.FRAMES, folders.FPS, (320, 128))
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", "mevis-valid-u", "--data-dir", root, "--out", tmp_path / "out",
        "--protocol", protocol, "--json",
    )  # fmt: skip
    (result,) = json.loads(ended.out)
    assert (ended.status, result["failed"], result["faulty"]) == (0, 0, 3)
    assert "the picture 240x50" in result["faults"][0]
    of_all = {each["name"]: each["value"] for each in result["metrics"] if each.get("slice") is None}
    if protocol == "strict":
        assert {of_all[name] for name in ("f1", "HOTA", "J&F")} == {1.0}
    else:
        assert of_all["precision"] == 1.0
