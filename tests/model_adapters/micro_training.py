"""Miniatures of a few thousand parameters, for tests of their training."""

from __future__ import annotations

import pytest
import torch

from mpeval.engine.model import VisionLanguageModel
from mpeval.engine.tiling import TilingSpec
from mpeval.grounding.loss import training_forward
from mpeval.model_adapters.tiny import config, encoder, train
from mpeval.model_adapters.tiny.scene_cache import SceneCache
from mpeval.model_adapters.tiny.trees import Branch, Trees, encode_once

SPEC = TilingSpec.from_config(config.preprocessor_config())
VIDEO_SPEC = TilingSpec.from_config(config.video_preprocessor_config())


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller widths, no evaluation, two steps of the encoder's training."""
    monkeypatch.setattr(config, "VISION", {"width": 64, "mlp": 16, "heads": 2, "layers": 2})
    decoder = {"width": 16, "mlp": 16, "heads": 2, "kv_heads": 1, "head_dim": 8, "layers": 2}
    monkeypatch.setattr(config, "DECODER", decoder)
    monkeypatch.setattr(train, "evaluate", lambda folder, scenes: {})
    monkeypatch.setattr(train, "evaluate_clips", lambda folder, clips: {})
    monkeypatch.setattr(encoder, "STEPS", 2)


def micro_settings(written: str, steps: int = 2) -> train.Settings:
    return train.Settings(written, 3, steps, batch=2, scenes=8)  # type: ignore[arg-type]


def micro_model(written: str, cache: SceneCache) -> VisionLanguageModel:
    model = train.build_model(micro_settings(written), cache, SPEC)
    with torch.no_grad():  # blocks start as the identity: give every weight a say
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)) * 0.1)
    return model


def assert_as_if_alone(model: VisionLanguageModel, trees: Trees, pixels: torch.Tensor, branches: list[Branch]) -> None:
    """Each branch of one tree, and the media before it, has the states that it has as the only branch."""

    def states(tree: list[Branch]) -> torch.Tensor:
        batch = trees.collate(pixels, [tree])
        return training_forward(model, batch.inputs, encode_once(model, batch))[0][0]

    start = at = len(trees.prefix)
    whole = states(branches)
    for branch in branches:
        alone = states([branch])
        torch.testing.assert_close(whole[at : at + len(branch)], alone[start:], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(whole[:start], alone[:start], rtol=1e-4, atol=1e-5)
        at += len(branch)
