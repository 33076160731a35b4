"""`mpeval score`: score stored predictions again, under any protocol, without model and dataset."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import msgspec

from mpeval import registry, report
from mpeval.scoring import Result, protocol_of, score
from mpeval.store import Run, find_runs


@click.command(name="score")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--protocol", metavar="P|all", help="Default: the protocol that the run was made for.")
@click.option("--json", "as_json", is_flag=True, help="Print results as JSON, slices included.")
def command(runs: tuple[Path, ...], protocol: str | None, as_json: bool) -> None:
    """Score stored predictions again; no model is loaded.

    RUNS are run folders, or folders above them. "scorer only" marks a protocol that would have asked in
    another way than the run did; "unverified" one without a fixture from its source.
    """
    results = [_score(path, protocol) for path in find_runs(runs)]
    if as_json:
        flat = [result for of_run in results for result in of_run]
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(flat), indent=2) + b"\n")
        return
    for of_run in results:
        print(f"{of_run[0].model} on {of_run[0].benchmark}: {of_run[0].path}")
        report.print_table(report.protocol_table(of_run))
        for line in report.remarks(of_run) + report.departures(of_run):
            print(line)


def _score(path: Path, protocol: str | None) -> list[Result]:
    with Run.read(path) as run:
        benchmark = registry.benchmark(run.manifest.benchmark)
        if protocol == "all":
            protocols = list(benchmark.protocols.values())
        else:
            protocols = [protocol_of(benchmark, protocol or run.manifest.protocol)]
        return [score(run, benchmark, each) for each in protocols]
