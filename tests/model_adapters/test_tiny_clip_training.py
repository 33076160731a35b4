"""Training the miniatures on clips: the cache, batches, weights to continue from, and a run that can be resumed."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mpeval.benchmarks.generated import clip_media
from mpeval.benchmarks.scenes.clips import generate_clip
from mpeval.engine.batch import MediaInputs
from mpeval.engine.config import ModelConfig
from mpeval.engine.prompt import QUESTION
from mpeval.engine.tiling import Tiles, tile_video
from mpeval.errors import UserError
from mpeval.media import Media
from mpeval.model_adapters.molmo import TINY_WEIGHTS, MolmoAdapter
from mpeval.model_adapters.molmo_files import load_tokenizer
from mpeval.model_adapters.tiny import store, train
from mpeval.model_adapters.tiny.clip_cache import ClipCache, open_clips, store_clip
from mpeval.model_adapters.tiny.clip_data import ClipBatchMaker
from mpeval.model_adapters.tiny.config import model_config
from mpeval.model_adapters.tiny.losses import losses
from mpeval.model_adapters.tiny.optimizer import CONTINUED, WARMUP, rate_factor
from mpeval.model_adapters.tiny.origin import continue_from
from mpeval.model_adapters.tiny.run_folder import export
from mpeval.model_adapters.tiny.scene_cache import SceneCache, open_cache
from mpeval.model_adapters.tiny.tokenizer import base_vocabulary
from mpeval.model_adapters.tiny.trees import encode_once
from mpeval.registry import ModelOptions
from mpeval.types import Elicitation, Query

from .micro_training import SPEC, VIDEO_SPEC, assert_as_if_alone, micro_model, micro_settings, shrink

OPTIONS = ModelOptions(device="cpu", dtype="float32")
FORMATS = ["grounding", "text"]


@pytest.fixture
def micro(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def cache(data: Path) -> SceneCache:
    return open_cache(data, 8, SPEC)


@pytest.fixture(scope="module")
def clips(data: Path) -> ClipCache:
    return open_clips(data / "clips", 4, VIDEO_SPEC)


def clip_maker(written: str, clips: ClipCache) -> ClipBatchMaker:
    config = ModelConfig.from_json(model_config(written))  # type: ignore[arg-type]
    return ClipBatchMaker(clips, config, VIDEO_SPEC, written)  # type: ignore[arg-type]


def test_the_cache_holds_the_clips_as_the_encoder_sees_them(clips: ClipCache) -> None:
    for seed in range(4):
        clip = generate_clip(seed, "train")
        assert np.array_equal(clips.pixels[seed], tile_video(clip.frames, VIDEO_SPEC).pixels)
        assert clips.clips[seed] == store_clip(clip)


def test_of_two_that_start_together_one_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = []
    draw = store._draw

    def counted(*args: object) -> None:
        draws.append(args)
        draw(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "_draw", counted)
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(lambda _: open_clips(tmp_path, 2, VIDEO_SPEC), range(2)))
    assert len(draws) == 1
    assert np.array_equal(both[0].pixels, both[1].pixels) and both[0].clips == both[1].clips
    open_clips(tmp_path, 3, VIDEO_SPEC)  # another store: drawn anew
    assert len(draws) == 2


@pytest.mark.parametrize("written", FORMATS)
def test_a_clip_is_asked_in_training_as_by_the_adapter(
    written: str, micro: None, cache: SceneCache, clips: ClipCache, tmp_path: Path
) -> None:
    export(micro_model(written, cache), tmp_path, written, video=True)  # type: ignore[arg-type]
    adapter = MolmoAdapter("micro", tmp_path, OPTIONS)
    asked = Elicitation("short", max_new_tokens=8)
    media = clip_media(generate_clip(2, "train"))
    prepared = adapter.prepare(Query("", media, "track red circles", asked))
    trees = clip_maker(written, clips).trees
    assert prepared.ids == trees.prefix + trees.encode(QUESTION.format(text="track red circles"))
    assert np.array_equal(prepared.shown.pixels, clips.pixels[2])
    assert np.array_equal(prepared.shown.pooling, trees.pooling.numpy())
    assert len(adapter.generate([prepared])) == 1


@pytest.mark.parametrize("written", FORMATS)
def test_a_branch_of_a_clip_is_computed_as_if_alone(
    written: str, micro: None, cache: SceneCache, clips: ClipCache
) -> None:
    model, maker = micro_model(written, cache), clip_maker(written, clips)
    branches = maker.query_branches(clips.clips[0], range(6), 300)
    assert len(branches) > 2
    pixels = torch.from_numpy(np.array(clips.pixels[:1]))

    assert_as_if_alone(model, maker.trees, pixels, branches)


def test_clips_of_a_batch_keep_apart(micro: None, cache: SceneCache, clips: ClipCache) -> None:
    model, maker = micro_model("grounding", cache), clip_maker("grounding", clips)
    both = losses(model, maker.batch([0, 3], np.random.default_rng(0), 200))
    rng = np.random.default_rng(0)
    single = [losses(model, maker.batch([index], rng, 200)) for index in (0, 3)]
    for name in ("token", "patch", "subpatch", "location", "weight"):
        torch.testing.assert_close(getattr(both, name), sum(getattr(each, name) for each in single))


def test_features_are_those_of_the_engine(micro: None, cache: SceneCache, clips: ClipCache) -> None:
    model, maker = micro_model("grounding", cache), clip_maker("grounding", clips)
    batch = maker.batch([1, 2], np.random.default_rng(0), 200)
    inputs = batch.inputs.media
    expected = model.encode(MediaInputs(batch.pixels, inputs.pooling, inputs.token_counts, inputs.pool_widths))
    found = encode_once(model, batch)
    torch.testing.assert_close(found.tokens, expected.tokens)
    torch.testing.assert_close(found.patches, expected.patches)
    assert not found.patches.requires_grad and found.tokens.requires_grad


def test_both_formats_get_the_same_clip_queries(clips: ClipCache) -> None:
    order = np.random.default_rng(0).permutation(12)
    asked = [
        [branch.question for branch in clip_maker(written, clips).query_branches(clips.clips[1], order, 300)]
        for written in FORMATS
    ]
    assert asked[0] == asked[1] and len(asked[0]) > 2


def test_any_one_query_fits_the_budget() -> None:
    budget = train.Settings("text", 0, 0).clip_budget
    maker = clip_maker("text", ClipCache(np.zeros(0), [], _tiles()))
    for seed in range(40):
        clip = store_clip(generate_clip(seed, "train"))
        for index in range(3 * len(clip.queries)):
            assert maker.query_branches(clip, [index], budget)


def _tiles() -> Tiles:
    return tile_video([np.zeros((112, 112, 3), np.uint8)] * 8, VIDEO_SPEC)


@pytest.mark.parametrize(("name", "written"), [("molmopoint-tiny", "grounding"), ("molmo2-tiny", "text")])
def test_shipped_weights_go_on_word_by_word(name: str, written: str, cache: SceneCache, tmp_path: Path) -> None:
    """Whatever words were added since, a continued model answers as the shipped one until it is trained."""
    model = train.build_model(train.Settings(written, 0, 0), cache, SPEC)  # type: ignore[arg-type]
    fresh = model.transformer.wte.embedding.clone()
    continue_from(model, TINY_WEIGHTS / name)
    export(model, tmp_path, written)  # type: ignore[arg-type]
    known = load_tokenizer(TINY_WEIGHTS / name).get_vocab()
    new = [row for token, row in base_vocabulary().items() if token not in known]
    assert torch.equal(model.transformer.wte.embedding[new], fresh[new])
    pictures = [generate_clip(seed, "heldout").frames[0] for seed in range(3)]
    answers = [answered(folder, pictures) for folder in (TINY_WEIGHTS / name, tmp_path)]
    assert answers[0] == answers[1]
    assert any("coords" in text for text in answers[0])


def answered(folder: Path, pictures: list[np.ndarray]) -> list[str]:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    asked = Elicitation("short", max_new_tokens=40)
    queries = [Query("", Media("image", frames=(picture,)), "point to shapes", asked) for picture in pictures]
    return [prediction.text for prediction in adapter.generate([adapter.prepare(query) for query in queries])]


def test_another_format_is_refused(cache: SceneCache) -> None:
    model = train.build_model(train.Settings("text", 0, 0), cache, SPEC)
    with pytest.raises(UserError, match="does not fit this format"):
        continue_from(model, TINY_WEIGHTS / "molmopoint-tiny")
    with pytest.raises(UserError, match="is missing"):
        train.continued_settings("text", 1, None, TINY_WEIGHTS)


@pytest.mark.parametrize("written", FORMATS)
def test_a_resumed_run_with_clips_ends_with_the_same_weights(
    written: str, micro: None, data: Path, cache: SceneCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = tmp_path / "origin"
    monkeypatch.setattr(train, "SAVE_EVERY", 2)
    monkeypatch.setattr(train, "LOG_EVERY", 1)
    export(micro_model(written, cache), origin, written)  # type: ignore[arg-type]
    settings = train.continued_settings(written, 3, 3, origin)  # type: ignore[arg-type]
    settings = replace(settings, batch=2, scenes=8, clips=2, clip_scenes=4)
    train.train(settings, tmp_path / "whole", data, origin)
    draw = train.drawn

    def stop(seed: int, step: int, *rest: int) -> tuple[np.ndarray, np.random.Generator]:
        if step == 2:
            raise KeyboardInterrupt
        return draw(seed, step, *rest)

    monkeypatch.setattr(train, "drawn", stop)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings, tmp_path / "cut", data, origin)
    monkeypatch.setattr(train, "drawn", draw)
    train.train(settings, tmp_path / "cut", data, origin)

    same = [(tmp_path / run / "model.safetensors").read_bytes() for run in ("whole", "cut")]
    assert same[0] == same[1] != (origin / "model.safetensors").read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows[1:] if "clip_token" in row] == [1, 2, 3]
    assert (tmp_path / "cut" / "video_preprocessor_config.json").exists()
    assert not (origin / "video_preprocessor_config.json").exists()


def test_a_continued_run_starts_lower_and_ends_at_nothing() -> None:
    assert rate_factor(WARMUP - 1, 900, continued=True) == CONTINUED
    assert rate_factor(899, 900, continued=True) < 1e-4
    assert max(rate_factor(step, 900, continued=True) for step in range(900)) == CONTINUED


def test_stills_and_clips_of_a_step_are_the_same_for_both_formats() -> None:
    first, second = (train.drawn(1, step, 3, 9, stream=2) for step in (0, 1))
    assert not set(first[0]) & set(second[0])
    again = train.drawn(1, 0, 3, 9, stream=2)
    assert np.array_equal(first[0], again[0]) and first[1].random() == again[1].random()
    assert not np.array_equal(first[0], train.drawn(1, 0, 3, 9, stream=0)[0])
    assert micro_settings("text").clips == 0
