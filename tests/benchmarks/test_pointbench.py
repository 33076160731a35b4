"""PointBench in its published layout, scored as its sources score it."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mpeval.benchmarks.pointbench import Row, _wordings, benchmark
from mpeval.benchmarks.pointbench.target import read_target
from mpeval.errors import SampleError
from mpeval.masks import decode, encode
from mpeval.media import Media
from mpeval.model_adapters.oracle import answer
from mpeval.types import MaskTarget, Point, Prediction, Query, Sample, UnreadableTarget

from .photographs import picture, pointbench_of_cases, recorded, write_answers, write_pointbench, write_zip

SCORES = recorded("pointbench/scores")
MASKS, CASES = SCORES["masks"], SCORES["cases"]
SOURCES = ("paper", "official", "lmms-eval", "lmms-eval-json")


class Stored(bytes):
    def read_bytes(self) -> bytes:
        return bytes(self)


def target_of(case: dict) -> MaskTarget:
    png = base64.b64decode(MASKS[case["mask"]]["png"])
    return read_target(Stored(png), case.get("category", "spatial"), case.get("count"))


def score(protocol: str, case: dict, prediction: Prediction) -> dict[str, float]:
    scorer = benchmark.scorers[benchmark.protocols[protocol].scorer]
    return scorer.score(target_of(case), prediction, tuple(MASKS[case["mask"]]["size"])).values


@pytest.mark.parametrize("protocol", SOURCES)
def test_every_answer_scores_as_its_source_scored_it(protocol) -> None:
    for case in CASES:
        expected = case[protocol]
        values = score(protocol, case, Prediction(text=case["text"]))
        if isinstance(expected, list):
            assert values == pytest.approx({"accuracy": expected[0], "binary_accuracy": expected[1]}), case
        else:
            assert values == {"accuracy": expected}, case


FAMILIES = recorded("pointbench/families")
OFFICIAL = ("official-openai", "official-gemini", "official-qwen")


@pytest.mark.parametrize("protocol", OFFICIAL)
def test_each_family_of_models_is_read_as_the_benchmark_reads_it(protocol) -> None:
    texts = [case["text"] for case in recorded("parsing/pointarena")["cases"]]
    scorer, hits = benchmark.scorers[protocol], 0
    for case in FAMILIES["cases"]:
        x1, y1, x2, y2 = FAMILIES["boxes"][case["box"]]
        mask = np.zeros((480, 640), bool)
        mask[y1:y2, x1:x2] = True
        target = MaskTarget(encode(mask), case["count"] if case["category"] == "counting" else None)
        values = scorer.score(target, Prediction(text=texts[case["text"]]), (640, 480)).values
        assert values == {"accuracy": case[protocol]}, texts[case["text"]]
        hits += case[protocol]
    assert hits > 2


@pytest.mark.parametrize("category", ["spatial", "counting"])
@pytest.mark.parametrize("protocol", OFFICIAL)
def test_each_family_is_asked_as_the_benchmark_asks_it(protocol, category) -> None:
    media = Media("image", frames=(np.zeros((480, 640, 3), np.uint8),))
    row = Row("a.png", "a.png", category, "QUERY", 1)
    sample = Sample("0", media, row.user_input, MaskTarget(encode(np.ones((2, 2), bool))), {}, _wordings(row))
    prompt = benchmark.elicitations[protocol].prompt(sample)
    # One blank more in the last line of what Qwen is asked outside of counting: the source's own is one short there.
    assert prompt.rstrip(" ") == FAMILIES["prompts"][f"{protocol} {category}"].rstrip(" ")


def test_points_of_grounding_tokens_score_as_the_release_scored_them() -> None:
    for case in SCORES["grounding_tokens"]:
        points = tuple(Point(x, y) for x, y in case["points"])
        prediction = Prediction(text='<points coords="">cup</point>', points=points, form="grounding-tokens")
        assert score("paper", case, prediction) == {"accuracy": case["paper"]}


@pytest.mark.parametrize("protocol", list(benchmark.protocols))
def test_grounding_tokens_count_under_every_protocol(protocol) -> None:
    case = {"mask": 0, "category": "counting", "count": 2}  # 40x30: x 13 to 29, y 7 to 14
    inside = Prediction(text="<points>", points=(Point(15.0, 9.0), Point(20.0, 10.0)), form="grounding-tokens")
    assert set(score(protocol, case, inside).values()) == {1.0}
    outside = Prediction(text="<points>", points=(Point(2.0, 2.0), Point(3.0, 3.0)), form="grounding-tokens")
    assert set(score(protocol, case, outside).values()) == {0.0}
    replayed = Prediction(text="Here.", points=inside.points, form="points")
    assert set(score(protocol, case, replayed).values()) == {1.0}
    text = Prediction(text="<points>", points=(Point(15.0, 9.0), Point(20.0, 10.0)), form="molmo2-coords")
    # The readers of other families are not for Molmo's forms: its adapter's points count.
    assert set(score(protocol, case, text).values()) == ({1.0} if protocol in ("strict", *OFFICIAL) else {0.0})


def test_strict_wants_all_points_inside_and_as_many_as_things() -> None:
    def accuracy(points: list[tuple[float, float]], **case) -> float:
        prediction = Prediction(text="", points=tuple(Point(*each) for each in points), form="points")
        return score("strict", {"mask": 0, **case}, prediction)["accuracy"]

    assert accuracy([(15, 9)]) == accuracy([(15, 9), (20, 10)]) == 1
    assert accuracy([]) == accuracy([(15, 9), (1, 1)]) == 0
    assert accuracy([(15, 9)], category="counting", count=2) == 0
    assert accuracy([(15, 9), (15, 9)], category="counting", count=2) == 1
    assert accuracy([(12.5, 9)]) == 0  # rounded it would be inside


def test_a_mask_is_stored_twice_only_where_grey_is_another() -> None:
    named = {mask["name"]: read_target(Stored(base64.b64decode(mask["png"])), "spatial", 1) for mask in MASKS}
    assert {name for name, target in named.items() if target.grey} == {
        "rgb half red",
        "rgb colours",
        "rgb smaller",
        "rgba opaque",
        "rgba alpha",
        "la",
        "palette",
        "bits",
    }
    half_red = named["rgb half red"]
    assert half_red.grey is not None
    assert decode(half_red.mask)[:18].any()
    assert not decode(half_red.grey)[:18].any()
    assert decode(named["rgba opaque"].mask).all()  # the alpha channel is a channel
    assert all(target.count is None for target in named.values())  # nothing is counted there


def test_a_mask_of_bits_is_empty_to_the_sources_and_not_to_the_definition() -> None:
    (bits,) = (mask for mask in MASKS if mask["name"] == "bits")
    target = read_target(Stored(base64.b64decode(bits["png"])), "spatial", None)
    assert target.grey is not None
    row, column = np.argwhere(decode(target.grey))[0].tolist()
    inside = Prediction(text="<points>", points=(Point(column + 0.5, row + 0.5),), form="grounding-tokens")
    size = (target.grey.size[1], target.grey.size[0])
    found = {name: scorer.score(target, inside, size).values["accuracy"] for name, scorer in benchmark.scorers.items()}
    assert found == {
        "paper": 0, "official": 0, "lmms-eval": 1, "lmms-eval-json": 1, "strict": 1, **dict.fromkeys(OFFICIAL, 0),
    }  # fmt: skip


def test_a_count_may_be_written_as_a_decimal() -> None:
    assert read_target(Stored(grey_mask((4, 3))), "counting", 2.0).count == 2
    assert read_target(Stored(grey_mask((4, 3))), "spatial", float("nan")).count is None
    with pytest.raises(SampleError, match=r"`count` is 2\.5"):
        read_target(Stored(grey_mask((4, 3))), "counting", 2.5)


@pytest.mark.parametrize("name", ["official", "lmms-eval", "lmms-eval-json", "lmms-eval-json counting"])
def test_prompts_are_those_of_the_sources(name, tmp_path) -> None:
    asked = SCORES["prompts"][name]
    category = asked.get("category", "spatial")
    case = {"mask": 0, "category": category, "count": 1}
    pointbench_of_cases(tmp_path / "pointbench", [case], MASKS)
    (sample,) = benchmark.samples(str(tmp_path))
    protocol = benchmark.protocols[name.split()[0]]
    assert benchmark.elicitations[protocol.elicitation].prompt(sample) == asked["prompt"]


def run(mpeval, model: str, data: Path, out: Path, *more: object) -> list[dict]:
    ended = mpeval("run", "--model", model, "--benchmark", "pointbench", "--data-dir", data, "--out", out, *more)
    assert ended.status in (0, 1), ended.err
    return json.loads(mpeval("score", out, "--protocol", "all", "--json").out)


def overall(result: dict) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in result["metrics"] if metric.get("slice") is None}


def test_a_replayed_run_has_the_sources_numbers(mpeval, tmp_path) -> None:
    cases = CASES[:240]
    pointbench_of_cases(tmp_path / "data" / "pointbench", cases, MASKS)
    answers = write_answers(tmp_path / "answers.jsonl", {str(i): case["text"] for i, case in enumerate(cases)})
    results = run(mpeval, f"replay:{answers}", tmp_path / "data", tmp_path / "out")
    found = {result["protocol"]: overall(result) for result in results}

    def mean(values) -> float:
        values = list(values)
        return sum(values) / len(values)

    categories = sorted({case["category"] for case in cases})
    assert len(categories) == 5
    by_category = [mean(case["paper"] for case in cases if case["category"] == each) for each in categories]
    assert found["paper"]["macro_accuracy_by_category"] == pytest.approx(mean(by_category))
    assert found["official"]["accuracy"] == pytest.approx(mean(case["official"] for case in cases))
    for protocol in ("lmms-eval", "lmms-eval-json"):
        share, binary = (mean(case[protocol][i] for case in cases) for i in (0, 1))
        assert found[protocol]["accuracy"] == pytest.approx(share)
        assert found[protocol]["binary_accuracy"] == pytest.approx(binary)
    headlines = {result["protocol"]: result["headline"]["name"] for result in results}
    assert headlines["paper"] == "macro_accuracy_by_category"
    assert headlines["official"] == headlines["lmms-eval"] == "accuracy"


def test_the_oracle_is_always_right_and_the_center_is_not(mpeval, tmp_path) -> None:
    # In the others the sources see masks that have no pixel in common.
    apart = ("empty", "bits", "palette", "rgb colours", "rgb smaller")
    seen_by_all = [i for i, mask in enumerate(MASKS) if mask["name"] not in apart]
    cases = [
        {"mask": i, "category": category, "count": 3} for i in seen_by_all for category in ("counting", "steerable")
    ]
    pointbench_of_cases(tmp_path / "data" / "pointbench", cases, MASKS)
    results = run(mpeval, "oracle", tmp_path / "data", tmp_path / "oracle")
    assert {result["protocol"]: result["headline"]["value"] for result in results} == dict.fromkeys(
        benchmark.protocols, 1.0
    )
    assert all(overall(result).get("binary_accuracy", 1.0) == 1.0 for result in results)
    for result in run(mpeval, "center", tmp_path / "data", tmp_path / "center"):
        assert 0 < result["headline"]["value"] < 0.7


sides = st.integers(1, 9)


@settings(deadline=None, max_examples=50)
@given(st.tuples(sides, sides).flatmap(lambda shape: arrays(bool, shape)), st.tuples(sides, sides))
def test_the_oracle_hits_whatever_can_be_hit(mask, size) -> None:
    """Whatever the sizes of a mask and its picture are."""
    width, height = size
    media = Media("image", frames=(np.zeros((height, width, 3), np.uint8),))
    target = MaskTarget(encode(mask), 2)
    possible = mask[:height, :width].any()
    assume(possible)
    prediction = answer(Query("0", media, "", benchmark.elicitations["paper"], 0, target))
    for protocol in ("paper", "official", "strict"):
        assert benchmark.scorers[protocol].score(target, prediction, size).values == {"accuracy": 1}
    if mask.shape == (height, width):
        assert benchmark.scorers["lmms-eval"].score(target, prediction, size).values["accuracy"] == 1


def test_a_grounding_token_model_runs_on_it(mpeval, tmp_path) -> None:
    pointbench_of_cases(tmp_path / "data" / "pointbench", CASES[:3], MASKS)
    results = run(mpeval, "molmopoint-tiny", tmp_path / "data", tmp_path / "out")
    assert [result["samples"] for result in results] == [3] * 8
    assert not any(result["failed"] for result in results)
    assert [result["protocol"] for result in results if not result.get("scorer_only")] == ["paper", "strict"]


def grey_mask(size: tuple[int, int]) -> bytes:
    from PIL import Image

    stored = io.BytesIO()
    Image.new("L", size, 255).save(stored, format="PNG")
    return stored.getvalue()


def row(name: str, category: str = "spatial", **more: object) -> dict:
    files = {"image_filename": f"{name}.png", "mask_filename": f"{name}.png"}
    return {**files, "category": category, "user_input": f"the {name}", "count": 1, **more}


def test_whatever_is_wrong_is_named_and_the_rest_is_scored(mpeval, tmp_path) -> None:
    rows: list = [row(f"good{i}") for i in range(7)]
    del rows[1]["mask_filename"]  # no part of the benchmark
    rows[2] = row("torn")
    rows[3] = row("unmasked")
    del rows[4]["user_input"]
    rows[5] = row("../outside")
    rows += [row("garbled"), row("uncounted", "counting", count=None), "no row", row("good6", "/etc"), row("cut")]
    names = ("good0", "good4", "good6", "unmasked", "garbled", "cut", "torn")
    images = {f"spatial/{name}.png": picture((20, 16)) for name in names}
    images["spatial/torn.png"] = picture((20, 16))[:20]
    images["counting/uncounted.png"] = picture((20, 16))
    masks = {name: grey_mask((20, 16)) for name in images if "unmasked" not in name}
    masks["spatial/garbled.png"] = b"no picture"
    masks["spatial/cut.png"] = grey_mask((20, 16))[:50]
    folder = tmp_path / "data" / "pointbench"
    write_pointbench(folder, rows, images, masks)
    with_a_way_out = {"selected_masks/spatial/../outside.png": grey_mask((20, 16))}
    write_zip(folder / "selected_masks.zip", {**{f"selected_masks/{n}": m for n, m in masks.items()}, **with_a_way_out})

    samples = {sample.id: sample for sample in benchmark.samples(str(tmp_path / "data"))}
    assert list(samples) == ["0", *map(str, range(2, 12))]
    reasons = {i: s.target.reason for i, s in samples.items() if isinstance(s.target, UnreadableTarget)}
    expected = {
        "3": "unmasked.png",
        "4": "missing required field `user_input`",
        "5": "outside",
        "7": "the mask",
        "8": "has no `count`",
        "9": "Expected `object`, got `str`",
        "10": "cannot read the mask",
        "11": "the mask",
    }
    assert reasons.keys() == expected.keys()
    for sample_id, reason in expected.items():
        assert reason in reasons[sample_id]

    where = ("--benchmark", "pointbench", "--data-dir", tmp_path / "data", "--out", tmp_path)
    ended = mpeval("run", "--model", "oracle", *where)
    assert ended.status == 1
    assert "9 of 11 samples FAILED" in ended.out
    assert "2: " in ended.out and "torn.png" in ended.out
    results = json.loads(mpeval("score", tmp_path, "--protocol", "all", "--json").out)
    official = next(result for result in results if result["protocol"] == "official")
    assert overall(official)["accuracy"] == pytest.approx(2 / 11)
    by_category = {m["slice"]: m["count"] for m in official["metrics"] if m["name"] == "accuracy" and m.get("slice")}
    assert by_category["category=counting"] == 1  # a row without its mask fails in its category
    assert by_category["category=spatial"] == 8  # nor does one without another field


@pytest.mark.parametrize("content", ["[]", "{}", "", "[{]", "null"])
def test_an_annotation_file_without_rows_is_one_line(mpeval, tmp_path, content) -> None:
    folder = tmp_path / "data" / "pointbench"
    write_pointbench(folder, [], {}, {})
    (folder / "data.json").write_text(content)
    where = ("--benchmark", "pointbench", "--data-dir", tmp_path / "data", "--out", tmp_path)
    ended = mpeval("run", "--model", "none", *where)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert "data.json" in ended.err
    assert not list(tmp_path.rglob("run.json"))


def test_an_unpacked_folder_gives_the_same_samples(tmp_path) -> None:
    import zipfile

    pointbench_of_cases(tmp_path / "pointbench", CASES[:8], MASKS)
    packed = list(benchmark.samples(str(tmp_path)))
    for name in ("selected_images", "selected_masks"):
        with zipfile.ZipFile(tmp_path / "pointbench" / f"{name}.zip") as archive:
            for info in archive.infolist():
                path = tmp_path / "pointbench" / info.filename.encode("cp437").decode("utf-8")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(info))
        (tmp_path / "pointbench" / f"{name}.zip").unlink()
    unpacked = list(benchmark.samples(str(tmp_path)))
    assert [s.media.sha256 for s in unpacked] == [s.media.sha256 for s in packed]
    assert [s.target for s in unpacked] == [s.target for s in packed]
