"""What figures depend on."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mpeval.bench.environment import commit_of


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_checkout_s_commit_and_whether_files_were_changed(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text("1")
    assert commit_of(file) is None, "no checkout"
    git(tmp_path, "init", "-q")
    assert commit_of(file) is None, "not tracked: mpeval is installed in somebody else's checkout"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "one")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    assert commit_of(file) == commit
    (tmp_path / "other").write_text("untracked")
    assert commit_of(file) == commit
    file.write_text("2")
    assert commit_of(file) == commit + "+"
