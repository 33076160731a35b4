"""The tracking benchmarks: their folders as published, their scores beside their sources', and faulty data."""

from __future__ import annotations

import json
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mpeval import registry
from mpeval.benchmarks import molmo2_track
from mpeval.benchmarks.tracking import rows as tracking_rows
from mpeval.benchmarks.tracking.lmms_eval import LmmsEvalTrackScore, read_tracks
from mpeval.benchmarks.tracking.prompts import LMMS_EVAL, TEMPLATES, drawn_prompt
from mpeval.masks import encode
from mpeval.media import Media
from mpeval.scorers import TrackScore
from mpeval.store import Run, find_run
from mpeval.types import ObjectMasks, Prediction, Sample, TrackedObject, TrackTarget, UnreadableTarget
from tests.video.videos import number_of, write_video

from . import track_folders as folders
from .released import check, stored

PUBLIC = {
    "mevis-valid-u": folders.mevis_valid_u,
    "ref-yt-vos": folders.ref_yt_vos,
    "ref-davis17": folders.ref_davis17,
    "reasonvos": folders.reasonvos,
    "molmo2-track": folders.molmo2_track,
}


def samples(name: str, root: Path) -> list[Sample]:
    return list(registry.benchmark(name).samples(str(root)))


def results(out: str) -> dict[str, Any]:
    """Protocol -> metric -> value over all samples."""
    return {
        each["protocol"]: {m["name"]: m["value"] for m in each["metrics"] if m.get("slice") is None}
        for each in json.loads(out)
    }


# --- beside their sources --------------------------------------------------------------------------


ACADEMIC, DOMAINS = stored("tracking"), stored("molmo2_track")


@cache
def academic(index: int) -> tuple[Sample, tuple[int, int]]:
    raw = ACADEMIC["rows"][index]
    masks = [tracking_rows.by_frame(entries) for entries in raw["masks"]]
    target = tracking_rows._target(msgspec.convert(raw, tracking_rows.Row), masks)
    return Sample(raw["id"], Media("video"), "", target), (raw["width"], raw["height"])


@cache
def of_domains(index: int) -> tuple[Sample, tuple[int, int]]:
    raw = DOMAINS["rows"][index]
    target = molmo2_track._target(msgspec.convert(raw, molmo2_track.Row))
    return Sample(raw["id"], Media("video"), "", target), (raw["w"], raw["h"])


def test_every_case_scores_as_in_the_release() -> None:
    assert check(ACADEMIC["cases"], TrackScore.paper(), "paper", academic) == 420
    assert check(DOMAINS["cases"], TrackScore.paper(), "paper", of_domains) == 150


def test_every_case_scores_as_in_lmms_eval() -> None:
    assert check(ACADEMIC["cases"], LmmsEvalTrackScore(), "lmms-eval", academic) > 300


def test_every_case_scores_as_in_mevis_s_own_script() -> None:
    scorer = registry.benchmark("mevis-valid-u").scorers["official"]
    cases = stored("mevis_official")
    assert len(cases) == 60
    for case in cases:
        sides = [[tracking_rows.by_frame(entries) for entries in case[side]] for side in ("true", "predicted")]
        objects = tuple(TrackedObject(str(n), {}, masks) for n, masks in enumerate(sides[0]))
        target = TrackTarget(objects, 6.0, tuple(range(case["frames"])))
        answer = Prediction(masks=tuple(ObjectMasks(str(n), masks) for n, masks in enumerate(sides[1])))
        values = scorer.score(target, answer, tuple(case["size"])).values
        wanted = {"J": case["J"], "F": case["F"], "J&F": (case["J"] + case["F"]) / 2}
        assert values == pytest.approx(wanted, abs=1e-12)


PIECES = st.sampled_from(
    [
        *('<tracks coords="', "coords='", '"', "time ", "{", "}", "0: [10, 20]", "1: [-1e999, 3]", "None", "x"),
        *(";", "\t", ":", ",", " ", "\n", "0.5", "1", "3", "12", "999", "1001", "55.5", "9" * 400, "::"),
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.sampled_from([1.0, 6.0, 29.97]))
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_read_as_lmms_eval_does(text, fps) -> None:
    for frame in read_tracks(text, (640, 480), fps):
        assert frame.frame == round(frame.time * fps)
        assert frame.points
        assert all(x <= 640 and y <= 480 for x, y in frame.points.values())
    target = academic(0)[0].target
    values = LmmsEvalTrackScore().score(target, Prediction(text=text, form="x"), academic(0)[1]).values
    assert all(0 <= value <= 1 for value in values.values())


def test_prompts_are_drawn_as_in_the_release() -> None:
    theirs = stored("tracking_prompts")
    assert [drawn_prompt(index, f"thing {index}") for index in range(200)] == theirs
    assert len(TEMPLATES) == len(set(TEMPLATES)) == 10


def test_the_prompt_of_lmms_eval() -> None:
    assert LMMS_EVAL.replace("{query}", "two cats") == stored("lmms_prompt").replace("the two cats", "two cats", 1)


# --- folders as published --------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLIC)
def test_a_published_folder(name, tmp_path) -> None:
    found = samples(name, PUBLIC[name](tmp_path))
    assert len(found) == (5 if name == "molmo2-track" else folders.QUERIES)
    for sample in found:
        assert isinstance(sample.target, TrackTarget)
        assert sample.target.asked == (0, 6, 12)
        assert sample.target.annotated == tuple(range(folders.FRAMES))
        assert sample.media.size == folders.SIZE
        clip = sample.media.clip
        assert clip.frame_count == folders.FRAMES
        assert clip.fps == pytest.approx(folders.FPS)
        for each in sample.target.objects:
            assert set(each.points) <= {0, 6, 12}
            assert all(mask.size == folders.SIZE[::-1] for mask in each.masks.values())
    assert found[0].wordings["drawn"] == drawn_prompt(0, found[0].query)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_oracle_is_right_under_strict(name, tmp_path, mpeval) -> None:
    """And its masks, which are the truth, in J&F."""
    root = PUBLIC[name](tmp_path / "data")
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", name, "--data-dir", root, "--out", tmp_path / "out", "--protocol",
        "strict", "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    values = results(ended.out)["strict"]
    for metric in ("f1", "precision", "recall", "HOTA", "DetA", "AssA", "J&F", "J", "F", "mask_HOTA"):
        assert values[metric] == 1.0, metric
    ended = mpeval("score", tmp_path / "out", "--protocol", "all", "--json")
    assert ended.status == 0
    others = results(ended.out)
    # The release divides by all objects, those away too: one of two things is away in the last of three frames.
    assert 0.88 < others["paper"]["f1"] <= 1.0
    assert all(each["J&F"] == 1.0 for each in others.values())


@pytest.mark.parametrize("rate", ["24", "25", "29.97", "variable"])
def test_rates_of_real_videos(rate, tmp_path, mpeval, monkeypatch) -> None:
    """Frame n is the file's n-th, whatever its clock: the row's rate, a whole number, makes frames of times."""
    fps = {"24": 24, "25": 25, "29.97": 30, "variable": 25}[rate]
    frames = 2 * fps + 2
    monkeypatch.setattr(folders, "FPS", fps)
    monkeypatch.setattr(folders, "FRAMES", frames)
    folder = tmp_path / "data/mevis-valid-u"
    folders.write_rows(folder / "track/valid_u-00000-of-00001.parquet", [folders.row(0, True)])
    folders.write_json(folder / "valid_u/MasksRLE/v0/0.json", {"0": [folders.rle(0, f) for f in range(frames)]})
    file = folder / "valid_u/videos/v0.mp4"
    file.parent.mkdir(parents=True)
    clock = [40 * n + 13 * (n % 3) + 500 * (n > 20) for n in range(frames)] if rate == "variable" else None
    write_video(file, frames, Fraction(30000, 1001) if rate == "29.97" else fps, folders.SIZE, pts=clock)
    status, result = run_oracle(mpeval, tmp_path / "data", tmp_path / "out")
    assert (status, result["faulty"]) == (0, 0)
    of_all = {each["name"]: each["value"] for each in result["metrics"] if each.get("slice") is None}
    assert {of_all[name] for name in ("f1", "HOTA", "J&F")} == {1.0}
    (sample,) = samples("mevis-valid-u", tmp_path / "data")
    assert isinstance(sample.target, TrackTarget)
    assert sample.target.asked == (0, fps, 2 * fps)
    assert [number_of(frame) for frame in sample.media.clip.pixels(sample.target.asked)] == [0, fps, 2 * fps]


def test_replayed_answers_are_scored_under_every_protocol(tmp_path, mpeval) -> None:
    """Both squares at once, then one under the other's number, then nothing."""
    root = folders.mevis_valid_u(tmp_path / "data")
    perfect = '<tracks coords="0.0 1 106 422 2 481 422;1.0 1 181 422 2 556 422;2.0 1 256 422">squares</tracks>'
    half = '<tracks coords="0.0 1 481 422;9.0 1 500 500">square</tracks>'
    answers = [("track_0", perfect), ("track_1", half), ("track_2", "There are none.")]
    file = tmp_path / "answers.jsonl"
    file.write_text("".join(json.dumps({"sample_id": name, "text": text}) + "\n" for name, text in answers))
    ended = mpeval(
        "run", "--model", f"replay:{file}", "--benchmark", "mevis-valid-u", "--data-dir", root, "--out",
        tmp_path / "out",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    values = results(mpeval("score", tmp_path / "out", "--protocol", "all", "--json").out)
    # By the sixth frame's count: the second thing is in frames 0 and 6; frame 54 is past the end.
    assert values["strict"]["f1"] == pytest.approx((1 + 2 / 4 + 0) / 3)
    assert values["lmms-eval"]["f1"] == pytest.approx((1 - 1 / 9 + 2 / 3 + 0) / 3, abs=1e-6)
    assert values["paper"]["f1"] == pytest.approx((1 - 1 / 9 + 2 / 4 + 0) / 3, abs=1e-6)
    assert "f1" not in values["official"]


@pytest.mark.parametrize("name", [*PUBLIC, "mevis-valid"])
def test_the_miniature_answers_every_query(name, tmp_path, mpeval) -> None:
    root = getattr(folders, name.replace("-", "_"))(tmp_path / "data")
    run = ("run", "--model", "molmopoint-tiny", "--benchmark", name, "--data-dir", root, "--out", tmp_path / "out")
    ended = mpeval(*run, "--json")
    assert ended.status == 0, ended.err
    with Run.read(find_run(tmp_path / "out")) as stored_run:
        answers = [row.prediction for row in stored_run.rows()]
    assert answers
    assert all(answer.error is None and answer.generated_tokens for answer in answers)


def test_a_thing_that_is_away_is_not_tested_against_another(tmp_path) -> None:
    """In frame 12 the second square is away: to the release the first one's mask has changed places with nothing."""
    first = samples("mevis-valid-u", folders.mevis_valid_u(tmp_path))[0]
    assert isinstance(first.target, TrackTarget)
    assert [sorted(each.points) for each in first.target.objects] == [[0, 6, 12], [0, 6]]
    assert 12 in first.target.objects[0].masks
    assert 12 not in first.target.objects[1].masks


def test_domains_are_slices(tmp_path) -> None:
    found = samples("molmo2-track", folders.molmo2_track(tmp_path))
    assert [each.slices["domain"] for each in found] == ["animals", "person", "sports", "dancers", "misc"]
    # Cut out of a whole video: frames 2 to 16; every fourth of SA-V's pictures.
    for sample, first, step in ((found[1], 2, 1), (found[3], 2, 1), (found[4], 0, 4)):
        shown = [number_of(frame) for frame in sample.media.clip.pixels(range(folders.FRAMES))]
        assert shown == [first + step * number for number in range(folders.FRAMES)]


def test_masks_of_the_release_s_own_preparation(tmp_path) -> None:
    root = folders.mevis_valid_u(tmp_path / "one")
    before = samples("mevis-valid-u", root)
    for query in range(folders.QUERIES):
        entries = [[folders.rle(thing, f) for f in range(folders.FRAMES)] for thing in folders.things_of(query)]
        file = root / f"mevis-valid-u/valid_u/MasksRLE/v{query // 2}/{query % 2}.json"
        folders.write_json(file, dict(enumerate(entries)))
    (root / "mevis-valid-u/MeViS_release/valid_u/mask_dict.json").unlink()
    assert [each.target for each in samples("mevis-valid-u", root)] == [each.target for each in before]


def test_masks_of_the_mirror(tmp_path) -> None:
    """Its rows hold points as JSON, and each object's masks lie in a file of their own."""
    root = folders.mevis_valid_u(tmp_path)
    before = samples("mevis-valid-u", root)[2].target
    row = folders.row(2)
    points = json.dumps(row["frame_trajectories"])
    row["mask_ids"] = ["a", "b"]
    row["frame_trajectories"] = points.replace('"id": 0', '"id": "a"').replace('"id": 1', '"id": "b"')
    del row["mask_id"]
    folder = root / "mevis-valid-u"
    folders.write_rows(folder / "track/valid_u-00000-of-00001.parquet", [row])
    for thing, name in enumerate("ab"):
        entries = [folders.rle(thing, f) for f in range(folders.FRAMES)]
        folders.write_json(folder / f"masks/v1/{name}.json", {"7": entries})
    assert [each.target for each in samples("mevis-valid-u", root)] == [before]


# --- without public truth --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mevis-valid", "ref-yt-vos"])
def test_nothing_is_scored_without_truth(name, tmp_path, mpeval) -> None:
    root = folders.mevis_valid(tmp_path) if name == "mevis-valid" else folders.ref_yt_vos(tmp_path, masks=False)
    ended = mpeval(
        "run", "--model", "none", "--benchmark", name, "--data-dir", root, "--out", tmp_path / "out", "--json"
    )
    assert ended.status == 0, ended.err
    (result,) = json.loads(ended.out)
    assert result["headline"] is None
    assert {each["name"] for each in result["metrics"]} <= {"format_failures"}
    assert mpeval("score", tmp_path / "out").status == 0


# --- faults ----------------------------------------------------------------------------------------


def run_oracle(mpeval, root: Path, out: Path, name: str = "mevis-valid-u") -> tuple[int, Any]:
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", name, "--data-dir", root, "--out", out, "--protocol", "strict",
        "--json",
    )  # fmt: skip
    return ended.status, json.loads(ended.out)[0] if ended.out else ended.err


def test_a_truncated_video_is_that_sample_s_failure(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    file = root / "mevis-valid-u/valid_u/videos/v1.mp4"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    status, result = run_oracle(mpeval, root, tmp_path / "out")
    assert (status, result["failed"], result["samples"]) == (1, 1, 3)
    assert "track_2" in result["failures"][0]
    assert "v1.mp4" in result["failures"][0]
    assert result["headline"]["value"] == pytest.approx(2 / 3)


def test_a_folder_without_frames_is_that_sample_s_failure(tmp_path, mpeval) -> None:
    root = folders.reasonvos(tmp_path)
    for each in (root / "reasonvos/ReasonVOS/JPEGImages/v0").iterdir():
        each.unlink()
    status, result = run_oracle(mpeval, root, tmp_path / "out", "reasonvos")
    assert (status, result["failed"]) == (1, 2)
    assert "no frames" in result["failures"][0]


def test_masks_of_another_size_are_told(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    file = root / "mevis-valid-u/MeViS_release/valid_u/mask_dict.json"
    content = json.loads(file.read_text())
    small = encode(np.ones((4, 6), bool))
    content["0"] = [{"size": small.size, "counts": small.counts} for _ in range(folders.FRAMES)]
    file.write_text(json.dumps(content))
    _, result = run_oracle(mpeval, root, tmp_path / "out")
    assert (result["samples"], result["faulty"]) == (3, 1)
    assert "track_0" in result["faults"][0]
    assert "6x4" in result["faults"][0]
    # To the segmenter's masks they are brought to the video's size.
    assert {m["value"] for m in result["metrics"] if m["name"] == "J&F"} == {1.0}


def test_rows_that_cannot_be_used_are_named(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    rows = [folders.row(0), folders.row(1, anno_id=["77"]), folders.row(2, video="../../v1")]
    folders.write_rows(root / "mevis-valid-u/track/valid_u-00000-of-00001.parquet", rows)
    status, result = run_oracle(mpeval, root, tmp_path / "out")
    assert (status, result["failed"], result["samples"]) == (1, 2, 3)
    assert "no annotation 77" in result["failures"][0]
    assert "outside of the dataset" in result["failures"][1]


def test_a_broken_mask_fails_its_row_alone(tmp_path) -> None:
    root = folders.mevis_valid_u(tmp_path)
    file = root / "mevis-valid-u/MeViS_release/valid_u/mask_dict.json"
    content = json.loads(file.read_text())
    content["10"][3]["counts"] = "zzz"
    file.write_text(json.dumps(content))
    found = samples("mevis-valid-u", root)
    assert [type(each.target).__name__ for each in found] == ["TrackTarget", "TrackTarget", "UnreadableTarget"]


@pytest.mark.parametrize("name", [*PUBLIC, "mevis-valid"])
def test_without_videos_one_line_says_what_to_fetch(name, tmp_path, mpeval) -> None:
    import shutil

    root = {**PUBLIC, "mevis-valid": folders.mevis_valid}[name](tmp_path)
    for each in (root / name).iterdir():
        if each.name not in ("track", "data"):
            shutil.rmtree(each)
    ended = mpeval("run", "--model", "none", "--benchmark", name, "--data-dir", root, "--out", tmp_path / "out")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert f"{name} needs its videos (" in ended.err
    assert "by hand: " in ended.err
    assert mpeval("data", "status", name, "--data-dir", root, "--json").out.count("incomplete") == 1


def test_what_is_asked_of_a_model(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    run_oracle(mpeval, root, tmp_path / "out")
    with Run.read(find_run(tmp_path / "out")) as run:
        assert [row.prompt for row in run.rows()] == [drawn_prompt(i, f"squares {i}") for i in range(3)]
        assert run.manifest.elicitation.sampling == "tracking"
        assert run.manifest.elicitation.max_new_tokens == 4096


def test_videos_of_something_else_are_no_help(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    rows = [folders.row(query, video=f"other{query}") for query in range(3)]
    folders.write_rows(root / "mevis-valid-u/track/valid_u-00000-of-00001.parquet", rows)
    ended = mpeval("run", "--model", "none", "--benchmark", "mevis-valid-u", "--data-dir", root)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "holds none of the 3 videos: fetch MeViS_release.zip" in ended.err


# --- masks of a run ----------------------------------------------------------------------------------


def run_none(mpeval, root: Path, out: Path) -> None:
    """Of three answers, one that fails."""
    file = root / "mevis-valid-u/valid_u/videos/v1.mp4"
    file.write_bytes(file.read_bytes()[:200])
    ended = mpeval("run", "--model", "none", "--benchmark", "mevis-valid-u", "--data-dir", root, "--out", out)
    assert ended.status == 1, ended.err


def test_a_run_without_masks_has_no_j_and_f_though_samples_failed(tmp_path, mpeval) -> None:
    run_none(mpeval, folders.mevis_valid_u(tmp_path), tmp_path / "out")
    for values in results(mpeval("score", tmp_path / "out", "--protocol", "all", "--json").out).values():
        assert not {"J&F", "J", "F", "mask_HOTA"} & set(values)
    assert "J&F" not in mpeval("score", tmp_path / "out", "--protocol", "official").out.replace("'J&F'", "")


def test_a_failed_sample_of_a_segmented_run_counts_0(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    run_none(mpeval, root, tmp_path / "out")
    ended = mpeval("segment", tmp_path / "out", "--segmenter", "classical", "--data-dir", root)
    assert ended.status == 0, ended.err
    for each in json.loads(mpeval("score", tmp_path / "out", "--protocol", "all", "--json").out):
        (found,) = (m for m in each["metrics"] if m["name"] == "J&F" and m.get("slice") is None)
        # Nothing is pointed at: right where the second thing, which alone the second query means, is away.
        assert found["count"] == 3
        assert found["value"] == pytest.approx(5 / 15 / 3)


def test_a_failed_sample_counts_0_beside_the_oracle_s_own_masks(tmp_path, mpeval) -> None:
    root = folders.mevis_valid_u(tmp_path)
    rows = [folders.row(0), folders.row(1, anno_id=["77"]), folders.row(2)]
    folders.write_rows(root / "mevis-valid-u/track/valid_u-00000-of-00001.parquet", rows)
    run_oracle(mpeval, root, tmp_path / "out")
    found = results(mpeval("score", tmp_path / "out", "--protocol", "all", "--json").out)
    for protocol in ("paper", "official", "strict"):
        assert found[protocol]["J&F"] == pytest.approx(2 / 3)


# --- masks are read when they are needed -------------------------------------------------------------


@pytest.mark.parametrize("name", ["ref-yt-vos", "ref-davis17", "reasonvos", "mevis-valid-u"])
def test_no_mask_is_read_at_the_start_nor_by_a_dry_run(name, tmp_path, monkeypatch, mpeval) -> None:
    root = PUBLIC[name](tmp_path)
    read = []
    monkeypatch.setattr(tracking_rows, "by_frame", lambda entries: read.append(1))
    monkeypatch.setattr(tracking_rows, "_read_drawn", lambda *arguments: read.append(1))
    found = samples(name, root)
    assert len(found) == folders.QUERIES
    assert all(sample.slices["objects"] for sample in found)
    ended = mpeval("run", "--model", "oracle", "--benchmark", name, "--data-dir", root, "--dry-run")
    assert ended.status == 0, ended.out
    assert f"{folders.QUERIES} of {folders.QUERIES} samples" in ended.out
    assert not read


def test_pictures_are_read_once_for_all_that_they_show(tmp_path, monkeypatch) -> None:
    read = []
    values = tracking_rows._values

    def counted(file: Path, grey: bool) -> np.ndarray:
        read.append(file)
        return values(file, grey)

    monkeypatch.setattr(tracking_rows, "_values", counted)
    found = samples("ref-davis17", folders.ref_davis17(tmp_path))
    assert found[0].target == found[0].target
    assert found[1].target != found[0].target
    assert len(read) == folders.FRAMES
    # Other pictures in their place are read again.
    before = found[0].target
    for file in (tmp_path / "ref-davis17/DAVIS/Annotations/480p/v0").iterdir():
        Image.new("P", folders.SIZE, 1).save(file)
    assert found[0].target != before


def test_a_mask_that_is_missing_between_others_is_named(tmp_path) -> None:
    """The masks after it would each be taken for another frame's."""
    root = folders.ref_davis17(tmp_path)
    (root / "ref-davis17/DAVIS/Annotations/480p/v1/00001.png").unlink()
    found = [each.target for each in samples("ref-davis17", root)]
    assert [type(each).__name__ for each in found] == ["TrackTarget", "TrackTarget", "UnreadableTarget"]
    assert isinstance(found[2], UnreadableTarget)
    assert "00001.png: No such file" in found[2].reason


def test_a_mask_in_colours_fails_its_row_alone(tmp_path) -> None:
    root = folders.ref_davis17(tmp_path)
    file = root / "ref-davis17/DAVIS/Annotations/480p/v1/00003.png"
    Image.new("RGB", folders.SIZE).save(file)
    found = [each.target for each in samples("ref-davis17", root)]
    assert [type(each).__name__ for each in found] == ["TrackTarget", "TrackTarget", "UnreadableTarget"]
    assert isinstance(found[2], UnreadableTarget)
    assert "00003.png is a picture in colours" in found[2].reason
