"""Molmo2-VC and Molmo2-VP: their folders as published, their scores beside the release's, and faulty data."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from mpeval import registry
from mpeval.benchmarks import molmo2_vc, molmo2_vp
from mpeval.benchmarks.molmo2_videos import find_video
from mpeval.masks import encode
from mpeval.media import Media
from mpeval.scorers import CountAccuracy
from mpeval.store import Run, find_run
from mpeval.types import CountTarget, Point, Prediction, Sample, TimedMask, VideoPointsTarget
from tests.video.videos import number_of, write_video

from .released import check, stored
from .track_folders import write_rows

SIZE = (160, 64)
RATES: list[tuple[str, Fraction | int]] = [("24", 24), ("25", 25), ("29.97", Fraction(30000, 1001)), ("2fps", 2)]


# --- beside the release ----------------------------------------------------------------------------

POINTING = stored("pointing")


@cache
def pointing(index: int) -> tuple[Sample, tuple[int, int]]:
    raw = POINTING["rows"][index]
    target = molmo2_vp._target(msgspec.convert(raw, molmo2_vp.Row))
    return Sample(str(index), Media("video"), "", target), (raw["width"], raw["height"])


def test_every_case_of_pointing_scores_as_in_the_release() -> None:
    scorer = molmo2_vp.benchmark.scorers["paper"]
    assert check(POINTING["cases"], scorer, "paper", pointing) == 350


def test_a_video_of_another_size_is_read_by_the_row_s() -> None:
    """The release knows the row's width and height alone; a model's own points are in the video's pixels."""
    scorer, strict = (molmo2_vp.benchmark.scorers[name] for name in ("paper", "strict"))
    for case in POINTING["cases"]:
        sample, (width, height) = pointing(case["row"])
        answer = Prediction(text=case["text"], form="molmo2-coords")
        values = scorer.score(sample.target, answer, (2 * width, 3 * height)).values
        assert values == pytest.approx(case["paper"], abs=1e-12), case["text"]
    sample, (width, height) = pointing(1)
    target = sample.target
    assert isinstance(target, VideoPointsTarget) and target.points
    points = tuple(Point(2 * each.x, 3 * each.y, time=each.time) for each in target.points)
    small, large = (
        strict.score(target, Prediction(points=each, form="points"), size).values
        for each, size in ((target.points, (width, height)), (points, (2 * width, 3 * height)))
    )
    assert small == large


def test_every_case_of_counting_scores_as_in_the_release() -> None:
    cases = stored("counting")
    assert len(cases) == 400
    scorer = molmo2_vc.benchmark.scorers["paper"]
    for case in cases:
        score = scorer.score(CountTarget(case["count"]), Prediction(text=case["text"], form="count"), SIZE)
        assert (score.values["accuracy"], score.values["close"]) == (case["accuracy"], case["close"]), case


def test_the_release_s_bins_of_counts() -> None:
    assert [molmo2_vc.count_bin(n) for n in (0, 4, 5, 9, 10, 24, 25, 300)] == [
        "0-4", "0-4", "5-9", "5-9", "10-14", "20-24", "25+", "25+",
    ]  # fmt: skip


@pytest.mark.parametrize(("points", "true", "over"), [(11, 5, 1), (11, 6, 0), (10, 1, 0), (12, 5, 1), (13, 6, 1)])
def test_overcounting(points, true, over) -> None:
    """More than twice as many as there are, and more than the floor."""
    answer = Prediction(text="Counting shows a total of 3.", points=(Point(1, 1),) * points, form="grounding-tokens")
    scorer = CountAccuracy.paper(overcount_floor=10)
    assert scorer.score(CountTarget(true), answer, SIZE).values["overcounted"] == over
    assert "overcounted" not in CountAccuracy.paper().score(CountTarget(true), answer, SIZE).values


def test_a_failed_answer_is_not_overcounted() -> None:
    values = CountAccuracy(overcount_floor=0).score(CountTarget(0), Prediction(error="x"), SIZE).values
    assert values == {"accuracy": 0.0, "close": 0.0, "overcounted": 0.0}


# --- folders as published --------------------------------------------------------------------------


def count_row(number: int, **other: Any) -> dict[str, Any]:
    own = {
        "video_id": f"vid{number}",
        "video_source": "youtube",
        "video_duration": 10.0,
        "clip_start": None,
        "clip_end": None,
        "count": number,
        "label": f"dog {number}",
        "question": f'How many "dog {number}" are there in the video?',
        "category": ["object", "animal", "action/event"][number % 3],
    }
    return {**own, **other}


def counting_folder(root: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    """Videos at 24, 25, 29.97 and 2 frames a second, one at a variable rate, one of a clip of another."""
    folder = root / "molmo2-vc"
    exist = folder / "youtube-cc/youtube-cc-exist"
    exist.mkdir(parents=True)
    copies = folder / "youtube-cc/youtube-cc-exist-2fps"
    copies.mkdir(parents=True)
    for number, (name, rate) in enumerate(RATES):
        file = copies / f"vid{number}_2fps.mp4" if name == "2fps" else exist / f"vid{number}.mp4"
        write_video(file, int(2 * rate), rate, SIZE)
    write_video(exist / "vid4.mp4", 30, 25, SIZE, pts=[n * 40 + (n > 9) * 700 + (n % 3) * 5 for n in range(30)])
    clip = count_row(5, video_id="vid1", clip_start=0.5, clip_end=1.5)
    write_rows(folder / "data/val-00000-of-00001.parquet", rows or [*map(count_row, range(5)), clip])
    return root


def mask_at(x: int) -> np.ndarray:
    found = np.zeros((SIZE[1], SIZE[0]), bool)
    found[20:40, x : x + 20] = True
    return found


def run_lengths(mask: np.ndarray) -> list[int]:
    flat = mask.flatten(order="F")
    edges = np.flatnonzero(np.diff(flat.astype(int)))
    return [0] * int(flat[0]) + np.diff([0, *(edges + 1), flat.size]).tolist()


def point_row(number: int, duration: float = 2.0, **other: Any) -> dict[str, Any]:
    """Things at 10 and 80, seen twice a second; every other row's masks are plain run lengths."""
    things = range(number % 3)
    masks = [
        [
            {"frame_id": frame, "rle": {"size": [64, 160], "counts": run_lengths(mask_at(10 + 70 * thing + frame))}}
            for frame in range(thing, 4)
        ]
        for thing in things
    ]
    own = {
        "video_id": f"vid{number}" if number % 2 else f"sora2/vid{number}",
        "video_source": "youtube" if number % 2 else "generated",
        "label": f"dog {number}",
        "width": SIZE[0],
        "height": SIZE[1],
        "video_duration": duration,
        "two_fps_timestamps": [thing / 2 for thing in things],
        "points": [{"x": 20.0 + 70 * thing + thing, "y": 30.0} for thing in things],
        "masks": masks,
    }
    return {**own, **other}


def pointing_folder(root: Path, rows: list[dict[str, Any]] | None = None) -> Path:
    folder = root / "molmo2-vp"
    for place in ("youtube-cc/youtube-cc-kw-2fps", "generated_videos/sora2-2fps"):
        (folder / place).mkdir(parents=True)
    for number in range(6):
        place = "youtube-cc/youtube-cc-kw-2fps" if number % 2 else "generated_videos/sora2-2fps"
        write_video(folder / place / f"vid{number}_2fps.mp4", 4, 2, SIZE)
    write_rows(folder / "data/val-00000-of-00001.parquet", rows or [point_row(number) for number in range(6)])
    return root


FOLDERS = {"molmo2-vc": counting_folder, "molmo2-vp": pointing_folder}


def test_the_published_folder_of_counting(tmp_path) -> None:
    found = list(registry.benchmark("molmo2-vc").samples(str(counting_folder(tmp_path))))
    assert [each.id for each in found] == list("012345")
    assert [each.target for each in found] == [CountTarget(number) for number in range(6)]
    assert found[1].query == 'How many "dog 1" are there in the video?'
    assert found[1].slices == {"category": "animal", "count": "0-4"}
    for sample, (_, rate) in zip(found, RATES):
        assert sample.media.size == SIZE
        assert sample.media.clip.fps == pytest.approx(float(rate), rel=1e-3)
    clip = found[5].media.clip
    assert (clip.start, clip.duration) == (0.5, 1.0)
    assert number_of(next(clip.pixels([0]))) == 12  # on screen at half a second, of 25 a second


def test_the_published_folder_of_pointing(tmp_path) -> None:
    found = list(registry.benchmark("molmo2-vp").samples(str(pointing_folder(tmp_path))))
    target = found[2].target
    assert isinstance(target, VideoPointsTarget)
    assert target.points == (Point(20.0, 30.0, time=0.0), Point(91.0, 30.0, time=0.5))
    assert target.masks[1] == tuple(TimedMask(f / 2, encode(mask_at(80 + f))) for f in range(1, 4))
    assert [each.slices["targets"] for each in found[:3]] == ["0", "1", "2-4"]
    assert found[0].media.size == SIZE
    asked = molmo2_vp.benchmark.elicitations["paper"]
    assert asked.prompt(found[2]) == 'How many "dog 2" are there in the video?'
    assert asked.max_new_tokens == 2048


@pytest.mark.parametrize("name", FOLDERS)
def test_the_oracle_is_right_under_strict(name, tmp_path, mpeval) -> None:
    root = FOLDERS[name](tmp_path)
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", name, "--data-dir", root, "--out", tmp_path / "out", "--protocol",
        "strict", "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    (result,) = json.loads(ended.out)
    of_all = {each["name"]: each["value"] for each in result["metrics"] if each.get("slice") is None}
    wanted = ("accuracy", "close") if name == "molmo2-vc" else ("f1", "precision", "recall")
    assert {of_all[metric] for metric in wanted} == {1.0}
    assert result["faulty"] == 0


@pytest.mark.parametrize("name", FOLDERS)
def test_the_miniature_answers_every_query(name, tmp_path, mpeval) -> None:
    root = FOLDERS[name](tmp_path)
    run = ("run", "--model", "molmopoint-tiny", "--benchmark", name, "--data-dir", root, "--out", tmp_path / "out")
    assert mpeval(*run).status == 0
    with Run.read(find_run(tmp_path / "out")) as stored_run:
        answers = [row.prediction for row in stored_run.rows()]
    assert answers
    assert all(answer.error is None and answer.generated_tokens for answer in answers)


def test_replayed_answers(tmp_path, mpeval) -> None:
    """Points on each thing, in words that end with the count; one at the wrong time; a count that is close."""
    texts = {
        "0": "There are none.",
        "1": '<points coords="0.0 1 125 469">dogs</points> Counting the dogs shows a total of 1.',
        "2": '<points coords="0.0 1 125 469;2.0 2 569 469">dogs</points> Counting the dogs shows a total of 2.',
        "3": "", "4": "There are none.", "5": '<points coords="9.0 1 125 469">dogs</points>',
    }  # fmt: skip
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"sample_id": k, "text": v}) + "\n" for k, v in texts.items()))
    roots = [counting_folder(tmp_path / "data"), pointing_folder(tmp_path / "data")]
    ended = mpeval(
        "run", "--model", f"replay:{file}", "--suite", "video", "--data-dir", roots[0], "--out", tmp_path / "all",
    )  # fmt: skip
    assert ended.status == 2  # BURST's annotations are not there
    ended = mpeval(
        "run", "--model", f"replay:{file}", "--benchmark", "molmo2-vc,molmo2-vp", "--data-dir", roots[0], "--out",
        tmp_path / "out", "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    counted, pointed = (
        {each["name"]: each["value"] for each in result["metrics"] if each.get("slice") is None}
        for result in json.loads(ended.out)
    )
    # 'There are none.' is no 0 to the release; nothing was read from samples 3 to 5 either.
    assert counted["accuracy"] == pytest.approx(2 / 6)
    assert counted["close"] == pytest.approx(2 / 6)
    # Rows with nothing to point at: 0 and 3; one of two points of 2; 1 of 1; none of 4 and of 5, past the end.
    assert pointed["f1"] == pytest.approx((1 + 1 + 1 / 2 + 1 + 0 + 0) / 6)


def test_where_a_video_may_lie(tmp_path) -> None:
    places = {
        "a": "youtube-cc/youtube-cc-temporal-2fps/a_2fps.mp4",
        "b": "youtube-cc/youtube-cc-kw/b.webm",
        "c": "MammalNet/trimmed_video-2fps/c_2fps.mp4",
        "d": "generated_videos/d_2fps.mp4",
        "s/e": "generated_videos/s-2fps/e_2fps.mp4",
        "f": "youtube-cc/youtube-cc-exist/f/anything.mkv",
    }
    for place in places.values():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    for video, place in places.items():
        assert find_video(tmp_path, video, None) == tmp_path / place
    assert find_video(tmp_path, "d", "youtube") == tmp_path / "youtube-cc/youtube-cc-exist-2fps/d_2fps.mp4"
    assert find_video(tmp_path, "../d", None).parent == tmp_path


# --- faults ----------------------------------------------------------------------------------------


def run(mpeval, root: Path, out: Path, name: str = "molmo2-vc") -> tuple[int, dict[str, Any]]:
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", name, "--data-dir", root, "--out", out, "--protocol", "strict",
        "--json",
    )  # fmt: skip
    return ended.status, json.loads(ended.out)[0]


def test_a_clip_whose_end_lies_past_the_file(tmp_path, mpeval) -> None:
    """It is cut, as the release does, and told beside the scores; one that begins past the end fails."""
    rows = [
        count_row(0, video_id="vid0", clip_start=0.5, clip_end=99.0),
        count_row(1, video_id="vid0", clip_start=60.0, clip_end=99.0),
        count_row(2, video_id="vid0", clip_start=0.0, clip_end=2.0),
    ]
    root = counting_folder(tmp_path, rows)
    status, result = run(mpeval, root, tmp_path / "out")
    assert (status, result["failed"], result["faulty"]) == (1, 1, 1)
    assert "0: the clip ends at 99 s, its video at 2.00 s" in result["faults"][0]
    assert "1: a clip from 60 to 99 s is not in" in result["failures"][0]
    assert result["headline"]["value"] == pytest.approx(2 / 3)
    with Run.read(find_run(tmp_path / "out")) as stored_run:
        assert [row.prediction.note is not None for row in stored_run.rows()] == [True, False, False]
    ended = mpeval("data", "verify", "molmo2-vc", "--data-dir", root)
    assert ended.status == 1
    assert "the clip ends at 99 s" in ended.out + ended.err


def test_damaged_videos_fail_their_own_samples(tmp_path, mpeval) -> None:
    root = counting_folder(tmp_path)
    exist = root / "molmo2-vc/youtube-cc/youtube-cc-exist"
    whole = (exist / "vid0.mp4").read_bytes()
    (exist / "vid0.mp4").write_bytes(whole[: len(whole) // 2])
    (exist / "vid2.mp4").write_bytes(b"")
    (exist / "vid4.mp4").unlink()
    status, result = run(mpeval, root, tmp_path / "out")
    assert (status, result["failed"], result["samples"]) == (1, 3, 6)
    assert [line.split(":")[0] for line in result["failures"]] == ["0", "2", "4"]
    assert all(name in line for name, line in zip(("vid0", "vid2", "vid4"), result["failures"]))
    assert result["headline"]["value"] == pytest.approx(3 / 6)


def test_rows_and_masks_that_do_not_fit(tmp_path, mpeval) -> None:
    other = [[{"frame_id": 0, "rle": {"size": [8, 10], "counts": run_lengths(np.ones((8, 10), bool))}}]]
    rows = [
        point_row(1),
        point_row(2, two_fps_timestamps=[0.0]),
        point_row(4, masks=[[{"frame_id": 0, "rle": {"size": [64, 160], "counts": [5]}}]]),
        point_row(1, masks=other, points=[{"x": 4.0, "y": 4.0}]),
    ]
    root = pointing_folder(tmp_path, rows)
    status, result = run(mpeval, root, tmp_path / "out", "molmo2-vp")
    assert (status, result["failed"], result["faulty"]) == (1, 2, 1)
    assert "2 points, 1 times" in result["failures"][0]
    assert "runs cover 5 pixels" in result["failures"][1]
    assert "10x8, the picture 160x64" in result["faults"][0]
    assert result["headline"]["value"] == pytest.approx(2 / 4)


def test_numbers_that_are_none_fail_their_rows(tmp_path, mpeval) -> None:
    """JSON cannot hold them: the record would be unreadable."""
    nan = float("nan")
    rows = [
        point_row(1),
        point_row(1, video_duration=nan),
        point_row(1, two_fps_timestamps=[float("inf")]),
        point_row(1, points=[{"x": nan, "y": 4.0}]),
        point_row(1, video_id="x" * 300),
    ]
    root = pointing_folder(tmp_path, rows)
    status, result = run(mpeval, root, tmp_path / "out", "molmo2-vp")
    assert (status, result["failed"], result["samples"]) == (1, 4, 5)
    assert "are no numbers" in result["failures"][0]


def test_an_empty_dataset_is_one_line(tmp_path, mpeval) -> None:
    (tmp_path / "molmo2-vp").mkdir()
    ended = mpeval("run", "--model", "oracle", "--benchmark", "molmo2-vp", "--data-dir", tmp_path)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "allenai/Molmo2-VideoPointEval" in ended.err
