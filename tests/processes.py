"""The command line in a process of its own, to be stopped or killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "mpeval", *map(str, arguments)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something holds; a failure where it does not in time."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
