"""`mpeval score`: stored predictions under other protocols."""

from __future__ import annotations

import importlib
import json

import pytest

from mpeval.manifest import MANIFEST
from mpeval.store import find_runs


def test_protocols_side_by_side(plugin, mpeval, tmp_path) -> None:
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path)
    ended = mpeval("score", tmp_path, "--protocol", "all")
    assert ended.status == 0
    assert "fake-model on fake, protocol other: scorer only" in ended.out
    assert "fake-model on fake, protocol other: it says find" in ended.out
    assert "protocol strict" not in ended.out

    default, other = (
        json.loads(mpeval("score", tmp_path, "--json", *options).out) for options in ([], ["--protocol", "other"])
    )
    assert [(each["protocol"], each["scorer_only"], each["verified"]) for each in default + other] == [
        ("strict", False, True),
        ("other", True, False),
    ]


def test_neither_model_nor_dataset_is_touched(plugin, mpeval, tmp_path, monkeypatch) -> None:
    ran = mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path, "--json")
    fake_plugin = importlib.import_module("fake_plugin")
    monkeypatch.setattr(fake_plugin.FakeBenchmark, "samples", lambda *_: pytest.fail("the dataset was read"))
    monkeypatch.setattr(fake_plugin, "model", None)
    scored = mpeval("score", tmp_path, "--json")
    assert json.loads(scored.out) == json.loads(ran.out)


def test_an_unfinished_run_says_so(plugin, mpeval, tmp_path) -> None:
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path, "--limit", 4)
    (path,) = find_runs([tmp_path])
    content = (path / MANIFEST).read_text().replace('"expected": 4', '"expected": 40')
    (path / MANIFEST).write_text(content)
    assert "fake-model on fake: unfinished, 4 of 40 samples" in mpeval("score", path).out


def test_an_unknown_protocol(plugin, mpeval, tmp_path) -> None:
    mpeval("run", "--model", "fake-model", "--benchmark", "fake", "--out", tmp_path, "--limit", 4)
    ended = mpeval("score", tmp_path, "--protocol", "othr")
    assert ended.status == 2
    assert ended.err == "mpeval: unknown protocol of fake 'othr': did you mean 'other'?\n"
