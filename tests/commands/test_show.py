"""`mpeval show`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from mpeval.media import Media
from mpeval.scorers import PointAccuracy
from mpeval.store import Run
from mpeval.types import BoxTarget, Point, Prediction
from tests.benchmarks.test_davis import four_sets
from tests.changed_samples import spoil
from tests.conftest import Ended
from tests.test_store import manifest, row

Call = Callable[..., Ended]


@pytest.fixture
def run(mpeval: Call, plugin: Path, tmp_path: Path) -> Path:
    """A finished run of the fake model on the fake benchmark."""
    assert mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path / "out").status == 0
    return tmp_path / "out"


def drawn(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_worst_are_drawn_and_the_folder_is_printed(mpeval: Call, run: Path, tmp_path: Path) -> None:
    ended = mpeval("show", run, "--worst", "5", "--out", tmp_path / "seen")
    assert ended.status == 0
    assert str(tmp_path / "seen") in ended.out
    names = drawn(tmp_path / "seen")
    assert len(names) == 5
    scores = {name: hit(run, name) for name in names}
    assert set(scores.values()) == {False}


def hit(run: Path, picture: str) -> bool:
    """Whether the sample of a picture's name was answered right."""
    from mpeval.store import Run, find_runs

    with Run.read(find_runs([run])[0]) as stored:
        row = next(row for row in stored.rows() if picture == f"{row.position:05d}-{row.sample_id}.png")
    return row.prediction.points[0].x <= 4


def test_one_sample_shows_its_point_and_its_target(mpeval: Call, run: Path, tmp_path: Path) -> None:
    assert mpeval("show", run, "--sample", "s7", "--out", tmp_path / "seen").status == 0
    assert drawn(tmp_path / "seen") == ["00007-s7.png"]
    with Image.open(tmp_path / "seen" / "00007-s7.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] == 640
    assert pixels.shape[0] > 480  # 8x6 enlarged, and a caption
    for colour in ((255, 45, 85), (60, 230, 110)):
        assert (pixels == colour).all(-1).any()


def test_pictures_lie_beside_the_run_unless_told_otherwise(mpeval: Call, run: Path) -> None:
    assert mpeval("show", run, "--sample", "s0").status == 0
    assert len(list(run.rglob("pictures/00000-s0.png"))) == 1


def test_failed_samples_come_first(mpeval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_FAIL", "s11")
    call = ("run", "--model", "fake-model", "--benchmark", "fake", "--seed", "1", "--out", tmp_path / "failed")
    assert mpeval(*call, "--batch-size", "1").status == 1
    assert mpeval("show", tmp_path / "failed", "--worst", "1", "--out", tmp_path / "seen").status == 0
    assert drawn(tmp_path / "seen") == ["00011-s11.png"]


def test_the_worst_are_told_by_the_samples_own_metric_where_the_headline_is_a_macro_average(tmp_path: Path) -> None:
    from mpeval.commands.show import _scored, _worst

    scorer = PointAccuracy(headline="macro_accuracy_by_half", macros=("half",))
    with Run.write(tmp_path / "run", manifest()) as stored:
        right = structs.replace(row(0), target=BoxTarget((0, 0, 9, 9)), prediction=Prediction(points=(Point(1, 1),)))
        wrong = structs.replace(right, position=1, sample_id="wrong", target=BoxTarget((5, 5, 9, 9)))
        (worst,) = _worst(_scored(stored, [right, wrong], scorer), 1)
    assert (worst.row.sample_id, worst.says) == ("wrong", "accuracy 0.000 (miss)")


def test_a_sample_that_is_scored_with_others_says_so(
    mpeval: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, captions = four_sets(tmp_path / "data"), []

    def keep(media: Media, points: object, target: object, caption: str) -> Image.Image:
        captions.append(caption.splitlines()[-1])
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr("mpeval.contact_sheet.contact_sheet", keep)
    call = ("run", "--model", "oracle", "--benchmark", "ref-davis17", "--data-dir", root, "--out", tmp_path / "out")
    assert mpeval(*call, "--protocol", "official").status == 0
    ended = mpeval("show", tmp_path / "out", "--sample", "t5", "--data-dir", root, "--out", tmp_path / "seen")
    assert ended.status == 0, ended.err
    assert captions == ["J&F 1.000 (hit), scored together with the other queries of v0/2"]


def test_an_unknown_sample_suggests_the_nearest(mpeval: Call, run: Path) -> None:
    ended = mpeval("show", run, "--sample", "s77")
    assert ended.status == 2
    assert "unknown sample 's77': did you mean" in ended.err


def test_several_runs_are_one_line(mpeval: Call, run: Path) -> None:
    call = ("run", "--model", "fake-model", "--benchmark", "fake", "--seed", "1", "--out", run)
    assert mpeval(*call).status == 0
    ended = mpeval("show", run)
    assert ended.status == 2
    assert "holds 2 runs: name one" in ended.err


def test_no_run_is_one_line(mpeval: Call, tmp_path: Path) -> None:
    ended = mpeval("show", tmp_path)
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)


def test_what_is_gone_or_changed_is_named_and_the_rest_drawn(
    mpeval: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    def change(sample: Any) -> Any:
        if sample.id == "s1":
            return None
        if sample.id == "s2":
            return msgspec.structs.replace(sample, media=Media.image(b"other bytes"))
        if sample.id == "s3":
            return msgspec.structs.replace(sample, media=Media.image(tmp_path / "gone.png"))
        return sample

    spoil(monkeypatch, change)
    ended = mpeval("show", run, "--worst", "40", "--out", tmp_path / "seen")
    assert ended.status == 1
    lines = sorted(ended.err.splitlines())
    assert len(lines) == 3
    assert "'s1' not drawn: the benchmark no longer has it" in lines[0]
    assert "'s2' not drawn: its picture has changed" in lines[1]
    assert "'s3' not drawn: its picture is gone" in lines[2]
    assert len(drawn(tmp_path / "seen")) == 37


def test_a_folder_that_cannot_be_written_is_one_line(mpeval: Call, run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = mpeval("show", run, "--out", tmp_path / "file")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert "choose another --out" in ended.err


def test_a_videos_answer_is_drawn_on_its_frames(mpeval: Call, tmp_path: Path) -> None:
    run = ("run", "--model", "oracle", "--benchmark", "demo-track", "--limit", "2", "--out", tmp_path / "out")
    assert mpeval(*run).status == 0
    assert mpeval("show", tmp_path / "out", "--worst", "1", "--out", tmp_path / "seen").status == 0
    (name,) = drawn(tmp_path / "seen")
    with Image.open(tmp_path / "seen" / name) as picture:
        pixels = np.asarray(picture)
    for colour in ((255, 45, 85), (60, 230, 110)):
        assert (pixels == colour).all(-1).any()
