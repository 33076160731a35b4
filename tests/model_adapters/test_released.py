"""The released checkpoints by name: what is refused before a weight is read, and where their files come from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpeval.engine.checkpoint import empty_model
from mpeval.engine.config import ModelConfig
from mpeval.errors import UserError
from mpeval.media import Media
from mpeval.model_adapters import released
from mpeval.model_adapters.molmo import TINY_WEIGHTS, MolmoAdapter
from mpeval.model_adapters.released import Shapes, molmo2_o_7b, molmopoint_8b, molmopoint_gui_8b, molmopoint_vid_4b
from mpeval.registry import ModelEntry, ModelOptions, all_models
from mpeval.types import Elicitation, Query

OPTIONS = ModelOptions(device="cpu", dtype="float32")
NAMES = ("molmopoint-8b", "molmopoint-gui-8b", "molmopoint-vid-4b", "molmo2-8b", "molmo2-4b", "molmo2-o-7b")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TINY = TINY_WEIGHTS / "molmopoint-tiny"
TINY_SHAPES = Shapes.of(ModelConfig.load(TINY / "config.json"))


def published(pointing: bool, **text: Any) -> dict[str, Any]:
    """`config.json` with the published sizes of MolmoPoint-8B or Molmo2-8B; text: other values of its decoder."""
    heads = {"num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 72}
    ids = ("image_start_token_id", "image_end_token_id", "image_patch_id", "image_col_id")
    config: dict[str, Any] = {
        "model_type": "molmo_point" if pointing else "molmo2",
        **{name: 151936 + i for i, name in enumerate(ids)},
        "low_res_image_start_token_id": None if pointing else 151940,
        "frame_start_token_id": 151943,
        "frame_end_token_id": 151944,
        "vit_config": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, **heads,
            "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "image_default_input_size": [378, 378],
            "image_patch_size": 14, "image_num_pos": 729,
        },
        "adapter_config": {
            "vit_layers": [-3, -9], "hidden_size": 1152, **heads, "hidden_act": "silu", "intermediate_size": 12288,
            "text_hidden_size": 4096, "pooling_attention_mask": True, "positional_embeddings": None,
            "attention_pooling_out_layer": not pointing,
        },
        "text_config": {
            "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
            "vocab_size": 151936, "additional_vocab_size": 128, "num_hidden_layers": 36, "intermediate_size": 12288,
            "hidden_act": "silu", "max_position_embeddings": 36864, "rope_theta": 1e6, "rope_scaling": None,
            "use_qk_norm": True, "qk_norm_type": "qwen3", "qkv_bias": False, "layer_norm_eps": 1e-6,
            "norm_after": False, "tie_word_embeddings": False, **text,
        },
    }  # fmt: skip
    if pointing:
        config |= {
            "image_non_indexable_patch_id": 151942, "patch_token_id": 151947,
            "subpatch_token_id": 151948, "location_token_id": 151949, "patch_embed_dim": 512,
            "token_prediction_rotary_theta": 50000, "patch_location": "3x3", "no_more_points_class": True,
            "layer_norm_x": True, "token_prediction_rotary": "one_d", "embed_selected_vit_patch": "linear",
            "embed_location": False,
        }  # fmt: skip
    return config


QWEN3_4B = {"hidden_size": 2560, "intermediate_size": 9728}
OLMO3_7B = {
    "num_hidden_layers": 32, "num_key_value_heads": 32, "intermediate_size": 11008, "vocab_size": 100278,
    "qk_norm_type": "olmo", "norm_after": True, "max_position_embeddings": 65536, "rope_theta": 500000,
    "rope_scaling": {
        "rope_type": "yarn", "factor": 8.0, "attention_factor": 1.2079441541679836, "beta_fast": 32, "beta_slow": 1,
        "original_max_position_embeddings": 8192,
    },
    "rope_scaling_layers": [3, 7, 11, 15, 19, 23, 27, 31],
}  # fmt: skip
CONFIGS = {
    "molmopoint-8b": published(True),
    "molmopoint-gui-8b": published(True),
    "molmopoint-vid-4b": published(True, tie_word_embeddings=True, **QWEN3_4B),
    "molmo2-8b": published(False),
    "molmo2-4b": published(False, **QWEN3_4B),
    "molmo2-o-7b": published(False, **OLMO3_7B),
}
PARAMETERS = {
    "molmopoint-8b": 8.7e9, "molmopoint-gui-8b": 8.7e9, "molmopoint-vid-4b": 4.5e9, "molmo2-8b": 8.7e9,
    "molmo2-4b": 4.9e9, "molmo2-o-7b": 7.8e9,
}  # fmt: skip
"""Roughly; the published files of the last three hold 32.3, 18.1 and 28.9 GiB of float32."""


def entry(name: str) -> ModelEntry:
    return all_models()[0][name]


@pytest.mark.parametrize("name", NAMES)
def test_the_published_sizes_are_taken_and_built(name: str, tmp_path: Path) -> None:
    """From the configuration alone: the index names shards that nobody has."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]))
    model = empty_model(ModelConfig.load(tmp_path / "config.json"))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(PARAMETERS[name], rel=0.03)
    shards = {tensor: f"model-0000{i % 8 + 1}-of-00008.safetensors" for i, tensor in enumerate(model.state_dict())}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(UserError, match=r"model-00001-of-00008\.safetensors is missing: .* asks for 8 shards"):
        entry(name).load(str(tmp_path), OPTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_another_model_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    others = [config for other, config in CONFIGS.items() if config != CONFIGS[name]]
    for config in [*others, json.loads((TINY / "config.json").read_text())]:
        (tmp_path / "config.json").write_text(json.dumps(config))
        expected = Shapes.of(ModelConfig.from_json(CONFIGS[name]))
        if Shapes.of(ModelConfig.from_json(config)) == expected:
            continue  # tied or not, the sizes are the same
        with pytest.raises(UserError, match="where the release has") as error:
            entry(name).load(str(tmp_path), OPTIONS)
        assert name in str(error.value) and "molmo:" in str(error.value) and "\n" not in str(error.value)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere/config\.json is missing"):
        molmopoint_8b.load(str(tmp_path / "nowhere"), OPTIONS)


# --- the Hub ---------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the Hub's client, and no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def put(cache: Path, repository: str, folder: Path, without: str = "") -> Path:
    """Lay a folder's files out as the client caches them."""
    home = cache / f"models--{repository.replace('/', '--')}"
    snapshot = home / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(COMMIT)
    for file in folder.iterdir():
        if file.name != without:
            (snapshot / file.name).symlink_to(file)
    return snapshot


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A miniature in the released layout that passes for `molmopoint-8b`."""

    def load(argument: str | None, options: ModelOptions) -> Any:
        return released.load("molmopoint-8b", "allenai/MolmoPoint-8B", TINY_SHAPES, argument, options)

    monkeypatch.setattr(released, "molmopoint_8b", replace(molmopoint_8b, load=load))
    folder = tmp_path / "small"
    folder.mkdir()
    for file in TINY.iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "generation_config.json").write_text('{"bos_token_id": 99, "eos_token_id": 99}')
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_without_network_and_files_one_line_says_what_to_do(name: str, cache: Path) -> None:
    with pytest.raises(UserError) as error:
        entry(name).load(None, OPTIONS)
    line = str(error.value)
    repository = line.split()[5].rstrip(",")
    assert repository.startswith("allenai/") and repository.lower().endswith(name)
    assert f"--model {name}:DIR" in line and "\n" not in line


@pytest.mark.parametrize("name", NAMES)
def test_a_dry_run_asks_nobody(name: str, cache: Path, mpeval) -> None:
    ended = mpeval("run", "--model", name, "--benchmark", "demo-points", "--limit", 2, "--dry-run")
    assert ended.status == 0
    assert f"{name}: its weights are not on this machine" in ended.out


def test_cached_files_are_used_and_their_commit_is_the_identity(cache: Path, small: Path) -> None:
    put(cache, "allenai/MolmoPoint-8B", small)
    adapter = released.molmopoint_8b.load(None, OPTIONS)
    identity = adapter.identity()
    assert (adapter.name, identity["repository"], identity["revision"]) == (
        "molmopoint-8b", "allenai/MolmoPoint-8B", COMMIT,
    )  # fmt: skip
    assert released.molmopoint_8b.load(COMMIT, OPTIONS).identity() == identity
    with pytest.raises(UserError, match="allenai/MolmoPoint-8B"):
        released.molmopoint_8b.load(COMMIT[::-1], OPTIONS)
    assert molmopoint_8b.weight_bytes is not None
    assert molmopoint_8b.weight_bytes(None, OPTIONS) == molmopoint_8b.weight_bytes(str(small), OPTIONS)


def test_a_broken_fetch_is_one_line(cache: Path, small: Path) -> None:
    put(cache, "allenai/MolmoPoint-8B", small, without="model.safetensors")
    with pytest.raises(UserError, match=r"model\.safetensors") as error:
        released.molmopoint_8b.load(None, OPTIONS)
    assert "\n" not in str(error.value)


def test_a_local_folder_is_told_by_its_weights(small: Path) -> None:
    identity = released.molmopoint_8b.load(str(small), OPTIONS).identity()
    assert "weights_sha256" in identity and "repository" not in identity


def test_what_begins_a_prompt_must_be_there(small: Path) -> None:
    (small / "generation_config.json").unlink()
    with pytest.raises(UserError, match=r"generation_config\.json is missing"):
        released.molmopoint_8b.load(str(small), OPTIONS)


@pytest.mark.parametrize(("configured", "shown"), [(1, 24), (8, 24), (24, 24), (48, 48)])
def test_pictures_get_24_crops_or_what_is_configured_above(small: Path, configured: int, shown: int) -> None:
    file = small / "preprocessor_config.json"
    config = json.loads(file.read_text()) | {"max_crops": configured}
    file.unlink()
    file.write_text(json.dumps(config))
    adapter = released.molmopoint_8b.load(str(small), OPTIONS)
    assert isinstance(adapter, MolmoAdapter)
    assert adapter.identity()["max_crops"] == shown

    def crops(most: int | None) -> int:
        import numpy as np

        media = Media("image", frames=(np.zeros((2000, 3000, 3), dtype=np.uint8),))
        asked = Elicitation("test", max_new_tokens=1, max_crops=most)
        return len(adapter.prepare(Query("0", media, "x", asked)).shown.pixels) - 1

    # the miniature's decoder is too short for a prompt of 64 crops
    decoder = replace(adapter.model.config.decoder, max_length=10**5)
    adapter.model.config = replace(adapter.model.config, decoder=decoder)
    assert crops(None) <= shown < crops(64) <= 64
    assert crops(6) == 6


def test_the_paper_forces_all_but_the_model_for_screens() -> None:
    """Section 5.2: "for both the Molmo2 models and MolmoPoint-8B (but not MolmoPoint-GUI-8B)"."""
    with pytest.MonkeyPatch.context() as patch:
        asked: dict[str, bool] = {}
        patch.setattr(released, "_check", lambda *_: None)
        patch.setattr(released, "_check_files", lambda *_: None)
        patch.setattr(released, "MolmoAdapter", lambda name, *_, may_force, **__: asked.update({name: may_force}))
        for each in (molmopoint_8b, molmopoint_gui_8b, molmopoint_vid_4b, molmo2_o_7b):
            each.load("DIR", OPTIONS)
    assert asked == {
        "molmopoint-8b": True, "molmopoint-gui-8b": False, "molmopoint-vid-4b": True, "molmo2-o-7b": True,
    }  # fmt: skip
