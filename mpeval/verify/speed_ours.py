"""Time this program on prepared queries, alone and together. `speed.py` starts it; see there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mpeval.verify.speed_release import Stamp, now, times_of
from mpeval.verify.speed_work import QUERIES


class Watch:
    """Notes when a model has the scores of a step."""

    def __init__(self, model: Any) -> None:
        self.stamps: list[Stamp] = []
        inner = model.logits

        def logits(hidden: Any) -> Any:
            scores = inner(hidden)
            self.stamps.append(now())
            return scores

        model.logits = logits

    def time(self, work: Any) -> tuple[Any, dict[str, float]]:
        """What `work` returns, and its times."""
        self.stamps.clear()
        begun = now()
        result = work()
        return result, times_of(begun, self.stamps, now())


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("queries", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--alone", type=int, multiple=True, required=True, help="Queries that are answered alone.")
@click.option("--tokens", type=int, required=True, help="Tokens of each answer.")
@click.option("--threads", type=int, required=True)
def main(
    checkpoint: Path, queries: Path, out: Path, alone: tuple[int, ...], tokens: int, threads: int
) -> None:
    """Answer some queries alone, then 16 pictures together, then 16 questions on one picture together."""
    import numpy as np
    import torch

    from mpeval.engine.checkpoint import load_model
    from mpeval.engine.generate import GenerationInput, generate
    from mpeval.grounding.semantics import HF
    from mpeval.verify.trace import extended_id

    torch.set_num_threads(threads)
    model = load_model(checkpoint, HF)
    with np.load(queries) as file:
        arrays = {name: file[name] for name in file.files}
    samples = [
        GenerationInput(ids.tolist(), pixels, pooling)
        for ids, pixels, pooling in zip(arrays["ids"], arrays["pixels"], arrays["pooling"], strict=True)
    ]
    d = model.config.decoder
    sizes = (len(samples[0].pooling) + 1, samples[0].pooling.shape[1])

    def answer(batch: list[GenerationInput], count: int) -> list[list[int]]:
        """The release's extended ids."""
        return [
            [
                extended_id(token, choice, d.vocabulary + d.extra_vocabulary, sizes, model.config.tokens)
                for token, choice in zip(each.ids, each.choices, strict=True)
            ]
            for each in generate(model, batch, count, ())
        ]

    watch = Watch(model)
    answer(samples[:1], 3)  # warms up
    single = [watch.time(lambda index=index: answer([samples[index]], tokens)) for index in alone]
    apart = watch.time(lambda: answer(samples[:QUERIES], tokens))
    on_one = [replace(each, media="the first") for each in samples[QUERIES:]]
    together = watch.time(lambda: answer(on_one, tokens))
    found = {
        "alone": {"ids": [ids[0] for ids, _ in single], "times": [times for _, times in single]},
        "apart": {"ids": apart[0], "times": apart[1]},
        "together": {"ids": together[0], "times": together[1]},
        "versions": {"torch": torch.__version__},
    }
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
