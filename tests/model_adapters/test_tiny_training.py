"""Training the miniatures: message trees, shared features, Muon, and a run that can be resumed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mpeval.benchmarks.scenes.vocabulary import COLOURS
from mpeval.engine.batch import MediaInputs
from mpeval.engine.config import ModelConfig
from mpeval.errors import UserError
from mpeval.grounding.loss import TrainingInputs
from mpeval.model_adapters.tiny import config, encoder, train
from mpeval.model_adapters.tiny.data import BatchMaker
from mpeval.model_adapters.tiny.initial import neighbour, sine_positions, whitening
from mpeval.model_adapters.tiny.losses import losses
from mpeval.model_adapters.tiny.muon import orthogonal
from mpeval.model_adapters.tiny.optimizer import FIRST_LEG, NEXT_LEG, WARMUP, rate_factor
from mpeval.model_adapters.tiny.scene_cache import SceneCache, StoredQuery, StoredScene, open_cache
from mpeval.model_adapters.tiny.single_shape import single_shape
from mpeval.model_adapters.tiny.trees import encode_once

from .micro_training import SPEC, assert_as_if_alone, micro_model, micro_settings, shrink


@pytest.fixture(autouse=True)
def micro(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> SceneCache:
    return open_cache(tmp_path_factory.mktemp("scenes"), 8, SPEC)


@pytest.mark.parametrize("written", ["grounding", "text"])
def test_a_branch_of_a_tree_is_computed_as_if_alone(written: str, cache: SceneCache) -> None:
    model = micro_model(written, cache)
    maker = BatchMaker(cache, model.config, SPEC, written)  # type: ignore[arg-type]
    scene = cache.scenes[0]
    branches = [*maker.query_branches(scene, range(4), 200), maker.caption_branch(scene)]
    assert len(branches) > 2
    pixels = torch.from_numpy(np.array(cache.pixels[:1]))[:, None]

    assert_as_if_alone(model, maker.trees, pixels, branches)


def test_padding_changes_nothing(cache: SceneCache) -> None:
    model = micro_model("grounding", cache)
    maker = BatchMaker(cache, model.config, SPEC, "grounding")
    rng = np.random.default_rng(0)
    both = losses(model, maker.batch([0, 1], rng, 120))
    rng = np.random.default_rng(0)
    single = [losses(model, maker.batch([index], rng, 120)) for index in (0, 1)]
    for name in ("token", "patch", "subpatch", "location", "weight"):
        torch.testing.assert_close(getattr(both, name), sum(getattr(each, name) for each in single))


def test_one_pass_of_the_encoder_serves_both_views(cache: SceneCache) -> None:
    model = micro_model("grounding", cache)
    maker = BatchMaker(cache, model.config, SPEC, "grounding")
    batch = maker.batch([0, 3], np.random.default_rng(0), 120)
    once = encode_once(model, batch)
    pooling = np.concatenate([cache.tiles.token_pooling + 2 * SPEC.patches**2 * i for i in (0, 1)])
    inputs = MediaInputs(
        batch.pixels.repeat_interleave(2, dim=0),
        torch.from_numpy(pooling),
        batch.inputs.media.token_counts,
        batch.inputs.media.pool_widths,
    )
    twice = model.encode(inputs)
    torch.testing.assert_close(once.tokens, twice.tokens)
    torch.testing.assert_close(once.patches[once.inputs.pooling], twice.patches[inputs.pooling])


def test_both_formats_get_the_same_queries(cache: SceneCache) -> None:
    asked = []
    for written in ("grounding", "text"):
        maker = BatchMaker(cache, ModelConfig.from_json(config.model_config(written)), SPEC, written)
        branches = maker.query_branches(cache.scenes[0], range(8), 100)
        asked.append([branch.question for branch in branches])
    assert asked[0] == asked[1] and asked[0]


def test_whitening_gives_unit_variance() -> None:
    rng = np.random.default_rng(0)
    patches = torch.from_numpy((rng.normal(size=(2000, 12)) * np.arange(1, 13) + 5).astype(np.float32))
    weight, bias = whitening(patches, 4)
    out = patches @ weight.T + bias
    assert torch.allclose(out.mean(0), torch.zeros(4), atol=1e-3)
    assert torch.allclose(torch.cov(out.T), torch.eye(4), atol=1e-2)


def test_positions_differ_everywhere_and_a_turn_leads_to_the_neighbour() -> None:
    table = sine_positions(14, 14)
    assert torch.cdist(table, table).fill_diagonal_(9).min() > 0.3
    grid = table.view(14, 14, -1)
    torch.testing.assert_close(grid[:-1, 1:], grid[1:, :-1] @ neighbour(-1, 1).T, rtol=1e-4, atol=1e-4)


def test_a_named_patch_and_the_others_weigh_the_same() -> None:
    red, blue = (10.0, 10.0), (90.0, 60.0)
    queries = [
        StoredQuery("", "red circles", False, [red]),
        StoredQuery("", "blue squares", True, [blue]),
        StoredQuery("", "shapes above the blue square", False, [red]),
        StoredQuery("", "stars", False, []),
    ]
    pairs = encoder.pair([StoredScene((112, 112), "", queries)], 14)
    assert pairs.named.sum(1).tolist() == [1, 1, 0]
    assert pairs.named[0].argmax() == 1 * 14 + 1 and pairs.named[1].argmax() == 7 * 14 + 11
    assert pairs.weights[0, 1 * 14 + 1] == pairs.weights[0, 7 * 14 + 11] == 1
    assert pairs.weights[2, 1 * 14 + 1] == 0.5
    assert pairs.weights[0, 0] == 0 and 0 < pairs.weights[0, 14 * 14 - 1] < 0.01


@pytest.mark.parametrize("shape", [(12, 30), (30, 12), (16, 16)])
def test_muon_makes_singular_values_near_one(shape: tuple[int, int]) -> None:
    out = orthogonal(torch.randn(3, *shape, generator=torch.Generator().manual_seed(0)))
    values = torch.linalg.svdvals(out)
    assert values.min() > 0.3 and values.max() < 1.4


@pytest.mark.parametrize("written", ["grounding", "text"])
def test_a_resumed_run_ends_with_the_same_weights(
    written: str, cache: SceneCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "scenes"
    monkeypatch.setattr(train, "SAVE_EVERY", 2)
    monkeypatch.setattr(train, "LOG_EVERY", 1)
    settings = micro_settings(written, steps=4)
    train.train(settings, tmp_path / "whole", data)

    draw = train.drawn

    def stop(seed: int, step: int, *rest: int) -> tuple[np.ndarray, np.random.Generator]:
        if step == 3:
            raise KeyboardInterrupt
        return draw(seed, step, *rest)

    monkeypatch.setattr(train, "drawn", stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings, tmp_path / "cut", data)
    monkeypatch.setattr(train, "drawn", draw)
    train.train(settings, tmp_path / "cut", data)

    same = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "cut")]
    assert same[0] == same[1]
    rows = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows[1:] if "token" in row] == [1, 2, 3, 4]
    assert all(np.isfinite(row["token"]) for row in rows[1:] if "token" in row)
    with pytest.raises(UserError, match="other settings"):
        train.train(replace(settings, seed=4), tmp_path / "cut", data)


def test_the_loss_falls(cache: SceneCache) -> None:
    from mpeval.model_adapters.tiny.optimizer import Optimizer

    settings = micro_settings("grounding", steps=12)
    model = train.build_model(settings, cache, SPEC)
    maker = BatchMaker(cache, model.config, SPEC, "grounding")
    optimizer = Optimizer(model, 1000)
    seen = []
    for step in range(12):
        loss = losses(model, maker.batch([0, 1], np.random.default_rng(0), 120)).mean
        loss.backward()
        optimizer.step(step + 100)  # past the warm-up
        seen.append(float(loss.detach()))
    assert seen[-1] < seen[0] - 0.5


def test_training_inputs_hold_what_the_loss_needs(cache: SceneCache) -> None:
    maker = BatchMaker(cache, ModelConfig.from_json(config.model_config("grounding")), SPEC, "grounding")
    batch = maker.batch([0], np.random.default_rng(0), 160)
    inputs: TrainingInputs = batch.inputs
    tokens = maker.config.tokens
    chosen = inputs.points[(inputs.ids == tokens.patch) & (inputs.points < 1_000_000)]
    assert ((chosen >= 49) & (chosen < 98)).all()
    # every label is the next id of the sequence
    rows, columns = (batch.labels >= 0).nonzero(as_tuple=True)
    assert torch.equal(batch.labels[rows, columns], inputs.ids[rows, columns + 1])


def test_a_single_shape_lies_where_it_is_said_to() -> None:
    for seed in range(20):
        picture, (x, y), caption = single_shape(seed)
        colour = np.array(COLOURS[caption.split()[0]])
        assert np.abs(picture[int(y), int(x)].astype(int) - colour).max() < 40


def test_the_rate_falls_to_nothing_at_the_end_of_each_leg() -> None:
    assert rate_factor(WARMUP - 1, 4200) == 1
    for start, end in ((FIRST_LEG, FIRST_LEG + NEXT_LEG), (FIRST_LEG + NEXT_LEG, 4200)):
        assert rate_factor(start - 1, 4200) < 1e-4 < 0.2 < rate_factor(start, 4200) < 0.3
        assert rate_factor(end - 1, 4200) < 1e-4
    assert [rate_factor(s, 4200) for s in range(3200)] == [rate_factor(s, 3200) for s in range(3200)]
