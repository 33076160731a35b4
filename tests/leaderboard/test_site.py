"""The site's folder and shards, as files: what they hold, what is refused."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mpeval.errors import UserError
from mpeval.leaderboard.build import build_table
from mpeval.leaderboard.published import load_published
from mpeval.leaderboard.site import build_site, is_current
from mpeval.leaderboard.site.benchmarks import tables_with
from mpeval.leaderboard.site.folder import MARKER, replacing, write_shard
from mpeval.leaderboard.site.runs import ranges
from mpeval.leaderboard.site.samples import COUNT_BINS, SIZE_BINS, count_bin, size_bin
from mpeval.leaderboard.site.tables import billions, site_table
from mpeval.leaderboard.specs import load_specs
from mpeval.media import Media
from mpeval.store import find_runs
from mpeval.types import BoxTarget, CountTarget, Prediction
from tests.changed_samples import spoil
from tests.conftest import Ended
from tests.leaderboard.site_runs import HOSTILE, hostile, put_run, screens

Call = Callable[..., Ended]
ASSETS = Path(importlib.import_module("mpeval.leaderboard.site").__file__ or "").parent / "assets"


def read_shard(site: Path, name: str) -> Any:
    """What the page is given: the script's one call, read as JavaScript reads it."""
    text = (site / "data" / f"{name}.js").read_text(encoding="utf-8")
    found = re.fullmatch(r"Site\.register\('([^']*)', '((?:[^'\\\n]|\\.)*)'\);\n", text)
    assert found is not None and found[1] == name
    return json.loads(re.sub(r"\\(.)", r"\1", found[2]))


# --- the folder ------------------------------------------------------------------------------------


def test_a_folder_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="no site of mpeval"):
        build_site(out)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(UserError, match="no site of mpeval"):
        build_site(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]


def test_a_site_is_replaced_in_one_step(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with replacing(out) as folder:
        (folder / MARKER).write_text("{}")
        (folder / "old").write_text("old")
        assert not out.exists()
    with pytest.raises(ZeroDivisionError), replacing(out):
        _ = 1 / 0
    assert (out / "old").exists()
    with replacing(out) as folder:
        (folder / MARKER).write_text("{}")
        assert (out / "old").exists()
    assert sorted(path.name for path in out.iterdir()) == [MARKER]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_link_s_folder_is_replaced_and_not_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with replacing(tmp_path / "link") as folder:
        (folder / MARKER).write_text("{}")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / MARKER).exists()


JSON = st.dictionaries(st.text(), st.text() | st.lists(st.text() | st.integers(-9, 9)))


@given(JSON)
@settings(max_examples=40)
def test_a_shard_gives_back_what_was_written(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    folder = tmp_path_factory.getbasetemp()
    write_shard(folder, "some/name", content)
    assert read_shard(folder, "some/name") == content


# --- the page --------------------------------------------------------------------------------------


def test_the_page_asks_for_nothing_from_elsewhere_and_has_no_inline_script() -> None:
    page = (ASSETS / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    assert re.findall(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|javascript:", page) == []
    for path in ASSETS.iterdir():
        assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)|//cdn|@import|url\(", path.read_text()) == [], path


def test_text_is_never_set_as_markup() -> None:
    for path in ASSETS.glob("*.js"):
        markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
        assert re.findall(markup, path.read_text()) == [], path


# --- tables ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [spec for spec in load_specs() if spec.groups], ids=lambda spec: spec.id)
def test_a_table_s_cells_are_those_that_the_paper_prints(spec) -> None:
    published = load_published()
    table = build_table(spec, published)
    ours = site_table(spec, published, [], {})
    shown = [[cell["t"] for cell in row["cells"]] for group in ours["groups"] for row in group["rows"]]
    printed = [[cell.text for cell in row.cells] for row in table.rows()]
    assert shown == ([list(each) for each in zip(*printed)] if spec.transposed else printed)
    marks = [cell.get("b") for group in ours["groups"] for row in group["rows"] for cell in row["cells"]]
    bests = sum(cell.best for row in table.rows() for cell in row.cells)
    assert marks.count(1) == bests


def test_a_published_cell_knows_what_is_declared_of_its_protocol() -> None:
    published = load_published()
    (spec,) = [spec for spec in load_specs() if spec.id == "3"]
    table = site_table(spec, published, [], {})
    row = next(row for group in table["groups"] for row in group["rows"] if row["label"] == "MolmoPoint-8B (64crops)")
    assert (row["kind"], row["size"]) == ("fully-open", 8)
    column = next(i for i, each in enumerate(table["columns"]) if each["run"] == "screenspot-pro")
    assert table["declared"][row["cells"][column]["p"]]["max_crops"] == "64"


def test_a_split_that_is_a_benchmark_of_its_own_has_its_published_numbers() -> None:
    specs = load_specs()
    assert tables_with("mevis-valid", specs) == tables_with("mevis-valid-u", specs) == ["5"]
    assert tables_with("pointbench", specs) == ["1", "9"]
    (five,) = [site_table(spec, load_published(), [], {}) for spec in specs if spec.id == "5"]
    labels = {
        name: [column["label"] for column in five["columns"] if name in column["benchmarks"]]
        for name in ("mevis-valid", "mevis-valid-u")
    }
    assert labels == {"mevis-valid": ["J&F"], "mevis-valid-u": ["J&F", "F1", "HOTA"]}


def test_a_missing_number_is_marked_whatever_dash_the_paper_prints() -> None:
    published = load_published()
    for spec in load_specs():
        rows = [row for group in site_table(spec, published, [], {})["groups"] for row in group["rows"]]
        cells = [cell for row in rows for cell in row["cells"]]
        assert all(("x" in cell) == (cell["t"] == spec.missing) for cell in cells), spec.id


def test_sizes_are_read_from_names() -> None:
    assert [billions(size) for size in ("8B", "235B", "0.5B", "unknown", "")] == [8, 235, 0.5, None, None]


# --- runs and samples ------------------------------------------------------------------------------


@pytest.fixture
def fakes(mpeval: Call, plugin: Path, tmp_path: Path) -> Path:
    """Two runs of the fake model on the fake benchmark, one of them of a few samples."""
    call = ("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path / "runs")
    assert mpeval(*call).status == 0
    assert mpeval(*call, "--seed", "1", "--limit", "10").status == 0
    return tmp_path / "runs"


def test_runs_share_samples_and_differ_in_answers(fakes: Path, tmp_path: Path) -> None:
    site = tmp_path / "www"
    built = build_site(site, fakes)
    assert (built.runs, built.notes) == (2, [])
    index = read_shard(site, "index")
    first, second = index["runs"]
    assert first["set"] == second["set"]
    answers = [read_shard(site, f"runs/{run['id']}/index") for run in index["runs"]]
    whole, few = sorted(answers, key=lambda each: len(each["numbers"]))
    assert whole["numbers"] == [[0, 40]]
    assert sum(length for _, length in few["numbers"]) == 10
    assert len(few["outcomes"][0][1]) == 10
    samples = read_shard(site, "sets/fake/0")
    assert [each["id"] for each in samples] == [f"s{i}" for i in range(40)]
    assert all((site / each["picture"]["file"]).is_file() for each in samples)
    assert len(list((site / "media").rglob("*.*"))) == 7  # one file for each picture, however many ask about it
    (difference,) = read_shard(site, "benchmarks/fake")["differences"]
    assert difference["samples"] == 10
    run = read_shard(site, f"runs/{first['id']}/run")
    assert [each["name"] for each in run["protocols"]] == ["strict", "other"]
    assert [each["scorer_only"] for each in run["protocols"]] == [False, True]
    assert run["manifest"]["identity"]["model"]["name"] == "fake-model"


def test_the_same_input_gives_a_current_site(fakes: Path, tmp_path: Path) -> None:
    site = tmp_path / "www"
    build_site(site, fakes)
    assert is_current(site, fakes)
    assert not is_current(site, fakes, media="none")
    assert not is_current(site, None)
    database = find_runs([fakes])[0] / "run.sqlite"
    os.utime(database)
    assert not is_current(site, fakes)


def test_a_picture_that_has_changed_is_not_shown_and_that_is_said(
    fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_plugin = importlib.import_module("fake_plugin")
    other = Media.image(fake_plugin.picture(99))

    def change(sample: Any) -> Any:
        if sample.id == "s5":
            return None
        return msgspec.structs.replace(sample, media=other) if sample.id == "s3" else sample

    spoil(monkeypatch, change)
    built = build_site(tmp_path / "www", fakes)
    assert built.notes == ["fake: 2 of 40 pictures are missing"]
    samples = {each["id"]: each for each in read_shard(tmp_path / "www", "sets/fake/0")}
    assert "picture" not in samples["s3"] and "changed" in samples["s3"]["missing"]
    assert "no longer" in samples["s5"]["missing"]
    assert "picture" in samples["s4"]


def test_pictures_are_left_out_where_the_licence_forbids_to_pass_them_on(
    fakes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_plugin = importlib.import_module("fake_plugin")
    card = fake_plugin.FakeBenchmark().card
    forbidden = property(lambda self: msgspec.structs.replace(card, redistribution=False, name=self.name))
    monkeypatch.setattr(fake_plugin.FakeBenchmark, "card", forbidden)
    built = build_site(tmp_path / "www", fakes)
    assert built.pictures == 0 and not (tmp_path / "www" / "media").exists()
    assert "licence" in read_shard(tmp_path / "www", "sets/fake/index")["pictures"]
    built = build_site(tmp_path / "www", fakes, media="thumb")  # asked for: it is done, and said
    assert built.pictures == 40
    assert "may forbid" in built.notes[0]


def test_no_pictures_where_none_are_wanted(fakes: Path, tmp_path: Path) -> None:
    assert build_site(tmp_path / "www", fakes, media="none").pictures == 0
    assert not (tmp_path / "www" / "media").exists()


def test_runs_that_contradict_each_other_share_no_samples(plugin: Path, tmp_path: Path) -> None:
    rows = list(screens(4, 0.5))
    other = [msgspec.structs.replace(row, target=BoxTarget((0, 0, 1, 1))) for row in rows]
    put_run(tmp_path / "runs", "one", "demo-screens", rows, 4)
    put_run(tmp_path / "runs", "three", "demo-screens", rows[:2], 4)
    put_run(tmp_path / "runs", "two", "demo-screens", other, 4)
    put_run(tmp_path / "runs", "four", "demo-screens", hostile(), 5)  # other samples in the same places
    build_site(tmp_path / "www", tmp_path / "runs", media="none")
    sets = {run["model"]: run["set"] for run in read_shard(tmp_path / "www", "index")["runs"]}
    assert sets["one"] == sets["three"]
    assert len(set(sets.values())) == 3


def test_a_run_whose_benchmark_is_gone_is_left_out_and_named(plugin: Path, tmp_path: Path) -> None:
    folder = put_run(tmp_path / "runs", "one", "demo-screens", screens(3, 0.5), 3)
    manifest = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**manifest, "benchmark": "gone"}))
    built = build_site(tmp_path / "www", tmp_path / "runs")
    assert built.runs == 0
    assert "left out" in built.notes[0] and "gone" in built.notes[0]


def test_a_run_that_cannot_be_read_or_scored_takes_nothing_from_the_others(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    put_run(runs, "good", "demo-screens", screens(3, 0.5), 3)
    begun = put_run(runs, "begun", "demo-screens", screens(3, 0.5), 3)
    (begun / "run.sqlite").unlink()
    damaged = put_run(runs, "damaged", "demo-screens", screens(3, 0.5), 3)
    (damaged / "run.json").write_text("{")
    foreign = (msgspec.structs.replace(row, target=CountTarget(1)) for row in screens(3, 0.5))
    put_run(runs, "foreign", "demo-screens", foreign, 3)
    built = build_site(tmp_path / "www", runs, media="none")
    assert built.runs == 1
    assert [run["model"] for run in read_shard(tmp_path / "www", "index")["runs"]] == ["good"]
    left_out = [note for note in built.notes if "left out" in note]
    assert len(left_out) == 3
    assert all(any(f"runs/{name}/" in note for note in left_out) for name in ("begun", "damaged", "foreign"))


def test_long_names_make_short_files_and_short_lists(tmp_path: Path) -> None:
    failed = Prediction(error="e" * 5000)
    rows = [
        msgspec.structs.replace(row, sample_id=f"{i}" * 5000, prediction=failed) for i, row in enumerate(screens(2, 0))
    ]
    put_run(tmp_path / "runs", "m" * 200, "demo-screens", rows, 2)
    put_run(tmp_path / "runs", "m" * 199 + "n", "demo-screens", screens(2, 0.5), 2)
    build_site(tmp_path / "www", tmp_path / "runs", media="none")
    ids = [run["id"] for run in read_shard(tmp_path / "www", "index")["runs"]]
    assert len(set(ids)) == 2 and max(map(len, ids)) < 200
    failures = [each for id_ in ids for each in read_shard(tmp_path / "www", f"runs/{id_}/run")["failures"]]
    assert len(failures) == 2 and all(len(text) <= 300 for each in failures for text in each)


def test_files_whose_names_make_one_link_have_a_page_each(mpeval: Call, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "black.png")
    line = '{"image": "black.png", "query": "a square", "box": [0, 0, 9, 9], "slices": {"a=b": "c"}}'
    for name in ("my data.jsonl", "my-data.jsonl"):
        (tmp_path / name).write_text(line)
        call = ("run", "--model", "oracle", "--benchmark", tmp_path / name, "--out", tmp_path / "runs")
        assert mpeval(*call).status == 0
    build_site(tmp_path / "www", tmp_path / "runs", media="none")
    index = read_shard(tmp_path / "www", "index")
    pages = {each["id"]: each["name"] for each in index["benchmarks"] if each["runs"]}
    assert sorted(pages.values()) == ["my data.jsonl", "my-data.jsonl"]
    for id_, name in pages.items():
        assert read_shard(tmp_path / "www", f"benchmarks/{id_}")["card"]["name"] == name
    (first, _) = index["runs"]
    assert "a=b" in read_shard(tmp_path / "www", f"runs/{first['id']}/run")["slice_names"]
    assert first["device"].endswith("batches of any size")


def test_hostile_text_stays_text_in_the_shards(tmp_path: Path) -> None:
    put_run(tmp_path / "runs", HOSTILE, "demo-screens", hostile(), 5)
    build_site(tmp_path / "www", tmp_path / "runs", media="none")
    (run,) = read_shard(tmp_path / "www", "index")["runs"]
    assert run["model"] == HOSTILE
    assert re.fullmatch(r"[a-z0-9.-]+", run["id"])
    (samples,) = [read_shard(tmp_path / "www", f"sets/{run['set']}/0")]
    assert samples[0]["slices"][0] == ["__proto__", HOSTILE]
    columns = read_shard(tmp_path / "www", f"sets/{run['set']}/index")["slices"]
    assert [column["name"] for column in columns][:3] == ["__proto__", "control", "constructor"]


def test_many_samples_lie_in_small_shards(tmp_path: Path) -> None:
    put_run(tmp_path / "runs", "many", "demo-screens", screens(4_000, 0.7), 4_000)
    site = tmp_path / "www"
    build_site(site, tmp_path / "runs", media="none")
    (run,) = read_shard(site, "index")["runs"]
    shards = list((site / "data" / "runs" / run["id"]).glob("[0-9]*.js"))
    assert len(shards) == 20
    assert max(path.stat().st_size for path in shards) < 150_000
    first_view = [*ASSETS.iterdir(), site / "data" / "index.js", site / "data" / "tables" / "demo.js"]
    assert sum(path.stat().st_size for path in first_view) < 300_000
    slices = {metric[5] for metric in read_shard(site, f"runs/{run['id']}/run")["protocols"][0]["metrics"]}
    assert {"target size=under 1 %", "number of targets=0", "control=icon"} <= slices


# --- bins and ranges -------------------------------------------------------------------------------


@given(st.floats(0, 1), st.floats(0, 1))
def test_bins_of_size_are_in_order(one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert SIZE_BINS.index(size_bin(small)) <= SIZE_BINS.index(size_bin(large))


def test_bins_have_plain_names() -> None:
    assert SIZE_BINS == ("under 1 %", "1 to 2 %", "2 to 5 %", "5 to 10 %", "10 to 20 %", "20 % and more")
    assert COUNT_BINS == ("0", "1", "2", "3 to 4", "5 to 9", "10 and more")
    assert [count_bin(count) for count in (0, 4, 5, 10, 99)] == ["0", "3 to 4", "5 to 9", "10 and more", "10 and more"]


@given(st.lists(st.integers(0, 50), unique=True).map(sorted))
def test_ranges_hold_the_numbers(numbers: list[int]) -> None:
    found = ranges(numbers)
    assert [first + i for first, length in found for i in range(length)] == numbers
    assert all(sum(one) < other[0] for one, other in itertools.pairwise(found))
