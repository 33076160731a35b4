"""From runs and published numbers to the site's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

import mpeval
from mpeval import registry
from mpeval.errors import UserError
from mpeval.manifest import MANIFEST, read_manifest
from mpeval.scoring import benchmark_of
from mpeval.store import DATABASE, Run, find_runs
from mpeval.types import Benchmark

from ..measured import measure
from ..published import load_published
from ..specs import load_specs
from .benchmarks import write_benchmark
from .folder import MARKER, Marker, copy_assets, read_marker, replacing, write_shard
from .pictures import Media, Pictures, write_pictures
from .runs import Paired, paired_values, run_id, score_run, slug, unique, write_run
from .samples import SampleSet, find_set, write_set
from .tables import site_table, summary

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""(what, steps) -> a context that gives the function to tell of steps done."""


@dataclass
class Built:
    """What a build has to say."""

    runs: int = 0
    pictures: int = 0
    notes: list[str] = field(default_factory=list)
    """What was left out, and why; one line each."""


@dataclass
class _Found:
    """A run on the way to its pages."""

    path: Path
    id: str
    benchmark: Benchmark
    samples: SampleSet


def settings_of(runs: Path | None, media: Media | None, data_dir: str | None) -> dict[str, Any]:
    """All that a site's content depends on: options, and size and time of the runs' files."""
    files = []
    for path in find_runs([runs]) if runs else []:
        for name in (MANIFEST, DATABASE):
            if (path / name).is_file():
                stat = (path / name).stat()
                files.append([str(path.resolve() / name), stat.st_size, stat.st_mtime_ns])
    return {"media": media, "data_dir": data_dir, "files": files}


def is_current(out: Path, runs: Path | None, media: Media | None = None, data_dir: str | None = None) -> bool:
    """Whether `out` holds the site that `build_site` would write from these runs with these options."""
    marker = read_marker(out)
    return bool(
        marker and marker.mpeval == mpeval.__version__ and marker.settings == settings_of(runs, media, data_dir)
    )


def build_site(
    out: Path,
    runs: Path | None = None,
    media: Media | None = None,
    data_dir: str | None = None,
    progress: Progress = lambda what, steps: nullcontext(lambda done: None),
) -> Built:
    """Write the site into `out`, in one step at the end.

    runs: a folder above runs; None: published numbers alone. media: None leaves pictures out where the benchmark's
    licence forbids passing them on, and makes them small elsewhere. data_dir: where the benchmarks' data lie.
    Runs that cannot be read or scored are left out and named. Raises `UserError` for a place that is not ours to
    replace, and where there are no runs.
    """
    built = Built()
    settings = settings_of(runs, media, data_dir)
    with replacing(out) as folder:
        copy_assets(folder)
        found = _find(runs, built) if runs else []
        pictures = _write_sets(folder, found, media, data_dir, progress, built)
        found, lines, paired = _write_runs(folder, found, progress, built)
        _write_index(folder, found, lines, paired, pictures)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        (folder / MARKER).write_bytes(msgspec.json.encode(Marker(mpeval.__version__, now, settings)))
        built.runs = len(found)
    return built


# --- steps -----------------------------------------------------------------------------------------


def _find(runs: Path, built: Built) -> list[_Found]:
    """All runs that can be read and whose benchmark is installed, each with the set of samples that it belongs to.

    One that is damaged, or is just being begun, takes nothing away from the others.
    """
    found: list[_Found] = []
    sets: list[SampleSet] = []
    taken: set[str] = set()
    for path in find_runs([runs]):
        try:
            manifest = read_manifest(path)
            with Run.read(path) as run:
                rows = list(run.rows())
            benchmark = benchmark_of(manifest, rows)
        except UserError as error:
            built.notes.append(f"{path} left out: {error}")
            continue
        revision = str(manifest.identity["benchmark"]["revision"])
        samples = find_set(sets, manifest.benchmark, slug(Path(manifest.benchmark).name), revision, rows)
        id_ = run_id(manifest, taken)
        found.append(_Found(path, id_, benchmark, samples))
    return found


def _write_sets(
    folder: Path, found: Sequence[_Found], media: Media | None, data_dir: str | None, progress: Progress, built: Built
) -> dict[str, Pictures]:
    """Each set's pictures and samples; set -> what was written of its pictures."""
    by_set: dict[str, Pictures] = {}
    for each in found:
        samples, card = each.samples, each.benchmark.card
        if samples.id in by_set:
            continue
        chosen = media or ("thumb" if card.redistribution else "none")
        if chosen == "none":
            why = "left out (--media none)" if media else f"left out: the licence ({card.license}) may not allow them"
            pictures = Pictures("none", f"Pictures are {why}.")
        else:
            with progress(f"pictures of {card.name}", len(samples.samples)) as advance:
                pictures = write_pictures(
                    folder, samples.id, chosen, each.benchmark, samples.samples, data_dir, advance
                )
            if pictures.says:
                built.notes.append(f"{card.name}: {pictures.says}")
            if not card.redistribution:
                built.notes.append(f"{card.name}: its licence may forbid passing these pictures on ({card.license})")
        built.pictures += len(pictures.files)
        write_set(folder, samples, pictures)
        by_set[samples.id] = pictures
    return by_set


def _write_runs(
    folder: Path, found: Sequence[_Found], progress: Progress, built: Built
) -> tuple[list[_Found], list[dict[str, Any]], dict[str, list[Paired]]]:
    """The shards of each run that can be scored; gives these runs, their lines in the index, and set -> values to
    compare.
    """
    kept: list[_Found] = []
    lines: list[dict[str, Any]] = []
    paired: dict[str, list[Paired]] = {}
    if not found:
        return kept, lines, paired
    with progress("runs", len(found)) as advance:
        for each in found:
            advance(1)
            try:
                with Run.read(each.path) as run:
                    rows = [row for row in run.rows() if row.sample_id in each.samples.samples]
                    scored = score_run(run, each.id, each.benchmark, rows)
            except UserError as error:
                built.notes.append(f"{each.path} left out: {error}")
                continue
            kept.append(each)
            lines.append(write_run(folder, scored, each.benchmark, each.samples))
            default = next(iter(each.benchmark.protocols))
            values = paired_values(scored, default, each.samples.numbers())
            if values:
                paired.setdefault(each.samples.id, []).append(values)
    return kept, lines, paired


def _write_index(
    folder: Path,
    found: Sequence[_Found],
    lines: Sequence[dict[str, Any]],
    paired: dict[str, list[Paired]],
    pictures: dict[str, Pictures],
) -> None:
    """Tables, benchmarks and the index of everything."""
    specs, published = load_specs(), load_published()
    measured = measure([each.path for each in found], specs).runs if found else []
    run_ids = {str(each.path): each.id for each in found}
    tables = []
    for spec in specs:
        table = site_table(spec, published, measured, run_ids)
        if table["groups"]:
            write_shard(folder, f"tables/{slug(spec.id)}", table)
            has_runs = any(row.get("measured") for group in table["groups"] for row in group["rows"])
            tables.append({**summary(spec), "shard": slug(spec.id), "measured": has_runs})

    installed, _ = registry.all_benchmarks()
    shown = {each.benchmark.card.name: each.benchmark for each in found}
    benchmarks = []
    taken: set[str] = set()
    for name, benchmark in sorted({**installed, **shown}.items()):
        ids = [line["id"] for line in lines if line["benchmark"] == name]
        of_sets = {each.samples.id for each in found if each.benchmark.card.name == name}
        id_ = unique(slug(Path(name).name), taken)
        line = write_benchmark(
            folder, id_, benchmark, ids, {key: paired.get(key, []) for key in sorted(of_sets)}, specs
        )
        benchmarks.append({**line, "runs": len(ids)})
    benchmarks.sort(key=lambda each: not each["runs"])  # those with runs first
    write_shard(
        folder,
        "index",
        {
            "mpeval": mpeval.__version__,
            "built": datetime.now(UTC).strftime("%Y-%m-%d"),
            "paper": msgspec.to_builtins(published.paper),
            "tables": tables,
            "benchmarks": benchmarks,
            "runs": list(lines),
        },
    )
