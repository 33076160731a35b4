"""Where SAM 2's weights are missing or damaged, one line says so."""

from __future__ import annotations

import json
import shutil

import pytest
from huggingface_hub import constants

from mpeval.errors import UserError
from mpeval.segment.load import load_segmenter
from mpeval.segment.weights import identity_of, published_weights


@pytest.fixture
def copy(tiny_sam2, tmp_path):
    return shutil.copytree(tiny_sam2, tmp_path / "weights")


@pytest.mark.parametrize("name", ["sam2", "sam2-package"])
def test_without_a_network(monkeypatch, tmp_path, name):
    if name == "sam2-package":
        pytest.importorskip("sam2", reason="the package sam2 is not installed")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError) as caught:
        load_segmenter(name)
    told = str(caught.value)
    assert "config.json and model.safetensors of facebook/sam2.1-hiera-large" in told
    assert f"--segmenter {name}:DIR" in told and str(tmp_path / "cache") in told
    assert "\n" not in told


def test_a_cache_that_is_not_whole(monkeypatch, tmp_path):
    snapshot = tmp_path / "models--facebook--sam2.1-hiera-large/snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (tmp_path / "models--facebook--sam2.1-hiera-large/refs").mkdir()
    (tmp_path / "models--facebook--sam2.1-hiera-large/refs/main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"lacks model.safetensors of facebook/sam2.1-hiera-large"):
        load_segmenter("sam2")


def test_in_a_folder_without_them(tmp_path):
    with pytest.raises(UserError, match=r"lacks config.json and model.safetensors of facebook/sam2.1-hiera-large"):
        load_segmenter(f"sam2:{tmp_path}")


def test_unknown_segmenter_and_device(tiny_sam2):
    with pytest.raises(UserError, match="unknown segmenter 'sam3'"):
        load_segmenter("sam3")
    with pytest.raises(UserError, match="device 'tpu'"):
        load_segmenter(f"sam2:{tiny_sam2}", "tpu")


def test_a_file_cut_short(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(UserError, match="holds no readable SAM 2 weights"):
        load_segmenter(f"sam2:{copy}", "cpu")


@pytest.mark.parametrize("name", ["sam2", "sam2-package"])
def test_a_tensor_is_missing(copy, name):
    from safetensors.torch import load_file, save_file

    if name == "sam2-package":
        pytest.importorskip("sam2", reason="the package sam2 is not installed")
    weights = load_file(copy / "model.safetensors")
    del weights["object_pointer_proj.proj_in.bias"]
    save_file(weights, copy / "model.safetensors")
    with pytest.raises(UserError, match=r"object_pointer_proj.proj_in.bias.*fetch its files again"):
        load_segmenter(f"{name}:{copy}", "cpu")


@pytest.mark.parametrize("text", ["{", '{"model_type": "sam"}'])
def test_another_configuration(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(UserError, match="holds no readable SAM 2 weights"):
        load_segmenter(f"sam2:{copy}", "cpu")


def test_a_configuration_that_the_package_cannot_follow(copy):
    pytest.importorskip("sam2", reason="the package sam2 is not installed")
    config = json.loads((copy / "config.json").read_text())
    config["mask_decoder_config"]["num_attention_heads"] = 4
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="mask decoder with num_attention_heads 4"):
        load_segmenter(f"sam2-package:{copy}", "cpu")


def test_a_tensor_of_two_names_may_lie_under_one(copy):
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    shared = weights.pop("prompt_encoder.shared_embedding.positional_embedding")
    save_file(weights, copy / "model.safetensors")
    found = published_weights(copy)["prompt_encoder.shared_embedding.positional_embedding"]
    assert (found == shared).all()


def test_the_identity_is_of_both_files(tiny_sam2, copy):
    before = identity_of(tiny_sam2)
    assert identity_of(copy) == before
    identity_of.cache_clear()
    (copy / "config.json").write_text("{}")
    assert identity_of(copy) != before
