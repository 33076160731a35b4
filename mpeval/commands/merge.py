"""`mpeval merge`: shards of a run joined into one."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from mpeval.disk import check_writable
from mpeval.merging import Merged, MissingPart, merge
from mpeval.text import printable


@click.command(name="merge")
@click.argument("runs", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="As of 'mpeval run': where the run goes.")
@click.option("--fresh", is_flag=True, help="Throw an earlier merge in --out away and begin again.")
@click.option("--json", "as_json", is_flag=True, help="Print what was merged and what is missing as JSON.")
def command(runs: tuple[Path, ...], out: Path, fresh: bool, as_json: bool) -> int:
    """Join the shards of a run ('mpeval run --shard I/N') into one run, as if it had been left alone.

    DIR are shards' folders, or folders above them: one model on one benchmark, asked in one way. What is missing is
    named, and the exit status is then 1; merge again when it is there. Samples that failed in one folder and were
    answered in another count as answered.
    """
    check_writable(out)
    merged = merge(runs, out, fresh)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(merged), indent=2) + b"\n")
    else:
        print("\n".join(map(printable, _lines(merged))))
    return 0 if merged.whole else 1


def _lines(merged: Merged) -> list[str]:
    name = f"{merged.model} on {merged.benchmark}"
    lines = [f"{name}: {merged.samples} of {merged.expected} samples from {merged.runs} folders in {merged.path}"]
    lines += [f"  {_missing(each)}" for each in merged.missing]
    if merged.samples < merged.expected:
        lines.append(f"UNFINISHED: {merged.expected - merged.samples} samples are missing; then merge again")
    if merged.failed:
        lines.append(f"{merged.failed} samples FAILED; a shard's own command asks them again")
    return lines


def _missing(part: MissingPart) -> str:
    name = f"shard {part.shard} of {part.of} samples" if part.shard else "a run"
    if part.path is None:
        return f"{name} is missing: no folder of it was given"
    go_on = f"; go on with: {part.command}" if part.command else ""
    return f"{name} has {part.samples} of its {part.expected} in {part.path}{go_on}"
