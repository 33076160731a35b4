"""The registry: entry points of third parties, broken ones among them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mpeval import registry
from mpeval.errors import UserError


def test_names_come_without_importing_the_plugins(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fake_plugin", raising=False)
    assert {"fake", "fake-missing"} <= set(registry.names(registry.BENCHMARKS))
    assert "fake-model" in registry.names(registry.MODELS)
    assert "fake_plugin" not in sys.modules


def test_a_third_party_s_benchmark_and_model_load(plugin: Path) -> None:
    assert registry.benchmark("fake").card.title == "Fake"
    assert registry.load_model("fake-model").name == "fake-model"


def test_broken_plugins_are_named_and_the_rest_work(plugin: Path) -> None:
    benchmarks, broken = registry.all_benchmarks()
    assert "fake" in benchmarks
    (missing,) = [each for each in broken if each.name == "fake-missing"]
    assert "fake-plugin" in str(missing)
    assert "No module named 'fake_plugin_that_is_not_there'" in str(missing)

    models, broken = registry.all_models()
    assert "fake-model" in models
    assert [each.name for each in broken if each.package == "fake-plugin"] == ["fake-string"]


def test_a_broken_plugin_that_is_asked_for_is_a_user_error(plugin: Path) -> None:
    with pytest.raises(UserError, match="plugin 'fake-missing' of package 'fake-plugin' is broken"):
        registry.benchmark("fake-missing")
    with pytest.raises(UserError, match="it is no ModelEntry: it lacks name"):
        registry.model_entry("fake-string")


def test_a_name_that_differs_from_the_card_is_refused(plugin: Path) -> None:
    points = plugin / "fake_plugin-1.0.dist-info" / "entry_points.txt"
    points.write_text("[mpeval.benchmarks]\nalias = fake_plugin:benchmark\n")
    with pytest.raises(UserError, match="registered as 'alias', but its card says 'fake'"):
        registry.benchmark("alias")


@pytest.mark.parametrize(
    ("look_up", "nearest"),
    [
        (lambda: registry.benchmark("fak"), "unknown benchmark 'fak': did you mean 'fake'?"),
        (lambda: registry.load_model("fake-modle:x"), "unknown model 'fake-modle': did you mean 'fake-model'?"),
        (lambda: registry.suite("fakess"), "unknown suite 'fakess': did you mean 'fakes'?"),
    ],
)
def test_an_unknown_name_gets_the_nearest(plugin: Path, look_up, nearest: str) -> None:
    with pytest.raises(UserError) as error:
        look_up()
    assert str(error.value) == nearest


def test_a_name_like_no_other_gets_the_list() -> None:
    error = registry.unknown("model", "zzz", ["oracle", "center"])
    assert str(error) == "unknown model 'zzz': there is center, oracle"


def test_what_follows_the_colon(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="'fake-model' takes nothing after a colon"):
        registry.resolve_model("fake-model:x")

    loaded = []
    entry = registry.ModelEntry("file", "", lambda argument, options: loaded.append(argument), "FILE")  # type: ignore
    monkeypatch.setattr(registry, "model_entry", lambda name: entry)
    registry.load_model("file:C:/a,b:c.jsonl")
    assert loaded == ["C:/a,b:c.jsonl"]
    with pytest.raises(UserError, match="'file' needs FILE: write --model file:FILE"):
        registry.resolve_model("file")


def test_suites_come_from_cards_with_those_outside_the_average_last(plugin: Path) -> None:
    found, broken = registry.suite("fakes")
    assert [each.card.name for each in found] == ["fake", "fake-spoilt"]
    assert "fake-missing" in [each.name for each in broken]


def test_a_foreign_benchmarks_package_shadows_nothing(
    plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    benchmarks, broken = registry.all_benchmarks()
    assert "fake" in benchmarks
    assert not any("the wrong package" in each.reason for each in broken)
