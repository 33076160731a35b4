"""`mpeval verify`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from mpeval.verify import SHIPPED
from tests.conftest import Ended

Call = Callable[..., Ended]


def test_a_folder_within_tolerance(mpeval: Call) -> None:
    ended = mpeval("verify", str(SHIPPED / "metrics"))
    assert ended.status == 0
    assert ended.out.startswith("metrics: 19 comparisons, ok\n")
    assert ended.out.endswith("19 of 19 comparisons are within tolerance\n")


def test_a_number_beyond_tolerance_is_status_1(mpeval: Call, tmp_path: Path) -> None:
    shutil.copy(SHIPPED / "metrics" / "image_pointing.json", tmp_path)
    cases = json.loads((tmp_path / "image_pointing.json").read_text())
    cases[0]["expected"]["f1"] += 0.25
    (tmp_path / "image_pointing.json").write_text(json.dumps(cases))
    ended = mpeval("verify", str(tmp_path))
    assert ended.status == 1
    assert f"FAILED {tmp_path.name}/image_pointing.json: f1 2.5e-01 > 1e-09" in ended.out
    rows = json.loads(mpeval("verify", str(tmp_path), "--json").out)
    assert [row["what"] for row in rows if not row["ok"]] == ["f1"]


def test_nothing_to_verify_is_one_line(mpeval: Call, tmp_path: Path) -> None:
    ended = mpeval("verify", str(tmp_path))
    assert ended.status == 2
    assert ended.err.count("\n") == 1
    assert "nothing to verify" in ended.err
