"""The fake benchmark's samples as somebody has changed them since a run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]) -> None:
    """Change what the fake benchmark's samples are by now; None drops a sample."""
    fake_plugin = importlib.import_module("fake_plugin")
    original = fake_plugin.FakeBenchmark.samples

    def samples(self: Any, data_dir: str | None = None) -> Iterator[Any]:
        return (new for each in original(self, data_dir) if (new := change(each)) is not None)

    monkeypatch.setattr(fake_plugin.FakeBenchmark, "samples", samples)
