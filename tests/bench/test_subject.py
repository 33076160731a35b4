"""Batches timed one behind the other in a stream."""

from __future__ import annotations

import pytest

import mpeval.engine.generate as engine
from mpeval.bench.clock import MOST_REPEATS
from mpeval.bench.pictures import picture
from mpeval.bench.subject import checked, sample_of, time_waves, unshared
from mpeval.errors import UserError
from mpeval.registry import ModelOptions, resolve_model

from .subjects import tiny


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (3, 4)])
def test_batches_are_timed_apart_from_the_one_that_warms_up(batch: int, tokens: int, monkeypatch) -> None:
    taken: list[int] = []
    original = engine.generate_stream

    def watched(model, samples, slots, rules):
        assert (slots, rules.max_new_tokens, rules.stop_ids) == (batch, tokens, ())
        for number, generation in original(model, samples, slots, rules):
            assert len(generation.ids) == tokens, "nothing ends an answer early"
            taken.append(number)
            yield number, generation

    monkeypatch.setattr(engine, "generate_stream", watched)
    sample = unshared(sample_of(tiny(), picture((60, 40)), 2))
    timing = time_waves(tiny(), sample, batch, tokens, 1e6)
    assert timing.repeats == MOST_REPEATS and timing.seconds > 0
    assert sorted(taken) == list(range(batch * (1 + MOST_REPEATS)))
    taken.clear()
    assert time_waves(tiny(), sample, batch, tokens, 0.0).repeats == 0
    assert len(taken) == batch, "the first batch is what there is time for"


def test_a_model_that_runs_elsewhere_cannot_be_measured() -> None:
    entry, argument = resolve_model("center")
    with pytest.raises(UserError, match="center does not run on the built-in engine"):
        checked(entry.load(argument, ModelOptions()))
