"""How often bfloat16 answers otherwise than float32: `python -m mpeval.verify.rounding` (see docs/performance.md).

Greedy answers of one model to the same questions in both types. bfloat16 keeps 8 bits of a number, and where two tokens
are nearly as likely the other one may win; from there on the answers differ. A trained model is asked a benchmark's
questions; random weights, whose likely tokens lie close together, show the worst case.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from mpeval.errors import UserError

TYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class Answer:
    tokens: tuple[object, ...]
    """The words of a text, or token ids with what they select."""
    points: tuple[tuple[float, ...], ...] = ()
    """x, y and, in a video, seconds."""


def report(full: Sequence[Answer], half: Sequence[Answer], unit: str) -> list[str]:
    """The lines that are printed. unit: what an answer's tokens are."""
    differing = [pair for pair in zip(full, half, strict=True) if pair[0] != pair[1]]
    compared = sum(_compared(ours.tokens, theirs.tokens) for ours, theirs in zip(full, half, strict=True))
    changed = sum(ours.tokens != theirs.tokens for ours, theirs in differing)
    lines = [f"{len(differing)} of {len(full)} answers differ ({100 * len(differing) / len(full):.1f} %)"]
    if changed:
        lines.append(f"an answer's first difference comes once in {compared / changed:.0f} {unit}")
    distances = [
        max(abs(a - b) for a, b in zip(mine[:2], other[:2], strict=True))
        for ours, theirs in differing
        if len(ours.points) == len(theirs.points)
        for mine, other in zip(ours.points, theirs.points, strict=True)
        if mine != other
    ]
    if distances:
        distances.sort()
        lines.append(
            f"{len(distances)} points moved in answers with as many points: by {distances[len(distances) // 2]:.1f} "
            f"pixels (median), {distances[-1]:.1f} at most"
        )
    return lines


def _compared(ours: Sequence[object], theirs: Sequence[object]) -> int:
    """How many tokens there are up to the first that differs, which counts."""
    for place, (one, other) in enumerate(zip(ours, theirs)):
        if one != other:
            return place + 1
    return max(len(ours), len(theirs))


def ask_benchmark(model: str, benchmark: str, limit: int | None, device: str, dtype: str) -> list[Answer]:
    """Answers to a benchmark's questions, asked as its default protocol asks."""
    from mpeval import registry
    from mpeval.runner import select
    from mpeval.types import Query

    asked = registry.benchmark(benchmark)
    protocol = next(iter(asked.protocols.values()))
    adapter = registry.load_model(model, registry.ModelOptions(device=device, dtype=dtype))
    samples = [sample for _, sample in select(asked.samples(), limit)]
    names = (protocol.elicitation, *protocol.also)
    possible = [asked.elicitations[name] for name in names]
    can_force = adapter.capabilities.force_single_point
    elicitation = next((each for each in possible if can_force or not each.force_single_point), None)
    if elicitation is None:
        raise UserError(f"{model} cannot be asked as {benchmark} asks: take another of either")
    queries = [Query(each.id, each.media, elicitation.prompt(each), elicitation) for each in samples]
    predictions = adapter.generate([adapter.prepare(query) for query in queries])
    return [
        Answer(
            tuple((each.text + (each.error or "")).split()),
            tuple((p.x, p.y) if p.time is None else (p.x, p.y, p.time) for p in each.points),
        )
        for each in predictions
    ]


def ask_random(size: str, device: str, dtype: str, folder: Path) -> list[Answer]:
    """Token ids of random weights of a size, with what each selects."""
    import numpy as np
    import torch

    from mpeval.engine.checkpoint import load_model
    from mpeval.engine.device import choose_device
    from mpeval.engine.generate import GenerationInput, generate
    from mpeval.verify.speed_work import QUERIES, SIZES, write_checkpoint, write_queries

    if not (folder / "config.json").exists():
        write_checkpoint(folder, SIZES[size])
        write_queries(folder / "queries.npz", SIZES[size])
    model = load_model(folder, device=choose_device(device), dtype=getattr(torch, dtype))
    with np.load(folder / "queries.npz") as file:
        arrays = {name: file[name][:QUERIES] for name in ("ids", "pixels", "pooling")}
    samples = [
        GenerationInput(ids.tolist(), pixels, pooling) for ids, pixels, pooling in zip(*arrays.values(), strict=True)
    ]
    answers = generate(model, samples, SIZES[size].tokens, ())
    return [Answer(tuple(zip(each.ids, each.choices, strict=True))) for each in answers]


@click.command()
@click.option("--model", default="molmopoint-tiny", show_default=True, help="A model from `mpeval list models`.")
@click.option("--benchmark", "benchmarks", multiple=True, help="Whose questions it is asked; may be given again.")
@click.option("--size", type=click.Choice(["parity", "0.5b"]), help="Random weights in place of a model.")
@click.option("--limit", type=click.IntRange(min=1), help="Questions of a benchmark at most.")
@click.option("--device", default="auto", show_default=True)
def main(model: str, benchmarks: Sequence[str], size: str | None, limit: int | None, device: str) -> None:
    """Count the greedy answers that bfloat16 changes."""
    try:
        if size is not None:
            with tempfile.TemporaryDirectory() as folder:
                full, half = (ask_random(size, device, dtype, Path(folder)) for dtype in TYPES)
            click.echo(f"random weights, {size}")
            click.echo("\n".join(report(full, half, "tokens")))
        for benchmark in benchmarks or ([] if size else ["demo-points"]):
            full, half = (ask_benchmark(model, benchmark, limit, device, dtype) for dtype in TYPES)
            click.echo(f"{model}, {benchmark}")
            click.echo("\n".join(report(full, half, "words")))
    except UserError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
