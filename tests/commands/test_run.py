"""`mpeval run`: tables, resuming, kill -9, Ctrl-C, dry run."""

from __future__ import annotations

import importlib
import json
import re
import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from mpeval.errors import UserError
from mpeval.manifest import MANIFEST
from mpeval.media import Media
from mpeval.store import DATABASE, Run, find_runs
from mpeval.types import CountTarget, Sample
from tests.processes import start, wait_for

RUN = ("run", "--model", "fake-model", "--benchmark", "fake", "--out")


def predictions(out: Path) -> list[tuple[str, str]]:
    (path,) = find_runs([out])
    with Run.read(path) as run:
        return [(row.sample_id, row.prediction.text) for row in run.rows()]


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


def test_a_table_of_models_and_benchmarks(plugin, mpeval, tmp_path) -> None:
    ended = mpeval("run", "--model", "fake-model", "--suite", "fakes", "--out", tmp_path / "out", "--limit", 12)
    assert ended.status in (0, 1)  # the draw may hold a spoilt picture
    for text in ("fake-model", "fake-spoilt", "accuracy", "n=12", "average of 2", "3.0", "0.0 to 100.0"):
        assert text in ended.out
    assert "plugin 'fake-missing' of package 'fake-plugin' is broken" in ended.err


def test_failed_samples_are_in_plain_sight_and_exit_1(plugin, mpeval, tmp_path) -> None:
    command = ("run", "--model", "fake-model", "--benchmark", "fake-spoilt", "--out", tmp_path)
    ended = mpeval(*command)
    assert ended.status == 1
    assert "n=40, 2 failed" in ended.out
    assert "fake-model on fake-spoilt: 2 of 40 samples FAILED" in ended.out
    assert mpeval(*command).status == 1  # asked again, failed again


@pytest.mark.parametrize("second", ["molmo:{0}/absent", "replay:{0}/absent.jsonl"])
def test_every_model_s_files_are_looked_for_before_the_first_one_runs(plugin, mpeval, tmp_path, second) -> None:
    models = f"fake-model,{second.format(tmp_path)}"
    ended = mpeval("run", "--model", models, "--benchmark", "fake", "--out", tmp_path / "out")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "absent" in ended.err
    assert not list((tmp_path / "out").rglob(MANIFEST))


def test_failed_samples_are_asked_again(plugin, mpeval, tmp_path, monkeypatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    monkeypatch.setenv("FAKE_FAIL", "s5,s9")
    assert mpeval(*RUN, tmp_path / "out").status == 1
    log.unlink()
    monkeypatch.delenv("FAKE_FAIL")
    ended = mpeval(*RUN, tmp_path / "out")
    assert ended.status == 0
    assert "FAILED" not in ended.out
    assert sorted(lines(log)) == ["s5", "s9"]


def test_json_says_what_the_table_says(plugin, mpeval, tmp_path) -> None:
    ended = mpeval(*RUN, tmp_path, "--json")
    (result,) = json.loads(ended.out)
    assert (result["model"], result["benchmark"], result["protocol"]) == ("fake-model", "fake", "strict")
    assert result["headline"]["count"] == result["samples"] == result["expected"] == 40
    assert (result["failed"], result["generated_tokens"], result["points"]) == (0, 120, 40)
    assert not result["scorer_only"]
    assert (Path(result["path"]) / MANIFEST).exists()


def test_a_limit_goes_on_to_a_whole_run(plugin, mpeval, tmp_path, monkeypatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("FAKE_LOG", str(log))
    mpeval(*RUN, tmp_path / "out", "--limit", 4)
    assert len(lines(log)) == 4
    mpeval(*RUN, tmp_path / "out")
    assert Counter(lines(log)) == Counter(f"s{index}" for index in range(40))


@pytest.mark.parametrize("options", [["--max-crops", "3"], ["--seed", "1"], ["--protocol", "other"]])
def test_what_changes_answers_gets_another_folder(plugin, mpeval, tmp_path, options) -> None:
    for extra in ([], options, ["--batch-size", "3"], ["--dtype", "float32"]):
        assert mpeval(*RUN, tmp_path, "--limit", 4, *extra).status == 0
    assert len(find_runs([tmp_path])) == 2


def test_other_weights_get_another_folder(plugin, mpeval, tmp_path, monkeypatch) -> None:
    mpeval(*RUN, tmp_path, "--limit", 4)
    monkeypatch.setenv("FAKE_REVISION", "2")
    mpeval(*RUN, tmp_path, "--limit", 4)
    assert len(find_runs([tmp_path])) == 2


def test_scorer_only_where_crops_differ(plugin, mpeval, tmp_path) -> None:
    assert "scorer only" in mpeval(*RUN, tmp_path, "--limit", 4, "--max-crops", 3).out
    assert "scorer only" not in mpeval(*RUN, tmp_path, "--limit", 4).out


def test_a_folder_of_another_identity_is_refused(plugin, mpeval, tmp_path) -> None:
    mpeval(*RUN, tmp_path, "--limit", 4)
    (path,) = find_runs([tmp_path])
    content = (path / MANIFEST).read_text()
    (path / MANIFEST).write_text(content.replace('"revision": "r1"', '"revision": "r0"'))
    ended = mpeval(*RUN, tmp_path, "--limit", 4)
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert "another identity (benchmark.revision: r0 there, r1 here)" in ended.err
    assert mpeval(*RUN, tmp_path, "--limit", 4, "--fresh").status == 0


def test_a_damaged_run_is_refused(plugin, mpeval, tmp_path) -> None:
    mpeval(*RUN, tmp_path)
    (path,) = find_runs([tmp_path])
    (path / DATABASE).write_bytes(b"not a database at all" * 500)
    ended = mpeval(*RUN, tmp_path)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "is damaged" in ended.err
    assert "--fresh" in ended.err
    assert mpeval(*RUN, tmp_path, "--fresh").status == 0


def test_an_output_folder_that_cannot_be_written(plugin, mpeval, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    ended = mpeval(*RUN, tmp_path / "file" / "results")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "choose another --out" in ended.err


def test_media_that_the_model_does_not_take(plugin, mpeval, tmp_path, monkeypatch) -> None:
    fake_plugin = importlib.import_module("fake_plugin")
    card = msgspec.structs.replace(fake_plugin.benchmark.card, media="video")
    monkeypatch.setattr(fake_plugin.FakeBenchmark, "card", card)
    ended = mpeval(*RUN, tmp_path / "out")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "fake-model takes image, but fake is video" in ended.err
    assert not (tmp_path / "out").exists()


def test_in_a_suite_media_that_the_model_does_not_take_are_left_out_and_said(plugin, mpeval, tmp_path) -> None:
    ended = mpeval("run", "--model", "fake-model,center", "--suite", "demo", "--limit", 1, "--out", tmp_path / "out")
    assert ended.status == 0
    assert ended.err.count("left out") == 1
    assert "fake-model takes image; left out: " in ended.err
    assert "demo-track" in ended.err
    assert {path.name for path in (tmp_path / "out" / "fake-model").iterdir()} == {
        "demo-points",
        "demo-screens",
        "demo-count",
        "demo-photos",
    }
    assert (tmp_path / "out" / "center" / "demo-track").is_dir()


def test_a_model_that_cannot_be_forced_is_asked_freely_and_the_run_says_so(
    plugin, mpeval, tmp_path, monkeypatch
) -> None:
    fake_plugin = importlib.import_module("fake_plugin")
    plain = fake_plugin.benchmark.elicitations["plain"]
    forced = msgspec.structs.replace(plain, force_single_point=True)
    monkeypatch.setitem(fake_plugin.benchmark.elicitations, "plain", forced)
    ended = mpeval(*RUN, tmp_path, "--limit", 4)
    assert ended.status == 0
    assert "fake-model is not forced to one point" in ended.err
    assert "scorer only" in ended.out
    with Run.read(*find_runs([tmp_path])) as run:
        assert run.manifest.elicitation == plain


def test_dry_run_says_what_would_be_done_and_writes_nothing(plugin, mpeval, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = mpeval("run", "--model", "fake-model", "--suite", "fakes", "--limit", 6, "--dry-run")
    assert ended.status == 0
    for text in (
        "fake: 6 of 40 samples, protocol strict, elicitation plain",
        "first prompt: Point to thing",
        "fake-model: 5.0 MB of weights",
        "In all 12 answers",
    ):
        assert text in ended.out
    assert not (tmp_path / "results").exists()


def test_dry_run_asks_as_the_command_says(mpeval) -> None:
    clicks = Path(__file__).parent.parent.parent / "docs" / "examples" / "your-own-data" / "clicks.jsonl"
    dry = ("run", "--model", "oracle", "--benchmark", clicks, "--dry-run", "--elicitation")
    ended = mpeval(*dry, "point")
    assert "elicitation point\n  first prompt: Point to point to green squares\n" in ended.out
    unknown = mpeval(*dry, "wave")
    assert unknown.status == 2 and "unknown elicitation of clicks.jsonl 'wave'" in unknown.err


def test_dry_run_names_what_is_missing(plugin, mpeval, tmp_path, monkeypatch) -> None:
    fake_plugin = importlib.import_module("fake_plugin")
    absent = tmp_path / "absent.png"
    sample = Sample("s0", Media.image(absent), "q", CountTarget(1))
    monkeypatch.setattr(fake_plugin.FakeBenchmark, "samples", lambda self, data_dir: [sample])
    ended = mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--dry-run", "--json")
    assert ended.status == 1
    (plan,) = json.loads(ended.out)["benchmarks"]
    assert plan["missing"] == [str(absent)]
    assert (plan["total"], plan["card_size"]) == (1, 40)

    def no_data(self: object, data_dir: str | None) -> list[Sample]:
        raise UserError(f"put data.json into {data_dir}")

    monkeypatch.setattr(fake_plugin.FakeBenchmark, "samples", no_data)
    dry = ("run", "--model", "fake-model", "--benchmark", "fake", "--dry-run", "--data-dir", "here")
    ended = mpeval(*dry)
    assert ended.status == 1
    assert "missing: put data.json into here" in ended.out


# --- processes ------------------------------------------------------------------------------------


def test_kill_9_and_the_same_command_again(plugin, mpeval, tmp_path) -> None:
    """Killed again and again: no row lost, none twice, none generated again once it is stored."""
    out, log = tmp_path / "out", tmp_path / "log"
    command = (*RUN, out, "--batch-size", 3)
    asked: list[str] = []
    stored: set[str] = set()
    for _ in range(4):
        before = len(asked)
        process = start(*command, FAKE_SECONDS="0.05", FAKE_LOG=str(log))
        wait_for(lambda: len(lines(log)) >= before + 4)  # noqa: B023 (called before the loop goes on)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        asked = lines(log)
        assert not stored & set(asked[before:])
        stored = {sample_id for sample_id, _ in predictions(out)}
        assert len(set(asked) - stored) <= 3  # the batch in flight

    process = start(*command, FAKE_LOG=str(log))
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    assert not stored & set(lines(log)[len(asked) :])

    assert mpeval(*RUN, tmp_path / "alone").status == 0
    assert predictions(out) == predictions(tmp_path / "alone")
    assert len(predictions(out)) == 40
    scores = [json.loads(mpeval("score", each, "--json").out)[0] for each in (out, tmp_path / "alone")]
    assert scores[0]["metrics"] == scores[1]["metrics"]
    (path,) = find_runs([out])
    assert sorted(each.name for each in path.iterdir()) == [MANIFEST, DATABASE]


def test_ctrl_c_stores_the_batch_and_says_how_to_go_on(plugin, tmp_path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    process = start(*RUN, out, "--batch-size", 4, FAKE_SECONDS="0.1", FAKE_LOG=str(log))
    wait_for(lambda: len(lines(log)) >= 4)
    process.send_signal(signal.SIGINT)
    printed, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert printed == ""
    assert "Traceback" not in said
    assert re.search(r"with \d+ of 40 samples stored in .*; the same command goes on from there", said)
    assert sorted(sample_id for sample_id, _ in predictions(out)) == sorted(lines(log))
    assert len(lines(log)) <= 20  # it did not finish the window
    (path,) = find_runs([out])
    assert sorted(each.name for each in path.iterdir()) == [MANIFEST, DATABASE]


def test_two_at_once_are_refused(plugin, mpeval, tmp_path) -> None:
    out, log = tmp_path / "out", tmp_path / "log"
    process = start(*RUN, out, "--batch-size", 4, FAKE_SECONDS="0.2", FAKE_LOG=str(log))
    wait_for(lambda: len(lines(log)) >= 4)
    ended = mpeval(*RUN, out)
    process.kill()
    process.wait()
    assert ended.status == 2
    assert "is being written by another process" in ended.err
