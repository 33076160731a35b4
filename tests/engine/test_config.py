from __future__ import annotations

import json

import pytest

from mpeval.engine.config import ModelConfig
from mpeval.errors import UserError

from .tiny_config import released_config


def test_unused_encoder_blocks_are_not_built():
    raw = released_config()
    raw["adapter_config"]["vit_layers"] = [-3, -2]
    config = ModelConfig.from_json(raw)
    assert (config.vision.outputs, config.vision.layers) == ((1, 2), 3)


@pytest.mark.parametrize(
    "path",
    [
        "model_type",
        "vit_config",
        "vit_config.hidden_size",
        "text_config.rope_theta",
        "adapter_config.vit_layers",
        "adapter_config.pooling_attention_mask",
        "patch_embed_dim",
        "subpatch_token_id",
        "image_col_id",
    ],
)
def test_a_missing_key_is_named_in_one_line(path):
    raw = released_config()
    section, _, key = path.rpartition(".")
    del (raw[section] if section else raw)[key]
    with pytest.raises(UserError) as error:
        ModelConfig.from_json(raw, "somewhere/config.json")
    assert path in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patch_location", None),
        ("no_more_points_class", False),
        ("token_prediction_rotary", "twh"),
        ("model_type", "gpt"),
    ],
)
def test_an_unsupported_value_is_refused(key, value):
    with pytest.raises(UserError, match="not supported"):
        ModelConfig.from_json(released_config() | {key: value})


def test_scaled_rotary_embeddings_are_refused_rather_than_ignored():
    raw = released_config()
    raw["text_config"]["rope_scaling"] = {"rope_type": "yarn", "factor": 8}
    with pytest.raises(UserError, match="rope_scaling"):
        ModelConfig.from_json(raw)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("text_config.hidden_size", "64"),
        ("vit_config.num_hidden_layers", None),
        ("vit_config.image_default_input_size", 56),
        ("adapter_config.vit_layers", "last"),
        ("patch_token_id", [264]),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_one_line(path, value):
    raw = released_config()
    section, _, key = path.rpartition(".")
    (raw[section] if section else raw)[key] = value
    with pytest.raises(UserError, match=r"somewhere/config\.json holds a value of the wrong kind") as error:
        ModelConfig.from_json(raw, "somewhere/config.json")
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_json(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not readable JSON"):
        ModelConfig.load(tmp_path / "config.json")
    (tmp_path / "config.json").write_text(json.dumps([1]))
    with pytest.raises(UserError, match="object"):
        ModelConfig.load(tmp_path / "config.json")
    with pytest.raises(UserError, match="missing"):
        ModelConfig.load(tmp_path / "other.json")
