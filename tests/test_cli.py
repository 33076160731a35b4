"""The command line as a whole: help, speed, mistakes in one line."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from mpeval.cli import COMMANDS


def test_help_lists_every_command_without_importing_one() -> None:
    code = (
        "import sys; from mpeval.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'PIL', 'rich', 'msgspec', 'mpeval.types'} & set(sys.modules)\n"
        "assert not heavy and not [m for m in sys.modules if m.startswith('mpeval.commands')], heavy"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    for name, text in COMMANDS.items():
        assert f"{name}  " in ended.stdout
        assert text in ended.stdout


@pytest.mark.parametrize(("arguments", "seconds"), [(["--help"], 0.3), (["list"], 0.5)])
def test_it_answers_at_once(tmp_path, arguments: list[str], seconds: float) -> None:
    """In processor time, which is what it takes on an idle machine, and from the second start on, when Python has
    compiled the modules. The best of several: a processor that shares its core takes half as long again."""
    command = [sys.executable, "-m", "mpeval", *arguments]
    compiled = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = str(tmp_path)
    best = float("inf")
    for _ in range(15):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True, env=compiled)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        if best < seconds:
            break
    assert best < seconds


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["rnu"], "mpeval: unknown command 'rnu': did you mean 'run'?"),
        (["run", "--modle", "x"], "mpeval: No such option '--modle'."),
        (["run", "--suite", "fakes"], "mpeval: Missing option '--model'."),
        (["run", "--model", "fake-model", "--suite", "fakes", "--limit", "0"], "mpeval: Invalid value"),
        (["run", "--model", "fake-model", "--suite", "fakes", "--batch-size", "0"], "mpeval: Invalid value"),
        (["run", "--model", "fake-model", "--suite", "fakes", "--batch-size", "²"], "mpeval: Invalid value"),
        (["run", "--model", "fake-model"], "mpeval: give either --suite or --benchmark"),
        (["run", "--model", ",", "--suite", "fakes"], "mpeval: an empty list of names"),
        (["run", "--model", "fake-modle", "--suite", "fakes"], "mpeval: unknown model 'fake-modle'"),
        (["run", "--model", "fake-model", "--suite", "fakse"], "mpeval: unknown suite 'fakse': did you mean"),
        (["run", "--model", "fake-model", "--benchmark", "fak"], "mpeval: unknown benchmark 'fak'"),
        (
            ["run", "--model", "fake-model", "--suite", "fakes", "--protocol", "strikt"],
            "mpeval: unknown protocol of fake 'strikt': did you mean 'strict'?",
        ),
        (["score", "nowhere"], "mpeval: no run in nowhere"),
        (["export", "nowhere"], "mpeval: no run in nowhere"),
    ],
)
def test_mistakes_are_one_line_and_exit_2(plugin, mpeval, tmp_path, monkeypatch, arguments, line) -> None:
    monkeypatch.chdir(tmp_path)
    ended = mpeval(*arguments)
    assert ended.status == 2
    assert ended.out == ""
    said = [each for each in ended.err.splitlines() if "is broken" not in each]
    assert len(said) == 1
    assert said[0].startswith(line)
    assert not (tmp_path / "results").exists()


def test_version(mpeval) -> None:
    from mpeval import __version__

    assert mpeval("--version").out.strip().endswith(__version__)


def test_without_a_command_it_shows_its_help(mpeval) -> None:
    ended = mpeval()
    assert ended.status == 0
    assert "Usage: mpeval" in ended.out.splitlines()[0] and len(ended.out.splitlines()) > 10
