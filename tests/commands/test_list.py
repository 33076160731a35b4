"""`mpeval list`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mpeval as package
from mpeval.leaderboard.specs import load_specs, load_titles
from tests.conftest import Ended

Call = Callable[..., Ended]


def test_everything_is_listed_under_its_heading(mpeval: Call) -> None:
    ended = mpeval("list")
    assert ended.status == 0
    headings = [line for line in ended.out.splitlines() if line and not line.startswith(" ")]
    assert headings == ["Models", "Benchmarks", "Suites", "Protocols", "Tables"]
    for shipped in ("oracle", "replay:FILE", "molmopoint-tiny", "demo-points", "demo-photos"):
        assert f"  {shipped} " in ended.out
    assert ended.err == ""


@pytest.mark.parametrize("kind", ["models", "benchmarks", "suites", "protocols", "tables"])
def test_one_kind_as_json(mpeval: Call, kind: str) -> None:
    found = json.loads(mpeval("list", kind, "--json").out)
    assert list(found) == [kind]
    assert len(found[kind]) > 0


def test_json_says_what_a_benchmark_is(mpeval: Call, plugin: Path) -> None:
    found = json.loads(mpeval("list", "--json").out)
    fake = next(each for each in found["benchmarks"] if each["name"] == "fake")
    assert (fake["license"], fake["size"], fake["protocols"]) == ("CC0-1.0", 40, ["strict", "other"])
    assert {"name": "fakes", "benchmarks": ["fake", "fake-spoilt"]} in found["suites"]
    other = [each for each in found["protocols"] if each["benchmark"] == "fake" and each["name"] == "other"]
    assert other[0]["differs"] == "it says find"


def test_a_broken_plugin_is_named_and_the_rest_is_listed(mpeval: Call, plugin: Path) -> None:
    ended = mpeval("list")
    assert ended.status == 0
    assert "  fake-model " in ended.out
    assert "  oracle " in ended.out
    assert len(ended.err.splitlines()) == 2
    assert "'fake-string' of package 'fake-plugin'" in ended.err
    assert "'fake-missing' of package 'fake-plugin'" in ended.err


def test_an_unknown_kind_is_one_line(mpeval: Call) -> None:
    ended = mpeval("list", "modles")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)


HEAVY = {
    *("av", "httpx", "httpx2", "huggingface_hub", "matplotlib", "numpy", "openai", "pandas", "PIL", "pyarrow"),
    *("pycocotools", "ray", "rich", "safetensors", "scipy", "skimage", "tokenizers", "torch", "transformers"),
}
OF_A_RUN = {
    *("batches", "comparison", "data.archive", "data.hub", "drawing", "engine", "grounding", "leaderboard.build"),
    *("manifest", "masks", "metrics.averages", "metrics.points", "model_adapters.openai_compatible_requests"),
    *("own_data", "own_rows", "parsing.grammars", "parsing.paper", "prefetch", "report", "runner", "scorers.by_target"),
    *("scoring", "segment", "store", "submission", "video"),
}
"""Modules of mpeval that only data, a model, a score or a store needs."""


def test_listing_imports_neither_large_libraries_nor_what_a_run_needs() -> None:
    """What makes it slow is imports; a clock would fail on a busy machine."""
    script = """
import sys
from mpeval.cli import main
try:
    main(["list"])
except SystemExit:
    print(*sys.modules, file=sys.stderr)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    imported = set(ended.stderr.split())
    assert {"mpeval.benchmarks.pointbench", "mpeval.model_adapters.openai_compatible"} <= imported
    assert not imported & (HEAVY | {f"mpeval.{name}" for name in OF_A_RUN})
    places = [Path(package.__file__).parent / name.replace(".", "/") for name in OF_A_RUN]
    assert not [place for place in places if not place.is_dir() and not place.with_suffix(".py").is_file()]


def test_the_head_of_a_table_says_what_the_whole_says() -> None:
    found = [(each.id, each.name, each.title) for each in load_titles()]
    assert found == [(each.id, each.name, each.title) for each in load_specs()]
    assert len(found) > 10
