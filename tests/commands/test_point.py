"""`mpeval point`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Ended
from tests.video.videos import write_video

Call = Callable[..., Ended]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "grey.png"
    Image.new("RGB", (800, 600), (128, 128, 128)).save(path)
    return path


def test_points_are_printed_and_drawn(mpeval: Call, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "drawn.jpg"
    ended = mpeval("point", "--model", "center", "--out", out, picture, "Point to the cup")
    assert (ended.status, ended.err) == (0, "")
    assert "1: x 400.0, y 300.0" in ended.out
    assert f"picture: {out}" in ended.out
    with Image.open(out) as drawn:
        red, green, blue = np.asarray(drawn)[300, 400].astype(int)
    assert red > 200
    assert green < 120
    assert blue < 150


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "numbers.mp4", 40, rate=10)


def test_of_a_video_the_times_are_printed_and_the_frames_drawn(mpeval: Call, video: Path, tmp_path: Path) -> None:
    text = '<tracks coords="1.0 1 250 500;2.0 1 500 500">cup</tracks>'
    (tmp_path / "answers.jsonl").write_text(json.dumps({"sample_id": "0", "text": text}))
    out = tmp_path / "drawn.png"
    ended = mpeval("point", "--model", f"replay:{tmp_path}/answers.jsonl", "--tracking", "--out", out, video, "x")
    assert (ended.status, ended.err) == (0, "")
    assert "1: x 40.0, y 32.0, 1.00 s, object 1" in ended.out
    assert "2: x 80.0, y 32.0, 2.00 s, object 1" in ended.out
    with Image.open(out) as sheet:
        assert sheet.width == 2 * 320 + 6


def test_json_of_a_video_has_times(mpeval: Call, video: Path, tmp_path: Path) -> None:
    found = json.loads(mpeval("point", "--model", "center", "--json", "--out", tmp_path / "o.png", video, "x").out)
    assert found["points"] == [[80.0, 32.0]]
    assert found["times"] == [0.0]


def test_a_model_that_takes_no_video_is_named(mpeval: Call, plugin: Path, video: Path, tmp_path: Path) -> None:
    ended = mpeval("point", "--model", "fake-model", "--out", tmp_path / "o.png", video, "x")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert "takes image, not video" in ended.err


def test_json(mpeval: Call, picture: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn.png"
    found = json.loads(mpeval("point", "--model", "center", "--json", "--out", out, picture, "x").out)
    assert found["points"] == [[400.0, 300.0]]
    assert found["picture"] == str(out)


def test_the_picture_is_named_after_the_original(
    mpeval: Call, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert mpeval("point", "--model", "center", picture, "x").status == 0
    assert (tmp_path / "grey-points.png").exists()


def test_no_points_are_said_so(mpeval: Call, picture: Path, tmp_path: Path) -> None:
    ended = mpeval("point", "--model", "none", "--out", tmp_path / "o.png", picture, "x")
    assert ended.status == 0
    assert "no points" in ended.out
    assert "answer: There are none." in ended.out


def test_an_answer_does_not_steer_the_terminal(mpeval: Call, picture: Path, tmp_path: Path) -> None:
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"sample_id": "0", "text": "\x1b[2Jgone\x07", "points": [[1, 2]]}))
    ended = mpeval("point", "--model", f"replay:{answers}", "--out", tmp_path / "o.png", picture, "x")
    assert r"answer: \x1b[2Jgone\x07" in ended.out
    assert "\x1b" not in ended.out


def test_a_model_without_an_answer_ends_in_1_and_writes_nothing(mpeval: Call, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text('{"sample_id": "elsewhere", "text": ""}')
    out = tmp_path / "o.png"
    ended = mpeval("point", "--model", f"replay:{tmp_path}/answers.jsonl", "--out", out, picture, "x")
    assert ended.status == 1
    assert "gave no answer" in ended.err
    assert not out.exists()


def bad_calls(folder: Path) -> dict[str, tuple[str, str, str]]:
    """What is wrong -> model, picture, file to write."""
    (folder / "text.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "grey.png").read_bytes()[:200])
    (folder / "text.mp4").write_text("no video")
    (folder / "file").write_text("")
    return {
        "did you mean 'center'": ("centre", "grey.png", "o.png"),
        "is not a picture": ("center", "text.png", "o.png"),
        "cannot decode": ("center", "cut.png", "o.png"),
        "No such file": ("center", "missing.png", "o.png"),
        "ends in .png": ("center", "grey.png", "o.doc"),
        "choose another --out": ("center", "grey.png", "file/o.png"),
        "answers from the target": ("oracle", "grey.png", "o.png"),
        "as video": ("center", "text.mp4", "o.png"),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "did you mean 'center'",
        "is not a picture",
        "cannot decode",
        "No such file",
        "ends in .png",
        "choose another --out",
        "answers from the target",
        "as video",
    ],
)
def test_a_users_mistake_is_one_line_and_writes_nothing(
    mpeval: Call, picture: Path, tmp_path: Path, wrong: str
) -> None:
    model, source, out = bad_calls(tmp_path)[wrong]
    before = sorted(tmp_path.iterdir())
    ended = mpeval("point", "--model", model, "--out", tmp_path / out, tmp_path / source, "x")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert wrong in ended.err
    assert sorted(tmp_path.iterdir()) == before


def test_tracking_is_for_videos(mpeval: Call, picture: Path, tmp_path: Path) -> None:
    ended = mpeval("point", "--model", "center", "--tracking", "--out", tmp_path / "o.png", picture, "x")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert "--tracking is for videos" in ended.err and not (tmp_path / "o.png").exists()
