"""How fast this program is beside the released one: `python -m mpeval.verify.speed` (see docs/performance.md).

Both run the same random weights on the same prepared queries, in whole processes that take turns, on the CPU in
float32. Their answers must be equal, token by token and point by point: it is the same work. Both answer greedily and
write the same number of tokens, since nothing ends an answer. Pictures are prepared beforehand for both: reading and
tiling are not timed.

The release's code is not part of this program: it is read from a folder and runs in a Python of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import click

from mpeval.errors import UserError
from mpeval.verify.speed_work import QUERIES, SIZES, Size, write_checkpoint, write_queries

HERE = Path(__file__).parent


def run(command: Sequence[str | Path], out: Path, what: str) -> dict[str, Any]:
    """Run one process that writes JSON to `out`. Raises `UserError` with its last words where it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["it says nothing"]
        raise UserError(f"{what} ended with status {done.returncode}: {said[-1]}")
    return json.loads(out.read_text())


def compare(release: dict[str, Any], ours: dict[str, Any], numbers: Sequence[int]) -> int:
    """Tokens in which both were compared. Raises `UserError` where they differ: then the times mean nothing."""
    compared = 0
    for place, number in enumerate(numbers):
        expected = release["ids"][place]
        batch = ours["apart" if number < QUERIES else "together"]["ids"][number % QUERIES]
        for how, found in (("alone", ours["alone"]["ids"][place]), ("in a batch", batch)):
            if found != expected:
                shorter = min(len(found), len(expected))
                at = next((i for i in range(shorter) if found[i] != expected[i]), shorter)
                raise UserError(f"query {number} {how} is answered differently from token {at} on: not the same work")
            compared += len(expected)
    return compared


def beside(which: str, theirs: dict[str, float], ours: dict[str, float]) -> str:
    """How many times as fast, by wall time and by processor time: on a busy machine the latter is the steadier one."""
    processor = f"{which}_processor"
    return f"{theirs[which] / ours[which]:.2f} ({theirs[processor] / ours[processor]:.2f} by processor time)"


def ratios(release: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]], tokens: int) -> list[str]:
    """The lines that are printed, from the medians over all processes."""

    def middle(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
        every = [times for run in runs for times in run["times"]]
        return {which: median(times[which] for times in every) for which in every[0]}

    theirs, alone = middle(release), middle([run["alone"] for run in ours])
    lines = [
        f"release, one at a time: first token {theirs['first']:.3f} s, {(tokens - 1) / theirs['decode']:.1f} tokens/s "
        f"in decoding, {1 / theirs['all']:.3f} samples/s",
        f"ours, one at a time:    first token {alone['first']:.3f} s, {(tokens - 1) / alone['decode']:.1f} tokens/s "
        f"in decoding, {1 / alone['all']:.3f} samples/s: {beside('decode', theirs, alone)} times the tokens/s, "
        f"{beside('all', theirs, alone)} times the samples/s",
    ]
    for part, what in (("apart", f"{QUERIES} pictures"), ("together", f"{QUERIES} questions on one picture")):
        every = [run[part]["times"] for run in ours]
        taken = {which: median(times[which] for times in every) for which in every[0]}
        each = {which: seconds / QUERIES for which, seconds in taken.items()}
        lines.append(
            f"ours, {what} together: {1 / each['all']:.3f} samples/s, {beside('all', theirs, each)} times the "
            f"release's; {100 * taken['first'] / taken['all']:.0f} % of the time is prefill"
        )
    return lines


def measure(name: str, size: Size, release: Path, python: Path, folder: Path, rounds: int) -> list[str]:
    """Time one size; returns the lines that are printed."""
    parameters = write_checkpoint(folder, size)
    queries = folder / "queries.npz"
    length = write_queries(queries, size)
    threads = size.threads or len(os.sched_getaffinity(0))
    numbers = [*range(size.asked), QUERIES + 1]
    common = ["--tokens", str(size.tokens), "--threads", str(threads)]
    release_out, our_out = folder / "release.json", folder / "ours.json"
    theirs_command: list[str | Path] = [python, HERE / "speed_release.py", release, folder, queries, release_out]
    theirs_command += [*common, "--queries", *map(str, numbers)]
    our_command: list[str | Path] = [sys.executable, "-m", "mpeval.verify.speed_ours", folder, queries, our_out]
    our_command += common
    our_command += [word for number in numbers for word in ("--alone", str(number))]
    theirs, ours, compared = [], [], 0
    for _ in range(rounds):
        theirs.append(run(theirs_command, release_out, "the release"))
        ours.append(run(our_command, our_out, "this program"))
        compared += compare(theirs[-1], ours[-1], numbers)
    versions = ", ".join(f"{key} {value}" for key, value in theirs[0]["versions"].items())
    return [
        f"{name}: {parameters / 1e6:.1f}M parameters, prompts of {length} tokens, answers of {size.tokens}, {threads} "
        f"threads, {rounds} processes of each; release: {versions}; ours: torch {ours[0]['versions']['torch']}",
        f"{compared} tokens compared: all equal",
        *ratios(theirs, ours, size.tokens),
    ]


_FOLDER = click.Path(path_type=Path, exists=True)


@click.command()
@click.option("--release", required=True, type=_FOLDER, help="Folder of the release's modeling_molmo_point.py.")
@click.option("--python", required=True, type=_FOLDER, help="A Python with what that needs.")
@click.option("--size", "names", multiple=True, type=click.Choice(list(SIZES)), default=list(SIZES), show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), help="Processes of each program. [5 for parity, 3 for 0.5b]")
@click.option("--work", type=click.Path(path_type=Path), help="Where the models are written. [a temporary folder]")
def main(release: Path, python: Path, names: Sequence[str], rounds: int | None, work: Path | None) -> None:
    """Time this program beside the released one, whose own code is run: read it first."""
    if not (release / "modeling_molmo_point.py").exists():
        raise click.ClickException(f"{release} holds no modeling_molmo_point.py: give olmo/hf_model of allenai/molmo2")
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            size = SIZES[name]
            try:
                lines = measure(name, size, release, python, (work or Path(temporary)) / name, rounds or size.rounds)
            except UserError as error:
                raise click.ClickException(str(error)) from error
            click.echo("\n".join(lines))


if __name__ == "__main__":
    main()
