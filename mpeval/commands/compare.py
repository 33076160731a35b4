"""`mpeval compare`: two runs on the same samples, how they differ and how sure that is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from mpeval import report
from mpeval.comparison import Comparison, Flip, Side, compare_runs, match_runs
from mpeval.errors import UserError
from mpeval.text import printable, shortened

if TYPE_CHECKING:
    from rich.table import Table

_FLIPS = 3
"""Samples that are printed of those on which B is better, and of those on which it is worse."""

_LONGEST_ANSWER = 60
"""Characters of an answer that is printed."""


_COSTS = ("tokens\na point", "seconds\na sample", "points\na second")


@click.command(name="compare")
@click.argument("run_a", type=click.Path(path_type=Path))
@click.argument("run_b", type=click.Path(path_type=Path))
@click.option("--protocol", metavar="P", help="Default: the protocol that RUN_A was made for.")
@click.option("--metric", metavar="M", help="Default: the protocol's headline; macro_M_by_SLICE for a macro average.")
@click.option("--flips", "file", type=click.Path(path_type=Path), metavar="FILE", help="Write all differing samples.")
@click.option("--seed", default=0, show_default=True, help="Of the permutations.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON, all differing samples included.")
def command(
    run_a: Path, run_b: Path, protocol: str | None, metric: str | None, file: Path | None, seed: int, as_json: bool
) -> None:
    """Compare RUN_B with RUN_A on the samples that both have.

    Each is a run's folder, or a folder above runs, which are then paired by benchmark. The difference is B minus A,
    with a 95 % interval and the p-value of a permutation test; samples of one picture or video count as one cluster.
    FILE gets one JSON object a line.
    """
    pairs, lacking = match_runs(run_a, run_b)
    results = [compare_runs(a, b, protocol, metric, seed) for a, b in pairs]
    if file is not None:
        _write(file, results)
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(results), indent=2) + b"\n")
        return
    if len(results) == 1:
        _print_one(results[0])
    else:
        report.print_table(_overview(results))
        for result in results:
            for line in [*_left_out(result), *result.remarks]:
                print(printable(f"{result.benchmark}: {line}"))
    for line in lacking:
        print(printable(line))


def _write(file: Path, results: Sequence[Comparison]) -> None:
    try:
        with file.open("wb") as out:
            for result in results:
                for flip in result.flips:
                    line = {"benchmark": result.benchmark, "metric": result.metric, **msgspec.to_builtins(flip)}
                    out.write(msgspec.json.encode(line) + b"\n")
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror or error}") from error


def _print_one(result: Comparison) -> None:
    head = f"{result.benchmark}, protocol {result.protocol}: {result.metric} in % with 95 % intervals"
    print(printable(f"{head}; paired samples: {result.samples}, pictures or videos: {result.clusters}"))
    report.print_table(_sides(result))
    difference, interval = _difference(result)
    how = f"95 % interval {interval}" if result.interval else f"{interval}: all samples are of one cluster"
    print(f"B - A: {difference} ({how}) points, {_p_value(result)}")
    print(f"Samples on which B is better: {result.wins}, worse: {result.losses}, equal: {result.ties}")
    for line in [*_left_out(result), *result.remarks]:
        print(printable(line))
    won = [flip for flip in result.flips if flip.values[1] > flip.values[0]]
    lost = [flip for flip in result.flips if flip.values[1] < flip.values[0]]
    for how, flips in (("better", won), ("worse", lost)):
        if flips:
            print(f"The first on which B is {how}:")
        for flip in flips[:_FLIPS]:
            print(_flip(flip))
    if len(result.flips) > min(len(won), _FLIPS) + min(len(lost), _FLIPS):
        print(f"--flips FILE writes all {len(result.flips)} that differ")


def _sides(result: Comparison) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("")
    table.add_column("model")
    for head in (escape(printable(result.metric)), *_COSTS):
        table.add_column(head, justify="right")
    table.add_column("device")
    for letter, side in (("A", result.a), ("B", result.b)):
        interval = f"\n{100 * side.interval[0]:.1f} to {100 * side.interval[1]:.1f}" if side.interval else ""
        table.add_row(
            letter,
            escape(printable(side.model)),
            f"{100 * side.value:.1f}{interval}",
            *_costs(side),
            escape(printable(f"{side.device} {side.dtype}, batches of {side.batch_size or 'any size'}")),
        )
    return table


def _overview(results: Sequence[Comparison]) -> Table:
    """One row a benchmark."""
    from rich.markup import escape
    from rich.table import Table

    table = Table()
    table.add_column("benchmark\nmetric, protocol")
    for head in ("A\nin %", "B\nin %", "B - A, points\n95 % interval", "p", "better, worse,\nequal", "clusters"):
        table.add_column(head, justify="right")
    for head in _COSTS:
        table.add_column(f"{head}\nA, B", justify="right")
    for result in results:
        sides = (result.a, result.b)
        table.add_row(
            escape(printable(result.benchmark)) + "\n" + escape(printable(f"{result.metric}, {result.protocol}")),
            *(f"{100 * side.value:.1f}" for side in sides),
            "\n".join(_difference(result)),
            _short_p(result),
            f"{result.wins}, {result.losses},\n{result.ties}",
            str(result.clusters),
            *("\n".join(both) for both in zip(*map(_costs, sides))),
        )
    return table


def _costs(side: Side) -> tuple[str, str, str]:
    return (
        _number(side.tokens_per_point, ".1f"),
        _number(side.seconds_per_sample, ".3g"),
        _number(side.points_per_second, ".3g"),
    )


def _difference(result: Comparison) -> tuple[str, str]:
    """B minus A in points, and its interval."""
    ends = result.interval and "{:+.1f} to {:+.1f}".format(*(100 * end for end in result.interval))
    return f"{100 * result.difference:+.1f}", ends or "no interval"


def _p_value(result: Comparison) -> str:
    how = f"all {result.sign_patterns}" if result.exact else f"{result.sign_patterns:,} drawn"
    return f"p = {_short_p(result)} ({how} sign patterns of whole clusters)"


def _short_p(result: Comparison) -> str:
    return f"{result.p_value:.4f}" if result.p_value < 0.1 else f"{result.p_value:.2f}"


def _left_out(result: Comparison) -> list[str]:
    if not result.only_a + result.only_b:
        return []
    return [f"not paired, and left out: {result.only_a} samples that only A has, {result.only_b} that only B has"]


def _flip(flip: Flip) -> str:
    values = " -> ".join(f"{value:.3g}" for value in flip.values)
    texts = [shortened(text, _LONGEST_ANSWER) or "(no text)" for text in flip.texts]
    return f"  {printable(flip.sample_id)}: {values}\n    A: {texts[0]}\n    B: {texts[1]}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
