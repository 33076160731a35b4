"""`mpeval tables`."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ended

Call = Callable[..., Ended]


@pytest.fixture
def runs(mpeval: Call, tmp_path: Path) -> Path:
    out = tmp_path / "runs"
    assert mpeval("run", "--model", "center", "--benchmark", "demo-screens", "--limit", 6, "--out", out).status == 0
    return out


@pytest.mark.parametrize("name", ["3", "03", "gui", "table-3", "Table 3"])
def test_a_table_by_its_number_or_name(mpeval: Call, name: str) -> None:
    ended = mpeval("tables", name)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("### Table 3: Pointing in screens\n")
    assert "64.2∗" in ended.out


@pytest.mark.parametrize(
    ("name", "nearest"), [("pointbnch", "pointbench"), ("figure 6", "figure-5"), ("molmo2-trak", "molmo2-track")]
)
def test_an_unknown_table_gets_the_nearest(mpeval: Call, name: str, nearest: str) -> None:
    ended = mpeval("tables", name)
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert f"did you mean '{nearest}" in ended.err


def test_an_unknown_format_is_one_line(mpeval: Call) -> None:
    ended = mpeval("tables", "1", "--format", "pdf")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)


def test_the_check_knows_the_papers_slips(mpeval: Call) -> None:
    ended = mpeval("tables", "--check")
    assert ended.status == 0
    assert "known slip, table 6: Section 5.4 gives the overall gain in J&F as +5.7" in ended.out
    assert ended.out.splitlines()[-1] == "1640 numbers and 48 statements checked: 28 findings, 28 of them known"


def test_the_check_of_one_table_names_its_slips_alone(mpeval: Call) -> None:
    ended = mpeval("tables", "9", "--check")
    known = [line for line in ended.out.splitlines() if line.startswith("known slip")]
    assert (ended.status, len(known)) == (0, 1)
    assert "table 9" in known[0]


def test_the_check_fails_for_a_slip_that_is_not_known(mpeval: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpeval.leaderboard import check
    from mpeval.leaderboard.check import Finding

    fault = Finding("table-01/x", "Table 1, X", "it does not add up")
    monkeypatch.setattr(check, "check_tables", lambda specs, published: [fault])
    ended = mpeval("tables", "--check")
    assert ended.status == 1
    assert "NOT KNOWN: Table 1, X: it does not add up [table-01/x]" in ended.out
    assert "NOT FOUND: slips.toml explains 'table-13/molmo2-o-7b/name', which adds up" in ended.out


def test_a_table_of_runs_alone(mpeval: Call, runs: Path) -> None:
    ended = mpeval("tables", "demo", "--runs", runs)
    assert (ended.status, ended.err) == (0, "")
    assert "center, protocol strict" in ended.out  # no paper has these benchmarks: the run's own protocol
    assert "demo-screens: 6 of 252 samples" in ended.out
    header, row = csv.reader(io.StringIO(mpeval("tables", "demo", "--runs", runs, "--format", "csv").out))
    cells = dict(zip(header, row))
    assert (cells["demo-screens Accuracy count"], cells["demo-screens Accuracy status"]) == ("6", "measured")


def test_a_table_of_runs_alone_needs_runs(mpeval: Call) -> None:
    ended = mpeval("tables", "demo")
    assert (ended.status, ended.out) == (2, "")
    assert "give --runs DIR" in ended.err


def test_runs_that_no_column_shows_are_named(mpeval: Call, runs: Path) -> None:
    ended = mpeval("tables", "1", "--runs", runs)
    assert ended.status == 0
    assert ended.out == mpeval("tables", "1").out
    assert ended.err == "mpeval: runs left out, for no column here shows their benchmark: demo-screens\n"


def test_the_check_takes_no_runs(mpeval: Call, runs: Path) -> None:
    ended = mpeval("tables", "1", "--runs", runs, "--check")
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert "published numbers alone" in ended.err


def test_a_folder_without_runs(mpeval: Call, tmp_path: Path) -> None:
    ended = mpeval("tables", "1", "--runs", tmp_path / "nothing")
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)


def test_tables_need_nothing_heavy() -> None:
    script = """
import sys
from mpeval.cli import main
try:
    main(["tables", "all", "--format", "html"])
except SystemExit:
    pass
heavy = {"torch", "numpy", "scipy", "pandas", "PIL", "rich", "tokenizers", "safetensors", "transformers"}
sys.exit(", ".join(sorted(heavy & set(sys.modules))) or 0)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
