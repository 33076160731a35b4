"""`mpeval compare`: two runs on the same samples."""

from __future__ import annotations

import json

import pytest

ESCAPE = "\x1b[31mred [bold]"


@pytest.fixture
def runs(plugin, mpeval, tmp_path):
    """Two replays of the plugin's benchmark: 40 boxes on 7 pictures. B misses the first, A the last ten."""
    for name, missed in (("a", range(30, 40)), ("b", range(1))):
        lines = [
            {"sample_id": f"s{i}", "text": ESCAPE, "points": [[7, 5] if i in missed else [1, 1]]} for i in range(40)
        ]
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        mpeval("run", "--model", f"replay:{file}", "--benchmark", "fake", "--out", tmp_path / name)
    return tmp_path / "a", tmp_path / "b"


def test_what_is_printed(runs, mpeval) -> None:
    ended = mpeval("compare", *runs)
    assert ended.status == 0
    assert "fake, protocol strict: accuracy in % with 95 % intervals" in ended.out
    assert "paired samples: 40, pictures or videos: 7" in ended.out
    assert "B - A: +22.5 (95 % interval +" in ended.out
    assert "p = 0.0312 (all 64 sign patterns of whole clusters)" in ended.out
    assert "Samples on which B is better: 10, worse: 1, equal: 29" in ended.out
    assert "s30: 0 -> 1" in ended.out and "s0: 1 -> 0" in ended.out
    assert "--flips FILE writes all 11 that differ" in ended.out
    assert "7 clusters are few" in ended.out
    assert "\x1b" not in ended.out
    assert r"\x1b[31mred [bold]" in ended.out


def test_json_and_the_file_list_all_that_differ(runs, mpeval, tmp_path) -> None:
    (found,) = json.loads(mpeval("compare", *runs, "--json").out)
    assert (found["samples"], found["clusters"], found["wins"], found["losses"]) == (40, 7, 10, 1)
    assert found["interval"][0] < found["difference"] < found["interval"][1]
    assert found["a"]["versions"]["mpeval"]
    assert len(found["flips"]) == 11
    mpeval("compare", *runs, "--flips", tmp_path / "flips.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "flips.jsonl").read_text().splitlines()]
    assert [line["sample_id"] for line in lines] == [flip["sample_id"] for flip in found["flips"]]
    assert (lines[0]["benchmark"], lines[0]["metric"], lines[0]["texts"]) == ("fake", "accuracy", [ESCAPE, ESCAPE])
    ended = mpeval("compare", *runs, "--flips", tmp_path / "absent" / "flips.jsonl")
    assert (ended.status, ended.err.count("\n")) == (2, 1)


def test_several_benchmarks_are_a_table(plugin, mpeval, tmp_path) -> None:
    for name in ("oracle", "center"):
        mpeval("run", "--model", name, "--benchmark", "fake,fake-spoilt", "--out", tmp_path)
    ended = mpeval("compare", tmp_path / "center", tmp_path / "oracle")
    assert ended.status == 0
    rows = [line for line in ended.out.splitlines() if line.startswith("│ fake")]
    assert len(rows) == 2
    assert "fake-spoilt: A: 2 samples FAILED and count as missing answers" in ended.out
    assert len(json.loads(mpeval("compare", tmp_path / "center", tmp_path / "oracle", "--json").out)) == 2


def test_one_cluster_has_no_interval(plugin, mpeval, tmp_path) -> None:
    for name in ("oracle", "center"):
        mpeval("run", "--model", name, "--benchmark", "fake,fake-spoilt", "--limit", "1", "--out", tmp_path)
    ended = mpeval("compare", tmp_path / "center", tmp_path / "oracle")
    assert "no interval" in ended.out and "(no interval" not in ended.out
    ended = mpeval("compare", tmp_path / "center" / "fake", tmp_path / "oracle" / "fake")
    assert "(no interval: all samples are of one cluster) points, p = 1.00" in ended.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "nowhere"], "no run in"),
        (["a", "a"], "both are the run"),
        (["a", "b", "--metric", "f2"], "there is accuracy"),
        (["a", "b", "--protocol", "papr"], "papr"),
    ],
)
def test_mistakes_are_one_line(runs, mpeval, tmp_path, arguments, message) -> None:
    ended = mpeval("compare", *(tmp_path / each if len(each) == 1 or each == "nowhere" else each for each in arguments))
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert message in ended.err
