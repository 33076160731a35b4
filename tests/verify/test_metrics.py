from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpeval.errors import UserError
from mpeval.verify.metrics import verify_metrics

DATA = Path(__file__).parents[1] / "data/parity/metrics"


def test_every_number_of_the_released_scorers():
    checks = verify_metrics(DATA)
    assert {check.where for check in checks} == {f"metrics/{path.name}" for path in DATA.glob("*.json")}
    assert [check for check in checks if not check.ok] == []
    assert len(checks) == 19


@pytest.mark.parametrize("name", ["image_pointing.json", "video_pointing.json", "tracking.json", "mask_quality.json"])
def test_a_number_that_is_off_fails(tmp_path, name):
    cases = json.loads((DATA / name).read_text())
    kind = next(iter(cases[0]["expected"]))
    cases[0]["expected"][kind] += 1e-6
    (tmp_path / name).write_text(json.dumps(cases))
    assert [check.what for check in verify_metrics(tmp_path) if not check.ok] == [kind]


def test_a_point_that_is_missing_fails(tmp_path):
    cases = json.loads((DATA / "parsing.json").read_text())
    del cases[0]["points"][0]
    (tmp_path / "parsing.json").write_text(json.dumps(cases))
    assert [(check.what, check.difference) for check in verify_metrics(tmp_path) if not check.ok] == [
        ("points", float("inf"))
    ]


@pytest.mark.parametrize("text", ["", "[1]", '[{"height": 3}]', "[{"])
def test_a_file_that_is_something_else_is_named(tmp_path, text):
    (tmp_path / "image_pointing.json").write_text(text)
    with pytest.raises(UserError, match=r"image_pointing\.json is not in the parity format"):
        verify_metrics(tmp_path)


def test_nothing_to_check(tmp_path):
    assert verify_metrics(tmp_path) == []
