"""The adapter for checkpoints in the released layout, on a random miniature: what is wrong is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mpeval.engine.config import ModelConfig
from mpeval.engine.model import VisionLanguageModel
from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.model_adapters.molmo import MolmoAdapter, checkpoint
from mpeval.model_adapters.tiny import config
from mpeval.model_adapters.tiny.train import export
from mpeval.registry import ModelOptions
from mpeval.types import Elicitation, Query

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


def test_a_single_point_can_be_forced_with_grounding_tokens_alone(folder: Path) -> None:
    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    prepared = adapter.prepare(query(force_single_point=True))
    if adapter.capabilities.force_single_point:
        (prediction,) = adapter.generate([prepared])
        assert len(prediction.points) == 1
        assert prediction.form == "grounding-tokens"
        point = prediction.points[0]
        assert 0 <= point.x <= 130 and 0 <= point.y <= 90
    else:
        with pytest.raises(UserError, match="cannot be forced"):
            adapter.generate([prepared])


def test_a_small_model_uses_one_thread_and_gives_the_others_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mpeval.engine import generate

    adapter = MolmoAdapter("tiny", folder, OPTIONS)
    seen = []
    decode = generate.generate

    def noted(*arguments):
        seen.append(torch.get_num_threads())
        return decode(*arguments)

    monkeypatch.setattr(generate, "generate", noted)
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
