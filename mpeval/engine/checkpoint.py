"""Reading and writing the released checkpoint layout: `config.json` and (sharded) safetensors, nothing executable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mpeval.engine.config import ModelConfig
from mpeval.engine.model import VisionLanguageModel
from mpeval.errors import UserError
from mpeval.grounding.semantics import NATIVE, Semantics

# Molmo2's checkpoints keep encoder and connector under one roof.
MOLMO2_PREFIXES = {
    "model.vision_backbone.image_vit.": "vit.",
    "model.vision_backbone.image_pooling_2d.": "connector.image_pooling_2d.",
    "model.vision_backbone.image_projector.": "connector.image_projector.",
}


def load_model(
    folder: Path,
    semantics: Semantics = NATIVE,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: str = "model.safetensors",
) -> VisionLanguageModel:
    """Build the model that `folder` describes. Raises `UserError` for whatever is missing, cut or of another shape."""
    config = ModelConfig.load(folder / "config.json")
    with torch.device("meta"):
        model = VisionLanguageModel(config, semantics)
    expected = {name: tensor.shape for name, tensor in model.state_dict().items()}
    found: dict[str, Tensor] = {}
    for file in weight_files(folder, weights):
        for name, tensor in _tensors(file):
            own = _own_name(name)
            if own not in expected:
                if _ignorable(own, model):
                    continue
                raise UserError(f"{file}: the tensor {name} has no place in this model: is config.json its own?")
            if tensor.shape != expected[own]:
                raise UserError(
                    f"{file}: {name} is {list(tensor.shape)} but config.json asks for {list(expected[own])}"
                )
            found[own] = tensor.to(device, dtype)
    if missing := sorted(expected.keys() - found.keys()):
        raise UserError(f"{folder}: {len(missing)} tensors are missing, the first is {missing[0]}: fetch it again")
    model.load_state_dict(found, assign=True)
    return model.eval()


def save_weights(model: VisionLanguageModel, file: Path) -> None:
    """Write the released tensor names, in the model's own type."""
    from safetensors.torch import save_file

    names = {name: _released_name(name, model) for name in model.state_dict()}
    save_file({names[k]: v.detach().contiguous().cpu() for k, v in model.state_dict().items()}, file)


def weight_files(folder: Path, weights: str = "model.safetensors") -> list[Path]:
    """The safetensors of a checkpoint: one file, or the shards that its index names."""
    index = folder / f"{weights}.index.json"
    if not index.exists():
        if not (folder / weights).exists():
            raise UserError(f"{folder} holds neither {weights} nor {index.name}: give the folder of a checkpoint")
        return [folder / weights]
    try:
        shards = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is not a readable index of shards: fetch the file again") from error
    for shard in shards:
        if Path(shard).name != shard:
            raise UserError(f"{index} names {shard!r}, which lies outside the folder: refused")
        if not (folder / shard).exists():
            raise UserError(f"{folder / shard} is missing: {index.name} asks for {len(shards)} shards")
    return [folder / shard for shard in shards]


def _tensors(file: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                yield name, tensors.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is cut or damaged ({error}): fetch it again") from error


def _own_name(name: str) -> str:
    for prefix, own in MOLMO2_PREFIXES.items():
        if name.startswith(prefix):
            return own + name.removeprefix(prefix)
    return name.removeprefix("model.")


def _released_name(name: str, model: VisionLanguageModel) -> str:
    if model.config.family == "molmo2":
        for prefix, own in MOLMO2_PREFIXES.items():
            if name.startswith(own):
                return prefix + name.removeprefix(own)
    return name if name.startswith("lm_head.") else f"model.{name}"


def _ignorable(name: str, model: VisionLanguageModel) -> bool:
    """Tensors that a released file may hold without use: encoder blocks past the last output, a tied head's copy."""
    if name.startswith("vit.transformer.resblocks."):
        return int(name.split(".")[3]) >= model.config.vision.layers
    return name.startswith("lm_head.") and model.lm_head is None
