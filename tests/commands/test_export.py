"""`mpeval export`: a run as rows that other tools read."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import sqlite3
import subprocess
import sys

import msgspec
import pytest
import yaml

from mpeval import registry
from mpeval.manifest import identity_hash, read_manifest
from mpeval.model_card import dataset_id
from mpeval.store import DATABASE, find_run, find_runs
from tests.leaderboard.site_runs import put_run, screens


@pytest.fixture
def run(plugin, mpeval, tmp_path):
    mpeval("run", "--model", "fake-model", "--benchmark", "fake-spoilt", "--out", tmp_path / "out")
    return find_runs([tmp_path / "out"])[0]


def test_json_lines(run, mpeval, tmp_path) -> None:
    ended = mpeval("export", run)
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.status == 0
    assert [row["position"] for row in rows] == list(range(40))
    assert rows[0]["target"] == {"type": "box", "box": [0.0, 0.0, 4.0, 6.0]}
    assert rows[0]["prediction"]["text"]
    assert "no picture" in rows[3]["prediction"]["error"] or rows[3]["prediction"]["error"]
    assert mpeval("export", run, "--to", tmp_path / "run.jsonl").out == ""
    assert (tmp_path / "run.jsonl").read_text() == ended.out


def test_a_file_that_is_there_stays_where_writing_ends_early(run, mpeval, tmp_path) -> None:
    file = tmp_path / "run.jsonl"
    file.write_text("as it was")
    with contextlib.closing(sqlite3.connect(find_run(run) / DATABASE)) as database, database:
        database.execute("update samples set prediction = 'no JSON' where position = 30")
    ended = mpeval("export", run, "--to", file)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert file.read_text() == "as it was"
    assert [each.name for each in tmp_path.glob("run.jsonl*")] == ["run.jsonl"]


def test_a_folder_above_one_run_or_several(run, mpeval, tmp_path) -> None:
    assert mpeval("export", tmp_path / "out").out == mpeval("export", run).out
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--limit", 4, "--out", tmp_path / "out")
    ended = mpeval("export", tmp_path / "out")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "holds 2 runs: name one" in ended.err


def test_parquet(run, mpeval, tmp_path) -> None:
    import pyarrow.parquet as parquet

    assert mpeval("export", run, "--format", "parquet", "--to", tmp_path / "run.parquet").status == 0
    rows = parquet.read_table(tmp_path / "run.parquet").to_pylist()
    assert len(rows) == 40
    assert (rows[0]["sample_id"], rows[0]["width"], rows[0]["generated_tokens"]) == ("s0", 8, 3)
    assert rows[3]["error"]
    assert rows[3]["width"] is None


def test_parquet_wants_a_file(run, mpeval) -> None:
    ended = mpeval("export", run, "--format", "parquet")
    assert ended.status == 2
    assert "--to FILE" in ended.err


def test_a_file_that_cannot_be_written(run, mpeval, tmp_path) -> None:
    ended = mpeval("export", run, "--to", tmp_path / "absent" / "run.jsonl")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "cannot write" in ended.err


def test_a_reader_that_leaves_early_is_no_error(run) -> None:
    command = f"{sys.executable} -m mpeval export {run} | head -c 10"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert ended.stdout == b'{"sample_i'
    assert ended.stderr == b""


# --- the Hub's evaluation results -------------------------------------------------------------------

SIZE = 1272
"""Of ScreenSpot-V2, whose whole split a run needs."""
COMMIT = "5efbb1f1b5463a575f2eb7bc30fe29e49c15f93c"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of a dataset of the Hub, by a model with a name that YAML must quote."""
    rows = [row for row in screens(2 * SIZE, 0.8) if row.target.__class__.__name__ == "BoxTarget"][:SIZE]
    return put_run(tmp_path_factory.mktemp("whole"), "a: [model] # \u2028", "screenspot-v2", rows, SIZE)


def results_of(text: str, tmp_path):
    """As the Hub's own client reads a card: the model's name, and its results."""
    from huggingface_hub import ModelCard
    from huggingface_hub.repocard import metadata_load

    file = tmp_path / "card.md"
    file.write_text(text)
    card = ModelCard(text)
    assert metadata_load(file) == {**card.data.to_dict()}
    return card.data.get("model_name"), card.data.get("eval_results")


def test_the_hub_reads_the_scores_with_all_that_they_depend_on(whole, mpeval, tmp_path) -> None:
    ended = mpeval("export", whole, "--format", "hf", "--source-url", "https://example.org/run")
    assert (ended.status, ended.err) == (0, "")
    name, results = results_of(ended.out, tmp_path)
    assert name == "a: [model] # \u2028"
    first = results[0]
    assert (first.task_type, first.dataset_type, first.dataset_revision) == (
        "image-text-to-text",
        "OS-Copilot/ScreenSpot-v2",
        COMMIT,
    )
    printed = json.loads(mpeval("score", whole, "--json").out)[0]["headline"]
    assert first.metric_value == round(100 * printed["value"], 2)
    assert (first.metric_type, first.metric_name) == ("accuracy", "accuracy (protocol paper, scorer only)")
    assert (first.source_url, first.source_name) == ("https://example.org/run", "mpeval 0.1.0")
    about = first.metric_args
    assert about["interval_95"] == [round(100 * each, 2) for each in printed["interval"]]
    assert (about["protocol"], about["n"], about["samples"], about["failed_samples"]) == ("paper", SIZE, SIZE, 0)
    assert (about["unit"], about["scored_by"]) == ("percent", "mpeval 0.1.0")
    assert about["elicitation"]["template"] == "{query}"
    assert about["elicitation"]["max_crops"] == "as the model is configured"
    assert about["run"] == identity_hash(read_manifest(whole).identity)
    assert about["answers_sha256"] == hashlib.sha256(mpeval("export", whole).out.encode()).hexdigest()
    assert first.verified is None  # for the Hub to say


def test_every_protocol_on_request(whole, mpeval, tmp_path) -> None:
    _, results = results_of(mpeval("export", whole, "--format", "hf", "--protocol", "all").out, tmp_path)
    assert {each.metric_args["protocol"] for each in results} == {"paper", "official", "lmms-eval", "strict"}
    ended = mpeval("export", whole, "--format", "hf", "--protocol", "offical")
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "official" in ended.err


def test_a_card_that_is_there_keeps_its_text_and_other_results(whole, mpeval, tmp_path) -> None:
    theirs = {
        "task": {"type": "image-text-to-text"},
        "dataset": {"type": "OS-Copilot/ScreenSpot-v2", "name": "ScreenSpot-V2", "revision": COMMIT},
        "metrics": [{"type": "accuracy", "value": 12.5}],
        "source": {"url": "https://example.org/theirs", "name": "Theirs"},
    }
    metadata = {"license": "mit", "model-index": [{"name": "their-name", "results": [theirs]}], "tags": ["a"]}
    card = tmp_path / "README.md"
    card.write_text(f"---\n{yaml.safe_dump(metadata)}---\n\n# A model\n\n--- and its text\n")
    once = mpeval("export", whole, "--format", "hf", "--to", card)
    assert (once.status, once.out, once.err) == (0, "", "")
    written = card.read_text()
    assert mpeval("export", whole, "--format", "hf", "--to", card).status == 0
    assert card.read_text() == written  # not twice
    assert written.endswith("---\n\n# A model\n\n--- and its text\n")
    found = yaml.safe_load(written.split("---\n")[1])
    (index,) = found["model-index"]
    assert (found["license"], found["tags"], index["name"]) == ("mit", ["a"], "their-name")
    assert index["results"][0] == theirs
    assert "source" not in index["results"][1]  # theirs is not ours
    assert not (tmp_path / "README.md.tmp").exists()


def test_a_cards_line_ends_stay(whole, mpeval, tmp_path) -> None:
    card = tmp_path / "README.md"
    card.write_bytes(b"---\r\nlicense: mit\r\n---\r\n# A model\r\n")
    assert mpeval("export", whole, "--format", "hf", "--to", card).status == 0
    written = card.read_bytes()
    assert written.startswith(b"---\r\nlicense: mit\r\nmodel-index:\r\n") and written.endswith(b"\r\n# A model\r\n")
    assert written.count(b"\n") == written.count(b"\r\n")


@pytest.mark.parametrize(
    ("name", "dataset", "split"),
    [
        ("screenspot-pro", "likaixin/ScreenSpot-Pro", None),
        ("osworld-g", "MMInstruction/OSWorld-G", "test"),
        ("pixmo-points", "allenai/pixmo-points-eval", "test"),
        ("pointbench", "PointArena/pointarena-data", None),
        ("molmo2-vc", "allenai/Molmo2-VideoCountEval", "val"),
        ("molmo2-vp", "allenai/Molmo2-VideoPointEval", "val"),
        ("molmo2-track", "allenai/Molmo2-VideoTrackEval", "test"),
        ("mevis-valid-u", "allenai/molmo2-mevis", "valid_u"),
        ("ref-yt-vos", "allenai/molmo2-ref-yt-vos", "valid"),
        ("ref-davis17", "allenai/molmo2-ref-davis17", "valid"),
        ("reasonvos", "allenai/molmo2-reasonvos", "test"),
        ("burst-vc", None, None),  # rebuilt: its questions are no dataset's
        ("demo-points", None, None),
    ],
)
def test_the_hubs_name_of_a_benchmark(name, dataset, split) -> None:
    benchmark = registry.benchmark(name)
    assert dataset_id(benchmark) == dataset
    assert getattr(getattr(benchmark, "source", None), "split", None) == split


def test_text_without_metadata_becomes_a_card(whole, mpeval, tmp_path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# A model\n")
    ended = mpeval("export", whole, "--format", "hf", "--to", card)
    assert (ended.status, ended.err) == (0, "")
    assert card.read_text().startswith("---\nmodel-index:\n") and card.read_text().endswith("---\n# A model\n")


@pytest.mark.parametrize("metadata", ["a: [", "- a list", "model-index: 3", "model-index: [{results: [{}]}]"])
def test_a_card_that_cannot_be_read_stays_as_it_is(metadata, whole, mpeval, tmp_path) -> None:
    card = tmp_path / "README.md"
    card.write_text(f"---\n{metadata}\n---\ntext\n")
    ended = mpeval("export", whole, "--format", "hf", "--to", card)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "metadata cannot be read" in ended.err
    assert card.read_text() == f"---\n{metadata}\n---\ntext\n"


def test_a_file_of_results(whole, mpeval, tmp_path) -> None:
    from huggingface_hub import parse_eval_result_entries

    ended = mpeval("export", whole, "--format", "hf-results", "--task-id", "default", "--to", tmp_path / "v2.yaml")
    assert (ended.status, ended.out) == (0, "")
    (entry,) = parse_eval_result_entries(yaml.safe_load((tmp_path / "v2.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == ("OS-Copilot/ScreenSpot-v2", "default", COMMIT)
    assert isinstance(entry.value, float) and entry.date == "2026-01-01T00:00:00+00:00"
    assert entry.notes is not None
    assert entry.notes.startswith("accuracy (protocol paper, scorer only) in percent, 95 % interval ")
    for part in (f"n {SIZE}", "template {query}", "mpeval 0.1.0", identity_hash(read_manifest(whole).identity)):
        assert part in entry.notes


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("hf-results",), "--task-id"),
        (("hf", "--task-id", "x"), "--task-id is for"),
        (("jsonl", "--protocol", "all"), "are for --format hf"),
        (("hf", "--data-dir", "x"), "--data-dir is for --format submission"),
        (("hf", "--source-url", "javascript:alert(1)"), "is no address"),
        (("hf-results", "--task-id", "x", "--protocol", "all"), "name one protocol"),
    ],
)
def test_options_that_do_not_fit(options, says, whole, mpeval) -> None:
    ended = mpeval("export", whole, "--format", *options)
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert says in ended.err


def test_a_part_of_a_benchmark_is_refused(whole, plugin, mpeval, tmp_path) -> None:
    """Unfinished, with --limit, or a shard."""
    unfinished = put_run(tmp_path / "unfinished", "m", "screenspot-v2", screens(SIZE - 1, 0.5), SIZE)
    limited = put_run(tmp_path / "limited", "m", "screenspot-v2", screens(100, 0.5), 100)
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--shard", "1/2", "--out", tmp_path / "shard")
    for run, says in (
        (unfinished, "1271 of 1272 samples"),
        (limited, "100 of 1272 samples"),
        (tmp_path / "shard", "shard 1/2"),
    ):
        ended = mpeval("export", run, "--format", "hf", "--to", tmp_path / "README.md")
        assert (ended.status, ended.err.count("\n")) == (2, 1)
        assert says in ended.err
        assert not (tmp_path / "README.md").exists()


def test_a_limit_is_known_where_the_size_of_a_benchmark_is_not(plugin, mpeval, tmp_path, monkeypatch) -> None:
    benchmark = importlib.import_module("fake_plugin").FakeBenchmark
    card = benchmark.card.fget
    monkeypatch.setattr(benchmark, "card", property(lambda self: msgspec.structs.replace(card(self), size=None)))
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--limit", 5, "--out", tmp_path)
    ended = mpeval("export", tmp_path, "--format", "hf")
    assert ended.status == 2 and "5 samples, drawn with --limit" in ended.err
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path)
    assert mpeval("export", tmp_path, "--format", "hf").status == 0


def test_failed_samples_stand_in_the_metrics_name(run, mpeval, tmp_path) -> None:
    _, (result,) = results_of(mpeval("export", run, "--format", "hf").out, tmp_path)
    failed = result.metric_args["failed_samples"]
    assert failed and result.metric_name == f"accuracy (protocol strict, {failed} of 40 samples failed)"
    assert (result.dataset_type, result.dataset_revision) == ("fake-spoilt", None)
    ended = mpeval("export", run, "--format", "hf-results", "--task-id", "default")
    assert ended.status == 2 and "is no dataset of the Hub" in ended.err
