"""Reading and writing the released checkpoint layout: `config.json` and (sharded) safetensors, nothing executable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

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


STORED = ("F64", "F32", "F16", "BF16")
"""Number types of weights, as safetensors names them; whole numbers and eight bits need scales that nobody gives."""


@dataclass(frozen=True)
class Place:
    """Where a tensor of the model lies in a checkpoint."""

    file: Path
    name: str
    """The released one."""


def load_model(
    folder: Path,
    semantics: Semantics = NATIVE,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    weights: str = "model.safetensors",
) -> VisionLanguageModel:
    """Build the model that `folder` describes. Raises `UserError` for whatever is missing, cut or of another shape."""
    model = empty_model(ModelConfig.load(folder / "config.json"), semantics)
    return read_weights(model, find_weights(folder, model, weights), device, dtype)


def empty_model(config: ModelConfig, semantics: Semantics = NATIVE) -> VisionLanguageModel:
    """The model's modules without memory for their weights."""
    with torch.device("meta"):
        return VisionLanguageModel(config, semantics)


def find_weights(folder: Path, model: VisionLanguageModel, weights: str = "model.safetensors") -> dict[str, Place]:
    """Own name -> where it lies, for every tensor of the model; reads the files' headers alone.

    Raises `UserError` for a file that is missing or cut, and for tensors that are missing, foreign or of another shape.
    """
    expected = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    places: dict[str, Place] = {}
    for file in weight_files(folder, weights):
        with _opened(file) as tensors:
            for name in tensors.keys():  # noqa: SIM118 (not a dict)
                own = _own_name(name)
                if own not in expected:
                    if _ignorable(own, model):
                        continue
                    raise UserError(f"{file}: the tensor {name} has no place in this model: is config.json its own?")
                if own in places:
                    raise UserError(f"{file}: {name} lies in {places[own].file.name} too: fetch all shards again")
                stored = tensors.get_slice(name)
                if stored.get_shape() != expected[own]:
                    raise UserError(f"{file}: {name} is {stored.get_shape()} but config.json asks for {expected[own]}")
                if stored.get_dtype() not in STORED:
                    raise UserError(f"{file}: {name} holds {stored.get_dtype()}: only {', '.join(STORED)} are read")
                places[own] = Place(file, name)
    if missing := sorted(expected.keys() - places.keys()):
        raise UserError(f"{folder}: {len(missing)} tensors are missing, the first is {missing[0]}: fetch it again")
    return places


def read_weights(
    model: VisionLanguageModel,
    places: Mapping[str, Place],
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    advance: Callable[[int], None] = lambda read: None,
) -> VisionLanguageModel:
    """Fill an empty model with the weights that `find_weights` found.

    They go to the device tensor by tensor from files mapped into memory, so that the host never holds a second copy
    of the model. advance is told of each tensor read. Raises `UserError` for a file that cannot be read.
    """
    by_file: dict[Path, list[tuple[str, str]]] = {}
    for own, place in places.items():
        by_file.setdefault(place.file, []).append((own, place.name))
    found: dict[str, Tensor] = {}
    for file, names in by_file.items():
        with _opened(file, str(device)) as tensors:
            for own, name in names:
                # to the device as stored, then to the type: a change of type is quicker there
                found[own] = tensors.get_tensor(name).to(device).to(dtype)
                advance(1)
    model.load_state_dict(found, assign=True)
    return model.eval()


def parameter_count(folder: Path, weights: str = "model.safetensors") -> int:
    """Numbers in a checkpoint's files, from their headers alone. Raises `UserError` for a missing or damaged file."""
    count = 0
    for file in weight_files(folder, weights):
        with _opened(file) as tensors:
            count += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return count


def save_weights(model: VisionLanguageModel, file: Path) -> None:
    """Write the released tensor names, in the model's own type."""
    from safetensors.torch import save_file

    names = {name: _released_name(name, model) for name in model.state_dict()}
    save_file({names[k]: v.detach().contiguous().cpu() for k, v in model.state_dict().items()}, file)


def weight_files(folder: Path, weights: str = "model.safetensors") -> list[Path]:
    """The safetensors of a checkpoint: one file, or the shards that its index names."""
    index = folder / f"{weights}.index.json"
    if not index.exists():
        if not (folder / weights).is_file():
            raise UserError(f"{folder} holds neither {weights} nor {index.name}: give the folder of a checkpoint")
        return [folder / weights]
    try:
        shards = sorted({_text(shard) for shard in json.loads(index.read_text())["weight_map"].values()})
    except OSError as error:
        raise UserError(f"cannot read {index}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{index} is not a readable index of shards: fetch the file again") from error
    for shard in shards:
        if Path(shard).name != shard or shard == "..":
            raise UserError(f"{index} names {shard!r}, which lies outside the folder: refused")
        if not (folder / shard).is_file():
            raise UserError(f"{folder / shard} is missing: {index.name} asks for {len(shards)} shards")
    return [folder / shard for shard in shards]


@contextmanager
def _opened(file: Path, device: str = "cpu") -> Iterator[Any]:
    """A safetensors file, whose header is checked against its length on opening."""
    from safetensors import SafetensorError, safe_open

    try:
        file.open("rb").close()  # the library says of a file that may not be read that it is not there
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    try:
        with safe_open(file, framework="pt", device=device) as tensors:
            yield tensors
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is cut or damaged ({error}): fetch it again") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no file's name")
    return value


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
        number = name.split(".")[3]
        return number.isdecimal() and int(number) >= model.config.vision.layers
    return name.startswith("lm_head.") and model.lm_head is None
