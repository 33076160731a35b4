"""`mpeval run --shard` and `mpeval merge`: real processes, one of them killed."""

from __future__ import annotations

import importlib
import json
import re
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mpeval.manifest import Shard, read_manifest
from mpeval.store import DATABASE, Run, find_runs
from tests.processes import start, wait_for

RUN = ("run", "--model", "fake-model", "--benchmark", "fake", "--out")
IDS = [f"s{index}" for index in range(40)]


def stored(path: Path) -> list[str]:
    if not (path / DATABASE).exists():
        return []
    with Run.read(path) as run:
        return [row.sample_id for row in run.rows()]


def score(mpeval: Callable[..., Any], path: Path) -> dict[str, Any]:
    (result,) = json.loads(mpeval("score", path, "--json").out)
    return {name: value for name, value in result.items() if name != "path"}


def test_four_shards_one_killed_and_repeated_merge_to_a_single_run(plugin, mpeval, tmp_path) -> None:
    out, log = tmp_path / "shards", tmp_path / "log"
    command = (*RUN, out, "--batch-size", 2)
    victim = start(*command, "--shard", "3/4", FAKE_SECONDS="0.5", FAKE_LOG=str(log))
    wait_for(lambda: log.exists() and len(log.read_text().split()) >= 4)
    victim.kill()
    assert victim.wait() == -signal.SIGKILL
    others = [start(*command, "--shard", f"{index}/4") for index in (4, 1)]
    assert [other.wait(60) for other in others] == [0, 0]
    assert mpeval(*command, "--shard", "2/4").status == 0
    (killed,) = out.rglob("*-shard-3of4")
    before, part = stored(killed), read_manifest(killed).expected
    missing = part - len(before)
    assert 0 < len(before) < part

    ended = mpeval("merge", out, "--out", tmp_path / "merged")
    assert ended.status == 1
    assert f"{40 - missing} of 40 samples from 4 folders" in ended.out
    assert f"shard 3/4 of 40 samples has {len(before)} of its {part} in {killed}; go on with: " in ended.out
    assert f"UNFINISHED: {missing} samples are missing" in ended.out
    (path,) = find_runs([tmp_path / "merged"])
    assert read_manifest(path).expected == 40
    assert "unfinished" in mpeval("score", path).out

    assert mpeval(*command, "--shard", "3/4").status == 0
    assert len(read_manifest(killed).sessions) == 2
    ended = mpeval("merge", out, "--out", tmp_path / "merged")
    assert (ended.status, ended.out.count("\n")) == (0, 1)
    assert "fake-model on fake: 40 of 40 samples from 4 folders" in ended.out

    assert mpeval(*RUN, tmp_path / "alone").status == 0
    (alone,) = find_runs([tmp_path / "alone"])
    assert score(mpeval, path) == score(mpeval, alone)
    assert path.relative_to(tmp_path / "merged") == alone.relative_to(tmp_path / "alone")
    assert stored(path) == stored(alone) == IDS
    assert len(read_manifest(path).sessions) == 5
    assert read_manifest(path).identity == read_manifest(alone).identity
    # a merged run is a run: the plain command finds nothing left to do
    assert mpeval(*RUN, tmp_path / "merged").status == 0
    assert len(read_manifest(path).sessions) == 6


def test_a_limit_is_drawn_first_and_split_then(plugin, mpeval, tmp_path) -> None:
    assert mpeval(*RUN, tmp_path / "alone", "--limit", 11).status == 0
    parts = []
    for index in (3, 1, 2):
        assert mpeval(*RUN, tmp_path / "out", "--limit", 11, "--shard", f"{index}/3").status == 0
        (path,) = (tmp_path / "out").rglob(f"*-shard-{index}of3")
        parts.append(stored(path))
    assert all(parts)
    assert Counter(each for some in parts for each in some) == Counter(stored(*find_runs([tmp_path / "alone"])))
    assert mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged").status == 0


def test_a_shard_says_that_it_is_one(plugin, mpeval, tmp_path) -> None:
    ended = mpeval(*RUN, tmp_path, "--shard", "2/4")
    assert ended.status == 0
    (path,) = find_runs([tmp_path])
    manifest = read_manifest(path)
    assert f"n={manifest.expected}\n" in ended.out.replace(" ", "").replace("│", "\n")
    assert "fake-model on fake: shard 2/4 alone; 'mpeval merge' joins it with the others" in ended.out
    assert manifest.shard == Shard(2, 4, 40)
    assert manifest.expected == len(stored(path)) < 40


def test_a_shard_of_another_limit_is_refused(plugin, mpeval, tmp_path) -> None:
    assert mpeval(*RUN, tmp_path, "--shard", "1/2", "--limit", 8).status == 0
    ended = mpeval(*RUN, tmp_path, "--shard", "1/2")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "is shard 1/2 of 8 samples, not of 40: give the same --limit" in ended.err


def test_more_shards_than_samples(plugin, mpeval, tmp_path) -> None:
    for index in (1, 2, 3):
        assert mpeval(*RUN, tmp_path / "out", "--limit", 2, "--shard", f"{index}/3").status == 0
    assert mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged").status == 0


@pytest.mark.parametrize("shard", ["0/4", "5/4", "4", "1/0", "a/b", "-1/4", "1/4/2"])
def test_shards_that_are_none(plugin, mpeval, tmp_path, shard) -> None:
    ended = mpeval(*RUN, tmp_path / "out", f"--shard={shard}")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "write 2/4 for the second of four" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_dry_run_counts_its_part(plugin, mpeval) -> None:
    dry = ("run", "--model", "fake-model", "--benchmark", "fake", "--dry-run")
    said = [mpeval(*dry, "--shard", f"{index}/2").out for index in (1, 2)]
    parts = [int(re.search(r"fake: (\d+) of 40 samples", each)[1]) for each in said]  # type: ignore[index]
    assert sum(parts) == 40
    assert all(parts)


def test_mixed_identities_are_one_line_and_exit_2(plugin, mpeval, tmp_path) -> None:
    mpeval(*RUN, tmp_path / "out", "--shard", "1/2")
    mpeval(*RUN, tmp_path / "out", "--shard", "2/2", "--seed", 1)
    ended = mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged")
    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert "is of another run than" in ended.err
    assert "(seed: " in ended.err
    assert not (tmp_path / "merged").exists()


def test_a_protocol_that_is_asked_in_the_same_way_is_not_mixed_either(plugin, mpeval, tmp_path, monkeypatch) -> None:
    """The answers could be joined; but which protocol scores them must not follow from the order of the folders."""
    fake_plugin = importlib.import_module("fake_plugin")

    protocols = fake_plugin.benchmark.protocols
    again = msgspec.structs.replace(protocols["strict"], name="again")
    monkeypatch.setattr(fake_plugin.benchmark, "protocols", {**protocols, "again": again})
    mpeval(*RUN, tmp_path / "out", "--shard", "1/2")
    mpeval(*RUN, tmp_path / "out", "--shard", "2/2", "--protocol", "again")
    ended = mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "shard-2of2 was made for protocol again, " in ended.err and "shard-1of2 for strict: " in ended.err
    assert not (tmp_path / "merged").exists()
    mpeval(*RUN, tmp_path / "out", "--shard", "2/2", "--protocol", "strict")
    assert mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged").status == 0


def test_what_is_missing_as_json(plugin, mpeval, tmp_path) -> None:
    mpeval(*RUN, tmp_path / "out", "--shard", "1/4")
    ended = mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged", "--json")
    assert ended.status == 1
    merged = json.loads(ended.out)
    there = len(stored(Path(merged["path"])))
    assert (merged["samples"], merged["expected"], merged["failed"]) == (there, 40, 0)
    assert [each["shard"] for each in merged["missing"]] == ["2/4", "3/4", "4/4"]
    said = mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged").out
    assert "shard 2/4 of 40 samples is missing: no folder of it was given" in said
    assert f"UNFINISHED: {40 - there} samples are missing" in said


def test_failed_samples_are_counted_and_a_repeated_shard_mends_them(plugin, mpeval, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_FAIL", "s5")
    for index in (1, 2):
        mpeval(*RUN, tmp_path / "out", "--shard", f"{index}/2")
    monkeypatch.delenv("FAKE_FAIL")
    ended = mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged")
    assert ended.status == 1
    assert "1 samples FAILED" in ended.out
    for index in (1, 2):
        mpeval(*RUN, tmp_path / "out", "--shard", f"{index}/2")
    assert mpeval("merge", tmp_path / "out", "--out", tmp_path / "merged").status == 0
