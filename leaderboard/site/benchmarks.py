"""A page a benchmark: its card, its protocols, its runs, how they differ, and the published tables that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from mpeval.types import Benchmark

from ..specs import TableSpec
from .folder import write_shard
from .runs import Paired, difference
from .samples import SIZE_BINS
from .tables import benchmarks_of

MOST_PAIRS = 200
"""Of runs on one benchmark: each difference takes up to a second."""


def write_benchmark(
    folder: Path,
    id_: str,
    benchmark: Benchmark,
    run_ids: Sequence[str],
    paired: Mapping[str, Sequence[Paired]],
    specs: Sequence[TableSpec],
) -> dict[str, Any]:
    """Write a benchmark's shard; gives its line in the index. paired: for each set of samples, its runs."""
    card = benchmark.card
    pairs = [pair for runs in paired.values() for pair in combinations(runs, 2)]
    differences = [found for a, b in pairs[:MOST_PAIRS] if (found := difference(a, b))]
    write_shard(
        folder,
        f"benchmarks/{id_}",
        {
            "card": msgspec.to_builtins(card),
            "protocols": [msgspec.to_builtins(spec) for spec in benchmark.protocols.values()],
            "elicitations": [msgspec.to_builtins(each) for each in benchmark.elicitations.values()],
            "runs": list(run_ids),
            "size_bins": SIZE_BINS,
            "differences": differences,
            "tables": tables_with(card.name, specs),
        },
    )
    return {"id": id_, "name": card.name, "title": card.title, "size": card.size, "media": card.media}


def tables_with(benchmark: str, specs: Sequence[TableSpec]) -> list[str]:
    """Ids of the tables that have a column of this benchmark."""
    return [spec.id for spec in specs if any(benchmark in benchmarks_of(column) for column in spec.columns)]
