"""From files to points by the ways of a GPU, on a pretended one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from mpeval.engine import decoding, fused
from mpeval.media import Media
from mpeval.model_adapters.molmo import MolmoAdapter, molmopoint_tiny
from mpeval.registry import ModelOptions
from mpeval.types import Elicitation, Query

from ..engine.pretend_gpu import DEVICE, PretendGpu, pretended_gpu


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendGpu]:
    monkeypatch.setattr(fused, "_works", lambda *_: False)  # there is nothing to run Triton's kernels on
    monkeypatch.setattr(decoding, "LONG_SPAN", 64)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pretended_gpu(monkeypatch) as gpu:
        yield gpu
    torch.set_num_threads(before)


def queries() -> list[Query]:
    rng = np.random.default_rng(0)
    wide, small = (rng.integers(0, 256, size, dtype=np.uint8) for size in ((90, 130, 3), (60, 60, 3)))
    frames = tuple(rng.integers(0, 256, (3, 40, 50, 3), dtype=np.uint8))
    media = [Media("image", frames=(wide,)), Media("image", frames=(small,))]
    media.append(Media("video", frames=frames, times=(0.0, 0.5, 1.0)))
    asked = Elicitation("test", max_new_tokens=20)
    return [Query(str(n), each, "point to red circles", asked) for n, each in enumerate([*media, media[0]])]


def answers(device: str) -> list[tuple[object, ...]]:
    adapter = molmopoint_tiny.load(None, ModelOptions(device=device, dtype="float32"))
    assert isinstance(adapter, MolmoAdapter) and str(adapter.device) == device
    prepared = [adapter.prepare(each) for each in queries()]
    found = dict(adapter.stream(iter(prepared)))
    return [(found[n].text, found[n].points, found[n].error) for n in range(len(prepared))]


def test_a_checkpoint_answers_as_on_a_cpu(gpu: PretendGpu) -> None:
    expected = answers("cpu")
    assert gpu.replayed == 0
    assert answers(str(DEVICE)) == expected
    assert gpu.replayed > 4
