"""Captured steps: on a CPU a stand-in replays the step's own Python, on the same tensors at the same addresses."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
import torch

from mpeval.engine import capture, decoding, generate
from mpeval.engine.capture import CapturedSteps
from mpeval.engine.generate import Rules
from mpeval.grounding.semantics import HF, NATIVE

from .test_generate import pointing_model
from .test_stream import alone, mixed, one_thread, streamed, text_input, varied_ends
from .tiny_config import random_model

__all__ = ["one_thread"]


class Recorded:
    """Stands for CUDA graphs: the step that was captured is what is replayed, with the tensors it had then."""

    def __init__(self) -> None:
        self.captured: list[object] = []
        self.replayed = 0

    def __call__(self, step: Callable[[], None]) -> Callable[[], None]:
        self.captured.append(step)

        def replay() -> None:
            self.replayed += 1
            step()

        return replay


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """Streams capture their steps, for spans of 16 positions, and look for answers as rarely as on a GPU."""
    graphs = Recorded()
    monkeypatch.setattr(generate, "CapturedSteps", lambda device: CapturedSteps(device, graphs))
    monkeypatch.setitem(decoding.SPANS, "cpu", 16)
    monkeypatch.setitem(generate.STEPS_BETWEEN_LOOKS, "cpu", 8)
    return graphs


@pytest.mark.parametrize("semantics", [NATIVE, HF], ids=lambda s: s.name)
def test_captured_steps_answer_like_one_at_a_time(semantics, recorded: Recorded, monkeypatch: pytest.MonkeyPatch):
    model, samples = pointing_model(semantics, seed=1), mixed(14)
    how = Rules(24, varied_ends(streamed(model, samples, 8, Rules(24, ()))))
    recorded.captured.clear()
    recorded.replayed = 0
    together = streamed(model, samples, 4, how)
    assert 3 <= len(recorded.captured) < recorded.replayed
    monkeypatch.setattr(generate, "CapturedSteps", CapturedSteps)
    assert together == alone(model, samples, how)


def test_a_step_leaves_every_tensor_where_it_is(recorded: Recorded):
    """A graph writes to the addresses that it was captured with, whatever Python's names mean by then."""
    model = pointing_model(seed=1)
    addresses: list[set[int]] = []
    step = generate._Stream._advance

    def noted(self, table, span) -> None:
        held = [table.ids, table.choices, table.written, table.place, table.stuck, *vars(table.pending).values()]
        held += [table.decoding.lengths, table.decoding.alive, table.decoding.rows, *table.decoding.cache.layers[0]]
        held += [each for each in vars(table.decoding.state).values() if isinstance(each, torch.Tensor)]
        addresses.append({each.data_ptr() for each in held})
        step(self, table, span)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate._Stream, "_advance", noted)
        streamed(model, mixed(8)[:6], 6, Rules(20, ()))
    assert len(addresses) > 10 and all(each == addresses[0] for each in addresses[1:])
    assert len(addresses[0]) == 5 + 4 + 3 + 2 + 8, "no two of them share memory"


def test_a_longer_sample_makes_old_graphs_worthless(recorded: Recorded):
    """The cache grows, and lies somewhere else then."""
    model, samples = random_model(), [text_input(0, 5), text_input(1, 6), text_input(2, 90)]
    assert streamed(model, samples, 1, Rules(12, ())) == alone(model, samples, Rules(12, ()))
    assert len(recorded.captured) >= 2


def test_what_cannot_be_captured_runs_as_it_is(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    def refuse(step: Callable[[], None]) -> Callable[[], None]:
        raise RuntimeError("operation not permitted when stream is capturing\nand a long trace")

    monkeypatch.setattr(generate, "CapturedSteps", lambda device: CapturedSteps(device, refuse))
    model, samples = pointing_model(seed=1), mixed(4)
    with caplog.at_level(logging.WARNING):
        ours = streamed(model, samples, 2, Rules(10, ()))
    assert [record.getMessage() for record in caplog.records] == [
        "decoding goes on without CUDA graphs, which is slower: operation not permitted when stream is capturing"
    ]
    monkeypatch.setattr(generate, "CapturedSteps", CapturedSteps)
    assert ours == alone(model, samples, Rules(10, ()))


def test_graphs_are_kept_by_key_until_what_they_hold_changes():
    graphs, ran = Recorded(), []
    steps = CapturedSteps(torch.device("cpu"), graphs)
    first, second = torch.zeros(1), torch.zeros(1)
    for key, held in [(1, first), (1, first), (1, first), (2, first), (1, first), (1, second), (1, second)]:
        steps.run(key, (held, None), lambda: ran.append(1))
    assert (len(ran), len(graphs.captured), graphs.replayed) == (7, 2, 4)


def test_not_all_graphs_are_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(capture, "MOST_GRAPHS", 3)
    steps = CapturedSteps(torch.device("cpu"), Recorded())
    for key in range(20):
        for _ in range(2):
            steps.run(key, (), lambda: None)
        assert len(steps.graphs) <= 3


def test_graphs_in_use_stay(monkeypatch: pytest.MonkeyPatch):
    """Only the one that was used longest ago makes room."""
    monkeypatch.setattr(capture, "MOST_GRAPHS", 3)
    graphs = Recorded()
    steps = CapturedSteps(torch.device("cpu"), graphs)
    for key in [1, 1, 2, 2, 3, 3, *[1, 2, 3] * 4, 4, 4, 2, 3]:
        steps.run(key, (), lambda: None)
    assert len(graphs.captured) == 4 and list(steps.graphs) == [4, 2, 3]


def test_a_cpu_captures_nothing():
    assert CapturedSteps(torch.device("cpu")).capture is None
