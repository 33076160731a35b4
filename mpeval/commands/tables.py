"""`mpeval tables`: the paper's tables from published numbers, with our runs as new rows, and their check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mpeval.errors import UserError
from mpeval.leaderboard.formats import FORMATS

if TYPE_CHECKING:
    from mpeval.leaderboard.published import Published
    from mpeval.leaderboard.specs import TableSpec


@click.command(name="tables")
@click.argument("table", metavar="[ID|all]", default="all")
@click.option("--format", "format_", type=click.Choice(FORMATS), default="md", show_default=True)
@click.option("--runs", type=click.Path(path_type=Path), metavar="DIR", help="Add rows from the runs in this folder.")
@click.option("--check", is_flag=True, help="Recompute what follows from printed numbers; list what does not add up.")
def command(table: str, format_: str, runs: Path | None, check: bool) -> int:
    """Tables as the paper prints them: best in bold, second underlined, a dash for what is missing.

    ID is a table's number or name, as `mpeval list tables` shows them. With --runs, our runs stand below the
    published rows, with their protocol and what it differs in. With --check, exit status 1 for anything that does
    not add up beyond the slips that are known.
    """
    from mpeval.leaderboard.published import load_published
    from mpeval.leaderboard.specs import find_spec, load_specs

    if check and runs:
        raise UserError("--check looks at published numbers alone: leave --runs out, or --check")
    specs, published = load_specs(), load_published()
    chosen = specs if table == "all" else [find_spec(table, specs)]
    if check:
        return _check(chosen, specs, published)
    _print(chosen, published, format_, runs)
    return 0


def _print(chosen: list[TableSpec], published: Published, format_: str, folder: Path | None) -> None:
    from mpeval.leaderboard.build import build_table
    from mpeval.leaderboard.formats import write
    from mpeval.leaderboard.measured import measure

    runs, left_out = measure([folder], chosen) if folder else ([], [])
    tables = [build_table(spec, published, runs) for spec in chosen]
    filled = [each for each in tables if each.groups]
    if not filled:
        hint = f"no run in {folder} is on its benchmarks" if folder else "give --runs DIR"
        raise UserError(f"table '{tables[0].id}' holds measured rows alone: {hint}")
    click.echo(write(filled, format_), nl=False)
    if left_out:
        benchmarks = ", ".join(sorted({manifest.benchmark for manifest in left_out}))
        click.echo(f"mpeval: runs left out, for no column here shows their benchmark: {benchmarks}", err=True)


def _check(chosen: list[TableSpec], specs: list[TableSpec], published: Published) -> int:
    """List known slips of the chosen tables, and whatever no slip explains; 1 where there is such."""
    from mpeval.leaderboard.check import check_tables
    from mpeval.leaderboard.claims import check_claims, load_claims

    claims = load_claims()
    findings = {each.id: each for each in [*check_tables(specs, published), *check_claims(claims, published)]}
    ids = {spec.id for spec in chosen}
    declared = {name for slip in published.slips for name in slip.finds}
    for slip in published.slips:
        if ids.isdisjoint(slip.tables):
            continue
        click.echo(f"known slip, table {' and '.join(slip.tables)}: {slip.says}")
        for name in slip.finds:
            if name in findings:
                click.echo(f"    {findings[name].where}: {findings[name].says}")
    new = [finding for name, finding in findings.items() if name not in declared]
    gone = sorted(declared - set(findings))
    for finding in new:
        click.echo(f"NOT KNOWN: {finding.where}: {finding.says} [{finding.id}]")
    for name in gone:
        click.echo(f"NOT FOUND: slips.toml explains '{name}', which adds up")
    click.echo(
        f"{sum(1 for _ in published.numbers())} numbers and {len(claims)} statements checked: "
        f"{len(findings)} findings, {len(findings) - len(new)} of them known"
    )
    return 1 if new or gone else 0
