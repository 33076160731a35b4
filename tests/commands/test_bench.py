"""`mpeval bench`: the whole command on a CPU, the way an accelerator's figures are taken; mistakes in one line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from mpeval.commands.bench import CASES, command

QUICK = ("--seconds", "0.1", "--batches", "1,2", "--tokens", "10", "--frames", "2", "--screens", "4")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"image": ((60, 40), 2), "screen-24": ((90, 60), 6), "screen-64": ((90, 90), 9)}
    monkeypatch.setattr("mpeval.bench.media.KINDS", kinds)
    monkeypatch.setattr("mpeval.bench.measure.KINDS", kinds)
    monkeypatch.setattr("mpeval.bench.run.SCREEN_24_SIZE", (90, 60))
    monkeypatch.setattr("mpeval.bench.clock.PATIENCE", 1000)
    monkeypatch.setattr("mpeval.bench.clock.Clock.left", 1000.0)  # a busy machine must not fail a test
    monkeypatch.setattr("mpeval.bench.environment.commit_of", lambda file: "0123456789ab+")
    monkeypatch.setattr("mpeval.bench.measure.copy_rate", lambda device: 1e9)
    monkeypatch.setattr("mpeval.bench.measure.matmul_rate", lambda device, dtype, size: 1e9)


def test_the_preset_for_a_gpu_runs_whole_on_a_cpu(mpeval, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = mpeval("bench", "--preset", "gpu", "--device", "cpu", "--size", "tiny", *QUICK, "--out", file)
    assert ended.status == 0
    for title in ("Decoding behind", "Media, answers of 16 tokens", "Sharing media", "A run from pictures", "Goals"):
        assert title in ended.out
    assert "measuring: 12/12" in ended.err
    found = json.loads(file.read_text())
    assert [each["batch"] for each in found["decoding"]] == [1, 2]
    assert [each["name"] for each in found["media"]] == ["image", "screen-24", "screen-64", "video"]
    assert found["run"]["ratio"] > 0 and len(found["goals"]) == 4
    machine = found["environment"]
    assert machine["versions"]["torch"] == torch.__version__ and machine["dtype"] == "float32"
    assert len(machine["load"]) == len(os.getloadavg()) and machine["threads"] >= 1
    assert machine["command"].startswith("mpeval") and "cpu" in machine["device"]


def test_some_cases_as_markdown(mpeval, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        asked = ("--cases", "image,decoding", "--threads", "1", "--out", tmp_path / "figures.md")
        ended = mpeval("bench", "--size", "tiny", "--device", "cpu", *QUICK, *asked)
    finally:
        torch.set_num_threads(before)
    assert ended.status == 0
    text = (tmp_path / "figures.md").read_text()
    assert "random-weights:tiny" in text and "(0123456789ab+)" in text and ", 1 threads" in text
    assert "| image (60 x 40) |" in text and "| Batch | tokens/s |" in text
    assert "Sharing" not in text and "Goals" not in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith(("| Batch", "| 1 |", "| 2 |"))}
    assert len(widths) == 1, "a table's rows have its columns"


def test_a_checkpoint_s_folder(mpeval) -> None:
    from mpeval.model_adapters.molmo import TINY_WEIGHTS

    folder = TINY_WEIGHTS / "molmopoint-tiny"
    ended = mpeval("bench", "--model", folder, "--device", "cpu", *QUICK, "--cases", "image")
    assert ended.status == 0 and ended.out.startswith("molmo:molmopoint-tiny: 1.")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--device", "cuda:7"], "device 'cuda:7' cannot be used here: choose auto or cpu"),
        (["--size", "huge", "--device", "cpu"], "random weights have no size 'huge': there is tiny, small, 0.5b, 8b"),
        (["--size", "tiny", "--model", "molmopoint-tiny"], "give either --model or --size"),
        (["--model", "center", "--device", "cpu"], "center does not run on the built-in engine"),
        (["--batches", "1,x"], "Invalid value for '--batches': '1,x' is no list of numbers"),
        (["--batches", "0"], "Invalid value for '--batches'"),
        (["--batches", "²"], "Invalid value for '--batches': '²' is no list of numbers from 1 to 4096"),
        (["--batches", "5000"], "Invalid value for '--batches'"),
        (["--threads", "100000000"], "Invalid value for '--threads'"),
        (["--seconds", "nan"], "Invalid value for '--seconds': 'nan' is no time"),
        (["--seconds", "inf"], "Invalid value for '--seconds'"),
        (["--out", "/dev/fd/figures.md"], "cannot write /dev/fd/figures.md: "),
        (["--cases", "decode"], "Invalid value for '--cases': 'decode' is none of decoding,"),
        (["--out", "figures.txt"], "figures.txt: write figures to a file that ends in .json or .md"),
        (["--out", "nowhere/figures.md"], "nowhere is no folder: make it first"),
    ],
)
def test_mistakes_are_one_line(mpeval, tmp_path: Path, monkeypatch, arguments: list[str], line: str) -> None:
    monkeypatch.chdir(tmp_path)
    ended = mpeval("bench", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith(f"mpeval: {line}") and len(ended.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_figures_are_printed_also_where_their_file_cannot_be_written_in_the_end(mpeval, tmp_path, monkeypatch) -> None:
    file, write_text = tmp_path / "figures.md", Path.write_text

    def full(path: Path, text: str) -> int:
        if path == file:
            raise OSError(28, "No space left on device")
        return write_text(path, text)

    monkeypatch.setattr(Path, "write_text", full)
    ended = mpeval("bench", "--size", "tiny", "--device", "cpu", *QUICK, "--cases", "image", "--out", file)
    assert ended.status == 2 and "image (60 x 40)" in ended.out
    assert ended.err.splitlines()[-1] == f"mpeval: cannot write {file}: No space left on device"


def test_a_file_that_was_there_is_left_alone_until_there_are_figures(mpeval, tmp_path) -> None:
    (tmp_path / "figures.md").write_text("of last week")
    assert mpeval("bench", "--size", "huge", "--device", "cpu", "--out", tmp_path / "figures.md").status == 2
    assert (tmp_path / "figures.md").read_text() == "of last week"


def test_too_little_memory_names_what_is_needed(mpeval, monkeypatch) -> None:
    monkeypatch.setattr("mpeval.engine.device.available_bytes", lambda device: 8 * 10**9)
    ended = mpeval("bench", "--size", "8b", "--device", "cpu", "--dtype", "bfloat16")
    assert ended.status == 2
    assert "take 17.4 GB, 8.0 GB are free on cpu" in ended.err and len(ended.err.splitlines()) == 1


def test_the_command_s_cases_are_those_that_are_measured() -> None:
    from mpeval.bench import measure

    assert CASES == measure.CASES
    assert all(case in next(p.help for p in command.params if p.name == "cases") for case in CASES)  # type: ignore
