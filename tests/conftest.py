"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from tests.data_layer.fake_server import FakeServer, serving

if not torch.cuda.is_available():
    # Read when Triton is imported for the first time, by whatever it is: without a GPU its kernels are interpreted.
    os.environ["TRITON_INTERPRET"] = "1"

ENTRY_POINTS = """
[mpeval.benchmarks]
fake = fake_plugin:benchmark
fake-spoilt = fake_plugin:spoilt
fake-missing = fake_plugin_that_is_not_there:benchmark

[mpeval.models]
fake-model = fake_plugin:model
fake-string = fake_plugin:no_model
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install the package in tests/plugin, for this process and for those it starts, without touching the
    environment: a folder with its metadata is enough for entry points. Returns what to put on PYTHONPATH."""
    site = tmp_path / "site"
    metadata = site / "fake_plugin-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: fake-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (site / "fake_plugin.py").symlink_to(Path(__file__).parent / "plugin" / "fake_plugin.py")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    for name in ("FAKE_LOG", "FAKE_SECONDS", "FAKE_FAIL", "FAKE_REVISION"):
        monkeypatch.delenv(name, raising=False)
    return site


@dataclass
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def mpeval(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run the command line in this process: `mpeval("run", "--model", "oracle")`."""
    from mpeval.cli import main

    def call(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(each) for each in arguments])
        captured = capsys.readouterr()
        assert isinstance(exit_.value.code, int)
        return Ended(exit_.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeServer]:
    """A Hub on this machine, for this process and for those that it starts; no waiting between attempts."""
    from huggingface_hub import constants

    from mpeval.data import download

    with serving() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "ENDPOINT", fake.url)
        template = fake.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr(download, "FIRST_WAIT", 0.01)
        monkeypatch.setattr(download, "TIMEOUT", 1.0)
        yield fake
