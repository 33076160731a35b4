"""What figures depend on: the command, the machine, its load, versions."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from mpeval import __version__
from mpeval.bench.results import Environment

if TYPE_CHECKING:
    import torch


def environment(device: torch.device, dtype: torch.dtype) -> Environment:
    """As it is now: call it before anything is measured."""
    import torch

    from mpeval.engine.device import available_bytes, device_name

    versions = {"python": platform.python_version(), "torch": str(torch.__version__), "mpeval": __version__}
    if device.type == "cuda" and torch.version.cuda:
        versions["cuda"] = torch.version.cuda
    for name in ("numpy", "pillow"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return Environment(
        command=shlex.join(["mpeval", *sys.argv[1:]]),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        device=f"{device_name(device)} ({device})",
        dtype=str(dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        load=tuple(round(each, 2) for each in os.getloadavg()) if hasattr(os, "getloadavg") else (),
        system=platform.platform(),
        memory_bytes=available_bytes(device),
        versions=versions,
        commit=commit_of(Path(__file__)),
    )


def commit_of(file: Path) -> str | None:
    """The commit of the checkout that holds a file, with `+` where tracked files were changed since; None where it is
    in none, or there is no git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(file.parent), "--no-optional-locks", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", file.name)  # it may lie in somebody else's checkout, untracked
        return git("rev-parse", "HEAD")[:12] + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
