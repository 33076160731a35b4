"""The figures as tables: on a terminal, in Markdown, and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mpeval.bench.results import Decoding, MediaCase, Report
from mpeval.errors import UserError
from mpeval.text import shortened

NAMES = {"image": "image", "screen-24": "24-crop screen", "screen-64": "64-crop screen", "video": "video"}
SUFFIXES = (".json", ".md")
LONGEST = 200
"""Characters of a cell."""


@dataclass(frozen=True)
class Sheet:
    """One table; all columns but the first and the notes hold numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def check_file(path: Path) -> None:
    """Raises `UserError` where figures cannot be written to this path; leaves nothing behind."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: write figures to a file that ends in {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} is no folder: make it first")
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file in it")
    there = path.exists()
    try:
        with path.open("ab"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another --out") from error


def write(path: Path, report: Report) -> None:
    """JSON or Markdown, by the file's ending. Raises `UserError` where it cannot be written."""
    as_json = path.suffix == ".json"
    text = msgspec.json.format(msgspec.json.encode(report)).decode() + "\n" if as_json else markdown(report)
    try:
        path.write_text(text)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def markdown(report: Report) -> str:
    """Everything as Markdown, without a heading: to be pasted into a page."""
    parts = [f"{line}  " for line in heading(report)]
    parts[-1] = parts[-1].rstrip()
    blocks = ["\n".join(parts)]
    for sheet in sheets(report):
        rule = ["---" if index == 0 or column == "" else "---:" for index, column in enumerate(sheet.columns)]
        rows = [sheet.columns, rule, *sheet.rows]
        lines = ["| " + " | ".join(_line(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]
        blocks.append(f"**{sheet.title}**\n\n" + "\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def show(report: Report) -> None:
    """Print it to standard output."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False, soft_wrap=not sys.stdout.isatty())
    for line in heading(report):
        console.print(escape(line))
    for sheet in sheets(report):
        table = Table(title=escape(sheet.title), title_justify="left", title_style="bold")
        for index, column in enumerate(sheet.columns):
            table.add_column(escape(column), justify="left" if index == 0 or column == "" else "right")
        for row in sheet.rows:
            table.add_row(*(escape(_line(cell)) for cell in row))
        console.print()
        console.print(table)


def heading(report: Report) -> list[str]:
    """Model, machine and command."""
    each, model, limits = report.environment, report.model, report.limits
    known = each.versions | ({"mpeval": f"{each.versions['mpeval']} ({each.commit})"} if each.commit else {})
    versions = ", ".join(f"{name} {version}" for name, version in known.items())
    load = f", load {each.load[0]:.2f} at the start" if each.load else ""
    rates = f"could not be timed: {_line(limits.note)}"
    if limits.copy_rate and limits.matmul_rate:
        size = limits.matmul_size
        rates = f"copies {limits.copy_rate / 1e9:.1f} GB/s, multiplies {limits.matmul_rate / 1e12:.2f} TFLOP/s "
        rates += f"(matrices of {size} x {size}, {each.dtype})"
    weights = f"{model.weight_bytes / 1e9:.2f} GB in {each.dtype}"
    return [
        f"{model.name}: {model.parameters / 1e6:,.1f} million parameters, {weights}, crops of {model.crop} px",
        f"{each.device}, {each.memory_bytes / 1e9:.1f} GB free, {each.threads} threads{load}",
        f"The device {rates}",
        f"{versions}, {each.system}",
        f"{each.date} UTC, {report.seconds:.0f} s: {each.command}",
    ]


def sheets(report: Report) -> list[Sheet]:
    """All tables that hold anything."""
    found = []
    if report.decoding:
        known = next((each for each in report.decoding if each.context), None)
        about = "" if known is None else f" behind about {known.context} tokens of context each"
        columns = ["Batch", "tokens/s", "ms a step", "of bandwidth limit", "times batch 1", "tokens", "memory", ""]
        found.append(Sheet(f"Decoding{about}", columns, [_decoding(each) for each in report.decoding]))
    if report.media:
        columns = ["Media", "crops", "prompt", "first token", "prefill of peak", "together", "samples/s", "memory", ""]
        answers = next((each.answer_tokens for each in report.media if each.answer_tokens), None)
        title = "Media" if answers is None else f"Media, answers of {answers} tokens"
        found.append(Sheet(title, columns, [_media(each) for each in report.media]))
    if report.sharing is not None:
        each = report.sharing
        times = _ratio(each.apart_seconds, each.shared_seconds)
        row = [str(each.questions), _seconds(each.shared_seconds), _seconds(each.apart_seconds), times, each.note]
        columns = ["Questions on one screen", "media shared", "each its own", "times as fast", ""]
        found.append(Sheet("Sharing media", columns, [row]))
    if report.run is not None:
        run = report.run
        columns = ["Screens", "run", "on the device", "ratio"]
        columns += ["prepared/s", "threads", "on one thread", "host memory", ""]
        row = [
            str(run.screens), _seconds(run.run_seconds), _seconds(run.device_seconds), _number(run.ratio, ".2f"),
            _number(run.prepared_a_second, ".1f"), _number(run.threads, "d"),
            _number(run.prepared_on_one_thread, ".1f"), _gigabytes(run.peak_host_bytes), run.note,
        ]  # fmt: skip
        title = "A run from pictures to stored rows, against the same tensors on the device"
        found.append(Sheet(title, columns, [row]))
    if report.goals:
        rows = [
            [each.name, each.wanted, each.measured or "-", {True: "yes", False: "no", None: "not judged"}[each.held]]
            for each in report.goals
        ]
        found.append(Sheet("Goals", ["Goal", "wanted", "measured", "held"], rows))
    return found


def _decoding(each: Decoding) -> list[str]:
    return [
        str(each.batch),
        _number(each.tokens_a_second, ".1f"),
        _number(each.step_seconds and 1e3 * each.step_seconds, ".2f"),
        _number(each.bandwidth_share, ".0%"),
        _number(each.gain, ".1f"),
        _number(each.tokens, "d"),
        _gigabytes(each.peak_bytes),
        each.note,
    ]


def _media(each: MediaCase) -> list[str]:
    width, height = each.size
    name = f"video of {each.crops} frames" if each.name == "video" and each.crops else NAMES[each.name]
    return [
        f"{name} ({width} x {height})",
        _number(each.crops, "d"),
        _number(each.prompt_tokens, "d"),
        _seconds(each.first_token_seconds),
        _number(each.peak_share, ".0%"),
        _number(each.batch, "d"),
        _number(each.samples_a_second, ".2f"),
        _gigabytes(each.peak_bytes),
        each.note,
    ]


def _line(cell: str) -> str:
    """In one line: a GPU's errors, which notes hold, have many."""
    return shortened(cell, LONGEST)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g} s" if value < 100 else f"{value:.0f} s"


def _gigabytes(value: int | None) -> str:
    return "-" if value is None else f"{value / 1e9:.2f} GB"


def _ratio(above: float | None, below: float | None) -> str:
    return f"{above / below:.1f}" if above and below else "-"
