"""Random weights of the released shapes: sizes, memory, and that they run."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mpeval.engine.device as device_module
from mpeval.engine.checkpoint import empty_model
from mpeval.engine.config import ModelConfig
from mpeval.errors import UserError
from mpeval.media import Media
from mpeval.model_adapters.random_weights import SIZES, configuration, model
from mpeval.model_adapters.released import _QWEN3_8B, Shapes
from mpeval.registry import ModelOptions, resolve_model
from mpeval.types import Elicitation, Query

CPU = ModelOptions(device="cpu", dtype="float32")


def test_8b_has_the_release_s_shapes() -> None:
    config = ModelConfig.from_json(configuration(SIZES["8b"]))
    assert Shapes("molmo_point", *_QWEN3_8B).difference(Shapes.of(config)) == ""
    assert 8.4e9 < sum(p.numel() for p in empty_model(config).parameters()) < 8.8e9


@pytest.mark.parametrize(("size", "least", "most"), [("small", 15e6, 30e6), ("0.5b", 0.45e9, 0.8e9)])
def test_sizes_are_what_they_are_called(size: str, least: float, most: float) -> None:
    assert least < model.weight_bytes(size, CPU) / 4 < most  # type: ignore[misc, operator]


def test_it_answers_with_finite_numbers_in_its_own_type() -> None:
    entry, argument = resolve_model("random-weights:tiny")
    adapter = entry.load(argument, ModelOptions(device="cpu", dtype="bfloat16"))
    assert {each.dtype for each in adapter.model.parameters()} == {torch.bfloat16}  # type: ignore[attr-defined]
    frame = np.random.default_rng(0).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    query = Query("0", Media("image", frames=(frame,)), "point", Elicitation("t", max_new_tokens=6, max_crops=4))
    (prediction,) = adapter.generate([adapter.prepare(query)])
    assert prediction.error is None and prediction.generated_tokens
    assert adapter.identity()["weights"] == "random"


def test_two_loads_have_the_same_weights() -> None:
    first, second = (model.load("tiny", CPU).model for _ in range(2))  # type: ignore[attr-defined]
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other) and one.isfinite().all()


def test_too_little_memory_is_said_before_any_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "available_bytes", lambda device: 3 * 10**9)
    with pytest.raises(UserError, match=r"random-weights:8b in float32 take 3\d\.\d GB, 3\.0 GB are free on cpu"):
        model.load("8b", CPU)


def test_an_unknown_size_names_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no size '9b': there is tiny, small, 0.5b, 8b"):
        model.load("9b", CPU)
