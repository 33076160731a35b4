"""BURST-VC: questions rebuilt from annotations by the documented rule, and never taken for the paper's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mpeval import registry
from mpeval.benchmarks.burst_vc import benchmark
from mpeval.store import Run, find_run
from mpeval.types import CountTarget, Sample
from tests.video.videos import number_of, numbered_frame, write_video

SIZE = (160, 64)
FPS = 5
CATEGORIES = [{"id": 1, "name": "car_(automobile)"}, {"id": 7, "name": "traffic_light"}, {"id": 9, "name": "dog"}]


def sequence(name: str, seconds: int = 4, **other: Any) -> dict[str, Any]:
    """A frame a second annotated from second 1 on: a car throughout, another at the end, a light, a dog nowhere."""
    frames = [f"frame{number:04d}.jpg" for number in range(seconds * FPS)]
    annotated = frames[FPS::FPS]
    mask = {"rle": "xyz", "is_gt": True, "score": 1.0}
    shown = [
        {"1": mask, "3": mask, **({"2": mask} if number == len(annotated) - 1 else {})}
        for number in range(len(annotated))
    ]
    own = {
        "id": 3,
        "width": SIZE[0],
        "height": SIZE[1],
        "seq_name": name,
        "dataset": "BDD",
        "fps": FPS,
        "all_image_paths": frames,
        "annotated_image_paths": annotated,
        "neg_category_ids": [9],
        "not_exhaustive_category_ids": [],
        "track_category_ids": {"1": 1, "2": 1, "3": 7, "4": 9},
        "segmentations": shown,
    }
    return {**own, **other}


def folder(root: Path, *sequences: dict[str, Any], encoded: bool = False) -> Path:
    own = root / "burst-vc"
    file = own / "annotations/test/all_classes.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"split": "test", "categories": CATEGORIES, "sequences": list(sequences)}))
    for each in sequences:
        if encoded:
            video = own / f"test/videos/BDD/{each['seq_name']}.mp4"
            video.parent.mkdir(parents=True, exist_ok=True)
            write_video(video, len(each["all_image_paths"]), FPS, SIZE)
            continue
        pictures = own / "frames/test/BDD" / each["seq_name"]
        pictures.mkdir(parents=True)
        for number, name in enumerate(each["all_image_paths"]):
            Image.fromarray(numbered_frame(number, SIZE)).save(pictures / name)
    return root


def samples(root: Path) -> list[Sample]:
    return list(registry.benchmark("burst-vc").samples(str(root)))


@pytest.mark.parametrize("encoded", [False, True])
def test_the_rule(tmp_path, encoded) -> None:
    hidden = sequence("b", not_exhaustive_category_ids=[1])
    found = samples(folder(tmp_path, sequence("a"), hidden, encoded=encoded))
    assert [(each.id, each.query, each.target) for each in found] == [
        ("BDD/a/1", "car", CountTarget(2)),
        ("BDD/a/7", "traffic light", CountTarget(1)),  # the dog's track has no mask
        ("BDD/b/7", "traffic light", CountTarget(1)),  # not all cars were marked
    ]
    asked = benchmark.elicitations["rebuilt"]
    assert asked.prompt(found[1]) == "How many traffic light are there in the video?"
    clip = found[0].media.clip
    # From the first annotated frame, at 1 s, to the last, at 3 s.
    assert clip.start == 1.0
    assert clip.duration == pytest.approx(2.2)
    assert [number_of(frame) for frame in clip.pixels([0, clip.frame_count - 1])] == [FPS, 3 * FPS]


def test_a_clip_is_at_most_63_seconds_and_counts_what_is_in_it(tmp_path) -> None:
    found = samples(folder(tmp_path, sequence("long", seconds=70), encoded=True))
    assert found[0].media.clip.duration == 63.0
    assert found[0].target == CountTarget(1)  # the second car comes at 69 s


def test_the_oracle_and_its_marks(tmp_path, mpeval) -> None:
    root = folder(tmp_path / "data", sequence("a"), sequence("b"))
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", "burst-vc", "--data-dir", root, "--out", tmp_path / "out",
        "--protocol", "strict",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    ended = mpeval("score", tmp_path / "out", "--protocol", "all", "--json")
    for result in json.loads(ended.out):
        of_all = {each["name"]: each["value"] for each in result["metrics"] if each.get("slice") is None}
        assert of_all["accuracy"] == of_all["close"] == 1.0
        assert of_all["overcounted"] == 0.0
        assert not result["verified"]
        assert "not the paper's BURST-VideoCount" in result["differs"]


def test_the_miniature_answers_every_query(tmp_path, mpeval) -> None:
    root = folder(tmp_path / "data", sequence("a"))
    run = ("run", "--model", "molmopoint-tiny", "--benchmark", "burst-vc", "--data-dir", root)
    ended = mpeval(*run, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    with Run.read(find_run(tmp_path / "out")) as stored:
        answers = [row.prediction for row in stored.rows()]
    assert len(answers) == 2
    assert all(answer.error is None and answer.generated_tokens for answer in answers)


def test_no_protocol_claims_the_paper_s_numbers() -> None:
    assert "paper" not in benchmark.protocols
    assert "are not the paper's" in benchmark.card.description
    assert all("not the paper's" in each.differs for each in benchmark.protocols.values())


def test_faulty_annotations(tmp_path, mpeval) -> None:
    root = folder(tmp_path, sequence("a"))
    file = root / "burst-vc/annotations/test/all_classes.json"
    content = json.loads(file.read_text())
    content["sequences"] += [{"seq_name": "broken"}, sequence("gone"), sequence("../../x")]
    file.write_text(json.dumps(content))
    ended = mpeval("run", "--model", "oracle", "--benchmark", "burst-vc", "--data-dir", root, "--out", tmp_path / "out",
                   "--json")  # fmt: skip
    (result,) = json.loads(ended.out)
    assert (ended.status, result["samples"], result["failed"]) == (1, 7, 5)
    file.write_text("{}")
    ended = mpeval("run", "--model", "oracle", "--benchmark", "burst-vc", "--data-dir", root)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "no file of BURST's annotations" in ended.err


def test_pictures_that_are_not_there_fail_their_samples(tmp_path, mpeval) -> None:
    root = folder(tmp_path, sequence("a"))
    (root / "burst-vc/frames/test/BDD/a/frame0007.jpg").unlink()
    ended = mpeval("run", "--model", "oracle", "--benchmark", "burst-vc", "--data-dir", root, "--out", tmp_path / "out",
                   "--json")  # fmt: skip
    (result,) = json.loads(ended.out)
    assert (ended.status, result["failed"]) == (1, 2)
    assert "frame0007.jpg" in result["failures"][0]
    assert np.isclose(result["headline"]["value"], 0.0)


def test_in_a_table_its_numbers_say_that_they_are_not_the_paper_s(tmp_path, mpeval) -> None:
    root = folder(tmp_path / "data", sequence("a"))
    mpeval("run", "--model", "oracle", "--benchmark", "burst-vc", "--data-dir", root, "--out", tmp_path / "out")
    ended = mpeval("tables", "4", "--runs", tmp_path / "out", "--format", "md")
    assert ended.status == 0, ended.err
    (row,) = [line for line in ended.out.splitlines() if line.startswith("|") and "oracle" in line]
    assert "protocol rebuilt" in row
    assert "burst-vc, protocol rebuilt: not the paper's BURST-VideoCount" in ended.out
