from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mpeval.engine.checkpoint import empty_model, find_weights, load_model, parameter_count, read_weights, save_weights
from mpeval.engine.config import ModelConfig
from mpeval.errors import UserError

from .tiny_config import random_model, released_config


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path)


def write(folder, family="molmo_point", tied=False):
    (folder / "config.json").write_text(json.dumps(released_config(family, tied)))
    save_weights(random_model(family, tied=tied), folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(("family", "tied"), [("molmo_point", False), ("molmo_point", True), ("molmo2", False)])
def test_round_trip_in_the_released_names(tmp_path, family, tied):
    loaded, original = load_model(write(tmp_path, family, tied)), random_model(family, tied=tied)
    for name, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    names = load_file(tmp_path / "model.safetensors").keys()
    assert "model.transformer.wte.new_embedding" in names
    assert ("lm_head.output_embeddings" in names) == (family == "molmo_point" and not tied)
    assert ("model.vision_backbone.image_vit.patch_embedding.weight" in names) == (family == "molmo2")


def test_shards_are_read_through_their_index(folder):
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    halves = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in halves.items():
        save_file({n: tensors[n] for n in part}, folder / file)
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {n: file for file, part in halves.items() for n in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert torch.equal(load_model(folder).vit.positional_embedding, random_model().vit.positional_embedding)

    (folder / "model-2.safetensors").unlink()
    with pytest.raises(UserError, match=r"model-2\.safetensors is missing"):
        load_model(folder)
    index["weight_map"]["x"] = "../outside.safetensors"
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match="outside the folder"):
        load_model(folder)


@pytest.mark.parametrize("keep", [0, 5, 200, -1000])
def test_a_cut_file_is_named(folder, keep):
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(UserError) as error:
        load_model(folder)
    assert "cut or damaged" in str(error.value) and "\n" not in str(error.value)


def test_missing_foreign_and_misshapen_tensors_are_named(folder):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    norm = tensors.pop("model.transformer.ln_f.weight")
    save_file(tensors, file)
    with pytest.raises(UserError, match=r"1 tensors are missing, the first is transformer\.ln_f\.weight"):
        load_model(folder)
    save_file(tensors | {"model.transformer.ln_f.weight": norm[:3].clone()}, file)
    with pytest.raises(UserError, match=r"ln_f\.weight is \[3\] but config\.json asks for \[64\]"):
        load_model(folder)
    save_file(tensors | {"model.transformer.ln_f.weight": norm, "model.extra": norm.clone()}, file)
    with pytest.raises(UserError, match=r"model\.extra has no place"):
        load_model(folder)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.float8_e4m3fn])
def test_weights_of_another_kind_of_number_are_refused(folder, dtype):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file(tensors | {"model.transformer.ln_f.weight": tensors["model.transformer.ln_f.weight"].to(dtype)}, file)
    with pytest.raises(UserError, match=r"ln_f\.weight holds (I64|BOOL|F8_E4M3): only F64, F32, F16, BF16 are read"):
        load_model(folder)


def test_a_tensor_in_two_shards_is_refused(folder):
    """Which of them was meant nobody can tell."""
    (folder / "model.safetensors").rename(folder / "a.safetensors")
    norm = {"model.transformer.ln_f.weight": torch.zeros(64)}
    save_file(norm, folder / "b.safetensors")
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"b\.safetensors: .*ln_f\.weight lies in a\.safetensors too"):
        load_model(folder)


@pytest.mark.parametrize(
    ("shards", "said"),
    [([1], "no readable"), ([["a"]], "no readable"), ([".."], "outside the folder"), (["folder"], "folder is missing")],
)
def test_an_index_that_names_no_files(folder, shards, said):
    (folder / "folder").mkdir()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(enumerate(shards))}))
    with pytest.raises(UserError, match=said.replace("no readable", "is not a readable index")):
        load_model(folder)


def test_what_cannot_be_read_is_not_called_damaged(folder, monkeypatch):
    (folder / "model.safetensors.index.json").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*index\.json: Is a directory"):
        load_model(folder)
    (folder / "model.safetensors.index.json").rmdir()

    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(UserError, match=r"cannot read .*model\.safetensors: Permission denied"):
        parameter_count(folder)


def test_an_encoder_block_without_a_number_is_foreign(folder):
    file = folder / "model.safetensors"
    save_file(load_file(file) | {"model.vit.transformer.resblocks.last.bias": torch.zeros(48)}, file)
    with pytest.raises(UserError, match=r"resblocks\.last\.bias has no place in this model"):
        load_model(folder)


def test_encoder_blocks_past_the_last_output_are_skipped(folder):
    file = folder / "model.safetensors"
    extra = {"model.vit.transformer.resblocks.26.ffn_norm.bias": torch.zeros(48)}
    save_file(load_file(file) | extra, file)
    load_model(folder)


def test_everything_is_checked_before_a_weight_is_read(folder):
    """A fault in the last shard shows before the first is read: with published sizes that is minutes earlier."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    (folder / "model.safetensors").unlink()
    save_file({n: tensors[n] for n in names[:-1]}, folder / "a.safetensors")
    save_file({names[-1]: tensors[names[-1]][:1].clone()}, folder / "b.safetensors")
    index = {"weight_map": {n: "b.safetensors" if n == names[-1] else "a.safetensors" for n in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    model = empty_model(ModelConfig.load(folder / "config.json"))
    with pytest.raises(UserError, match=r"b\.safetensors: .* but config\.json asks for"):
        find_weights(folder, model)
    assert all(parameter.is_meta for parameter in model.parameters())


def test_weights_are_counted_as_they_come_and_mapped_rather_than_copied(folder):
    model = empty_model(ModelConfig.load(folder / "config.json"))
    places = find_weights(folder, model)
    read: list[int] = []
    loaded = read_weights(model, places, advance=read.append)
    assert len(read) == len(places) == len(loaded.state_dict())
    assert parameter_count(folder) == sum(parameter.numel() for parameter in loaded.parameters())
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(folder / "model.safetensors") in maps.read_text()
    half = load_model(folder, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
