"""`mpeval list`: what is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
import msgspec

from mpeval import registry
from mpeval.leaderboard.specs import load_titles
from mpeval.registry import Broken, ModelEntry
from mpeval.types import Benchmark

KINDS = ("models", "benchmarks", "suites", "protocols", "tables")


@click.command(name="list")
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """Models, benchmarks, suites, protocols and tables that are installed.

    A plugin that cannot be imported is named on stderr; the rest is listed.
    """
    wanted = (kind,) if kind else KINDS
    found, broken = _collect(wanted)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_table(each, found[each]) for each in wanted))
    for plugin in broken:
        click.echo(f"mpeval: {plugin}", err=True)


def _collect(wanted: Sequence[str]) -> tuple[dict[str, list[dict[str, Any]]], list[Broken]]:
    """What is installed of each kind, as JSON values, and the plugins that are broken."""
    models: dict[str, ModelEntry] = {}
    benchmarks: dict[str, Benchmark] = {}
    broken: list[Broken] = []
    if "models" in wanted:
        models, broken_models = registry.all_models()
        broken += broken_models
    if set(wanted) - {"models", "tables"}:
        benchmarks, broken_benchmarks = registry.all_benchmarks()
        broken += broken_benchmarks
    rows = {
        "models": [_model_row(each) for each in models.values()],
        "benchmarks": [_benchmark_row(each) for each in benchmarks.values()],
        "suites": [
            {"name": name, "benchmarks": [each.card.name for each in members]}
            for name, members in registry.suites(benchmarks.values()).items()
        ],
        "protocols": [
            {"benchmark": each.card.name, **msgspec.structs.asdict(protocol)}
            for each in benchmarks.values()
            for protocol in each.protocols.values()
        ],
        "tables": [msgspec.structs.asdict(each) for each in load_titles()] if "tables" in wanted else [],
    }
    return {kind: rows[kind] for kind in wanted}, broken


def _model_row(entry: ModelEntry) -> dict[str, Any]:
    return {"name": entry.name, "argument": entry.argument, "description": entry.description}


def _benchmark_row(benchmark: Benchmark) -> dict[str, Any]:
    return {**msgspec.structs.asdict(benchmark.card), "protocols": list(benchmark.protocols)}


def _table(kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """A heading and aligned lines."""
    if not rows:
        return f"{kind.capitalize()}\n  none installed"
    cells = [_cells(kind, row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in cells)
    return "\n".join([kind.capitalize(), *(f"  {line}" for line in lines)])


def _cells(kind: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    match kind:
        case "models":
            return row["name"] + (f":{row['argument']}" if row["argument"] else ""), row["description"]
        case "benchmarks":
            samples = "?" if row["size"] is None else str(row["size"])
            return row["name"], f"{samples} samples", row["title"], ", ".join(row["protocols"])
        case "suites":
            return row["name"], ", ".join(row["benchmarks"])
        case "tables":
            return row["id"], row["name"], row["title"]
        case _:
            proof = "verified" if row["verified"] else "unverified"
            return row["benchmark"], row["name"], proof, row["source"]
