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


YARN = {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64}


def with_scaling(scaling, **text):
    raw = released_config()
    raw["text_config"] |= {"rope_scaling": scaling, **text}
    return raw


def test_yarn_is_read_with_the_defaults_of_its_paper():
    yarn = ModelConfig.from_json(with_scaling(YARN)).decoder.yarn
    assert yarn is not None
    assert (yarn.factor, yarn.original_length, yarn.beta_fast, yarn.beta_slow) == (8.0, 64, 32, 1)
    assert yarn.attention_factor == pytest.approx(1.2079441541679836)  # what the released OLMo 3 decoder states
    assert yarn.layers == (0, 1)
    older = {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64, "attention_factor": 1.5}
    yarn = ModelConfig.from_json(with_scaling(older, rope_scaling_layers=[1])).decoder.yarn
    assert yarn is not None and (yarn.attention_factor, yarn.layers) == (1.5, (1,))


@pytest.mark.parametrize(
    "scaling",
    [
        {"rope_type": "llama3", "factor": 8.0},
        {"factor": 8.0},
        {key: YARN[key] for key in ("rope_type", "factor")},
        YARN | {"mscale": 1.0},
        YARN | {"truncate": False},
        YARN | {"factor": "8"},
        [8.0],
    ],
)
def test_other_rotary_scalings_are_refused_rather_than_ignored(scaling):
    with pytest.raises(UserError, match=r"rope_scaling|wrong kind") as error:
        ModelConfig.from_json(with_scaling(scaling))
    assert "\n" not in str(error.value)


def test_the_released_pointing_configurations_leave_one_token_out():
    raw = released_config()
    expected = ModelConfig.from_json(raw)
    assert ModelConfig.from_json(raw | {"low_res_image_start_token_id": None}) == expected
    del raw["low_res_image_start_token_id"]
    assert ModelConfig.from_json(raw) == expected


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


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("text_config", "hidden_size", -64, "width of the decoder is -64"),
        ("text_config", "hidden_size", 10**12, "width of the decoder is 1000000000000"),
        ("text_config", "num_hidden_layers", 0, "layers of the decoder is 0"),
        ("text_config", "num_key_value_heads", 3, "3 key heads do not divide 4 heads"),
        (None, "image_patch_id", -5, "two special tokens have one id, or one has none"),
        (None, "patch_token_id", 265, "two special tokens have one id, or one has none"),
    ],
)
def test_sizes_and_ids_that_no_model_has_are_refused(section, key, value, said):
    """Before a weight is read; else each sample fails with them."""
    raw = released_config()
    (raw[section] if section else raw)[key] = value
    with pytest.raises(UserError, match=said):
        ModelConfig.from_json(raw)
