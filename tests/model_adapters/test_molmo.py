"""The adapter for checkpoints in the released layout, on a random miniature: what is wrong is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mpeval.benchmarks.scenes import generate
from mpeval.engine.config import ModelConfig
from mpeval.engine.model import VisionLanguageModel
from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.model_adapters.molmo import MolmoAdapter, checkpoint, molmo2_tiny, molmopoint_tiny
from mpeval.model_adapters.tiny import config
from mpeval.model_adapters.tiny.run_folder import export
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Elicitation, Query
from tests.video.videos import write_video

OPTIONS = ModelOptions(device="cpu", dtype="float32")


@pytest.fixture(scope="module", params=["grounding", "text"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "VISION", {"width": 16, "mlp": 16, "heads": 2, "layers": 2})
        decoder = {"width": 16, "mlp": 16, "heads": 2, "kv_heads": 1, "head_dim": 8, "layers": 2}
        patch.setattr(config, "DECODER", decoder)
        model = VisionLanguageModel(ModelConfig.from_json(config.model_config(request.param)))
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_(std=0.3, generator=generator)
        out = tmp_path_factory.mktemp("checkpoint") / request.param
        export(model, out, request.param)
    return out


def copy(folder: Path, target: Path) -> Path:
    target.mkdir()
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def picture(width: int = 130, height: int = 90, seed: int = 0) -> Media:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Media("image", frames=(frame,))


def query(text: str = "point to red circles", media: Media | None = None, tokens: int = 24, **asked) -> Query:
    return Query("0", media or picture(), text, Elicitation("test", max_new_tokens=tokens, **asked))


def test_a_mixed_batch_answers_like_single_queries(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    several = Media("images", frames=(*picture().frames, *picture(60, 80, 3).frames))
    queries = [query(), query("how many stars", tokens=12), query("x y z", picture(80, 120, 5)), query("a", several)]
    prepared = [adapter.prepare(each) for each in queries]
    together = adapter.generate(prepared)
    alone = [adapter.generate([each])[0] for each in prepared]
    assert [(p.text, p.points, p.form) for p in together] == [(p.text, p.points, p.form) for p in alone]
    assert together[1].generated_tokens is not None and together[1].generated_tokens <= 12
    assert [p.prompt_tokens for p in together] == [each.length for each in prepared]


def test_a_forced_answer_is_one_point_also_in_a_batch(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    assert adapter.capabilities.force_single_point
    asked = [("a", 130, 90), ("point to red circles", 60, 200), ("stars", 90, 90), ("how many squares", 200, 50)]
    queries = [query(text, picture(w, h, w), force_single_point=True, tokens=32) for text, w, h in asked]
    prepared = [adapter.prepare(each) for each in queries]
    together = adapter.generate(prepared)
    for prediction, (_, width, height) in zip(together, asked, strict=True):
        assert prediction.form == adapter.capabilities.grammar
        (point,) = prediction.points
        assert 0 <= point.x <= width and 0 <= point.y <= height
    alone = [adapter.generate([each])[0] for each in prepared]
    assert [(p.text, p.points) for p in together] == [(p.text, p.points) for p in alone]
    assert len({p.text for p in together}) > 1, "the pictures must matter"


@pytest.mark.parametrize("entry", [molmopoint_tiny, molmo2_tiny], ids=lambda entry: entry.name)
def test_force_gives_a_trained_model_a_point_and_changes_none_that_it_writes_itself(entry: ModelEntry) -> None:
    adapter = entry.load(None, OPTIONS)
    scenes = [generate("screen", seed, "heldout") for seed in range(600, 603)]
    asked = [(text, scene.image) for scene in scenes for text in (scene.queries[0].prompt, "describe the picture")]
    free, forced = (
        adapter.generate(
            [
                adapter.prepare(query(text, Media("image", frames=(image,)), 48, force_single_point=force))
                for text, image in asked
            ]
        )
        for force in (False, True)
    )
    assert [len(prediction.points) for prediction in forced] == [1] * len(forced)
    single = [i for i, prediction in enumerate(free) if len(prediction.points) == 1]
    assert single and len(single) < len(free), "some answers must need the force, some not"
    assert [forced[i].points[0].x for i in single] == [free[i].points[0].x for i in single]
    assert [forced[i].points[0].y for i in single] == [free[i].points[0].y for i in single]


def test_forced_and_free_queries_share_a_call(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    prepared = [adapter.prepare(query(force_single_point=forced, tokens=32)) for forced in (True, False, True)]
    first, free, last = adapter.generate(prepared)
    assert first.text == last.text and len(first.points) == 1
    assert free.text == adapter.generate([prepared[1]])[0].text != first.text


def test_where_no_point_is_forced(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS, may_force=False)
    assert not adapter.capabilities.force_single_point
    with pytest.raises(UserError, match="cannot be forced on tiny"):
        adapter.generate([adapter.prepare(query(force_single_point=True))])
    hf = MolmoAdapter("tiny", folder, ModelOptions(device="cpu", semantics="hf"))
    assert hf.capabilities.force_single_point == (not hf.grounding)


def test_text_is_forced_in_a_single_image_only(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    several = Media("images", frames=(*picture().frames, *picture(60, 80, 3).frames))
    asked = query(media=several, force_single_point=True)
    if adapter.grounding:
        (prediction,) = adapter.generate([adapter.prepare(asked)])
        assert len(prediction.points) == 1
    else:
        with pytest.raises(SampleError, match="single image"):
            adapter.prepare(asked)


def test_what_begins_a_prompt_is_read_from_the_generation_configuration(folder: Path, tmp_path: Path) -> None:
    own = MolmoAdapter("tiny", folder, OPTIONS)
    assert own.prepare(query()).ids[0] == own.tokenizer.token_to_id("<|endoftext|>")
    other = copy(folder, tmp_path / "other")
    start, end = (own.tokenizer.token_to_id(token) for token in ("<|im_end|>", "x"))
    (other / "generation_config.json").write_text(json.dumps({"bos_token_id": start, "eos_token_id": end}))
    adapter = MolmoAdapter("tiny", other, OPTIONS)
    assert adapter.prepare(query()).ids[0] == start
    assert set(adapter.control.stops) == {end, *own.control.stops}
    assert adapter.identity() != own.identity()
    (other / "generation_config.json").write_text(json.dumps({"eos_token_id": [end, start]}))
    assert MolmoAdapter("tiny", other, OPTIONS).control.start == end
    spoilt_files: list[Any] = [
        {"bos_token_id": 10**6, "eos_token_id": [end]}, {"bos_token_id": end},
        {"eos_token_id": 1 << 40}, {"eos_token_id": []}, [],
    ]  # fmt: skip
    for spoilt in spoilt_files:
        (other / "generation_config.json").write_text(json.dumps(spoilt))
        with pytest.raises(UserError, match=r"generation_config\.json") as error:
            MolmoAdapter("tiny", other, OPTIONS)
        assert "\n" not in str(error.value)


def test_more_crops_are_part_of_the_identity(folder: Path) -> None:
    own = MolmoAdapter("tiny", folder, OPTIONS)
    more = MolmoAdapter("tiny", folder, OPTIONS, least_crops=4)
    fewer = MolmoAdapter("tiny", folder, OPTIONS, least_crops=0)
    assert [a.media.image_spec.max_crops for a in (own, more, fewer)] == [1, 4, 1]
    assert more.identity()["max_crops"] == 4 and "max_crops" not in own.identity()
    wide = picture(1000, 250)
    asked = query(media=wide, max_crops=2)
    assert more.prepare(query(media=wide)).length > more.prepare(asked).length
    assert more.prepare(asked).length == own.prepare(asked).length > own.prepare(query(media=wide)).length


def test_an_origin_stands_for_the_weights(folder: Path) -> None:
    origin = {"repository": "somebody/something", "revision": "0" * 40}
    identity = MolmoAdapter("tiny", folder, OPTIONS, origin=origin).identity()
    assert origin.items() <= identity.items() and "weights_sha256" not in identity


def test_a_small_model_uses_one_thread_and_gives_the_others_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mpeval.engine import generate

    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    seen = []
    decode = generate.generate_stream

    def noted(*arguments):
        seen.append(torch.get_num_threads())
        return decode(*arguments)

    monkeypatch.setattr(generate, "generate_stream", noted)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        adapter.generate([adapter.prepare(query(tokens=2))])
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


def test_the_identity_follows_the_files_beside_the_weights(folder: Path, tmp_path: Path) -> None:
    own = MolmoAdapter("tiny", folder, OPTIONS).identity()
    other = copy(folder, tmp_path / "other")
    file = other / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"max_crops": 3}))
    assert MolmoAdapter("tiny", other, OPTIONS).identity() != own


def test_a_preprocessor_of_another_encoder_is_refused(folder: Path, tmp_path: Path) -> None:
    other = copy(folder, tmp_path / "other")
    file = other / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"size": {"height": 224, "width": 224}}))
    with pytest.raises(UserError, match="different models"):
        MolmoAdapter("tiny", other, OPTIONS)


def test_the_identity_follows_the_weights(folder: Path, tmp_path: Path) -> None:
    own = MolmoAdapter("tiny", folder, OPTIONS).identity()
    other = copy(folder, tmp_path / "other")
    assert MolmoAdapter("tiny", other, OPTIONS).identity() == own
    data = bytearray((other / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (other / "model.safetensors").write_bytes(bytes(data))
    assert MolmoAdapter("tiny", other, OPTIONS).identity() != own


def test_video_without_a_video_configuration_is_refused(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    with pytest.raises(SampleError, match="no video"):
        adapter.prepare(query(media=Media("video", frames=picture().frames, times=(0.0,))))


def test_faults_of_a_folder_are_one_line(folder: Path, tmp_path: Path) -> None:
    cut = copy(folder, tmp_path / "cut")
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    lacking = copy(folder, tmp_path / "lacking")
    raw = json.loads((lacking / "config.json").read_text())
    del raw["text_config"]["head_dim"]
    (lacking / "config.json").write_text(json.dumps(raw))
    garbled = copy(folder, tmp_path / "garbled")
    (garbled / "tokenizer.json").write_text("{")
    bare = copy(folder, tmp_path / "bare")
    (bare / "preprocessor_config.json").unlink()
    for broken, named in (
        (cut, "model.safetensors"),
        (lacking, "text_config.head_dim"),
        (garbled, "tokenizer.json"),
        (bare, "preprocessor_config.json"),
        (tmp_path / "nowhere", "config.json"),
    ):
        with pytest.raises(UserError) as error:
            checkpoint.load(str(broken), OPTIONS)
        assert named in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(("options", "named"), [({"device": "abacus"}, "abacus"), ({"dtype": "int3"}, "int3")])
def test_an_unknown_device_or_type_is_named(folder: Path, options: dict[str, str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        checkpoint.load(str(folder), ModelOptions(**options))  # type: ignore[arg-type]


def test_a_model_that_does_not_fit_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mpeval.engine import checkpoint as weights

    def fails(*_: object) -> None:
        raise torch.OutOfMemoryError("several\nlines")

    monkeypatch.setattr(weights, "read_weights", fails)
    with pytest.raises(UserError, match=r"does not fit on cpu: its weights take 0\.0 GB in torch\.float32$"):
        MolmoAdapter("tiny", folder, OPTIONS)


def test_a_large_model_shows_how_far_it_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mpeval import report
    from mpeval.model_adapters import molmo_loading

    monkeypatch.setattr(molmo_loading, "LARGE", 0)
    monkeypatch.setattr(report, "SECONDS_BETWEEN_LINES", 0.0)
    MolmoAdapter("tiny", folder, OPTIONS)
    assert "loading tiny" in capsys.readouterr().err


def test_shards_have_one_digest(tmp_path: Path) -> None:
    from mpeval.model_adapters.molmo_files import weights_sha256

    files = [tmp_path / name for name in "ab"]
    for file in files:
        file.write_text(file.name)
    both = weights_sha256(files)
    assert both == weights_sha256(files) != weights_sha256(files[::-1])
    files[1].write_text("c")
    assert weights_sha256(files) != both


def test_the_checkpoint_says_how_many_frames_it_is_shown(folder: Path, tmp_path: Path) -> None:
    """The release's long-context checkpoints take 384 (num_frames), the others 128."""
    own = copy(folder, tmp_path / "own")
    file = own / "video_preprocessor_config.json"
    clip = Media.video(write_video(tmp_path / "clip.mp4", 30, 10))
    shown = {}
    for most in (4, None):
        file.write_text(json.dumps(config.video_preprocessor_config() | ({"num_frames": most} if most else {})))
        adapter = MolmoAdapter("tiny", own, OPTIONS)
        shown[most] = adapter.prepare(query(media=clip)).shown.times
        assert len(adapter.prepare(query(media=clip, max_frames=3)).shown.times) == 3
    assert shown == {4: (0, 1, 2, 3), None: (0, 0.5, 1, 1.5, 2, 2.5, 3)}
    file.write_text(json.dumps(config.video_preprocessor_config() | {"num_frames": "many"}))
    with pytest.raises(UserError, match=r"video_preprocessor_config.json: num_frames is 'many'"):
        MolmoAdapter("tiny", own, OPTIONS)


def test_an_answer_may_be_longer_than_what_was_trained(folder: Path, tmp_path: Path) -> None:
    """As in the release, which trains on 36,864 tokens at most and evaluates with 64,000."""
    own = copy(folder, tmp_path / "own")
    raw = json.loads((own / "config.json").read_text())
    raw["text_config"]["max_position_embeddings"] = 100
    (own / "config.json").write_text(json.dumps(raw))
    adapter = MolmoAdapter("tiny", own, OPTIONS)
    asked = adapter.prepare(query(tokens=4))
    assert asked.length > 100
    assert adapter.generate([asked])[0].error is None
    with pytest.raises(SampleError, match="more than the 64000 of tiny"):
        adapter.prepare(query(tokens=64_000))
