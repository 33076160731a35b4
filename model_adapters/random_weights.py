"""Models of the released layout with random weights: how fast one runs does not depend on what it has learnt.

`mpeval bench` measures with them where real weights are not at hand; `mpeval run --model random-weights:8b` tries a
whole run, its memory and its speed included. Their answers mean nothing.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpeval.errors import UserError
from mpeval.registry import ModelEntry, ModelOptions

from .molmo import MolmoAdapter
from .molmo_files import END_OF_TEXT, END_OF_TURN, IMAGES, VIDEO

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from mpeval.engine.model import VisionLanguageModel
    from mpeval.grounding.semantics import Semantics

MAX_CROPS = 24
"""Image crops where a query does not say otherwise: what the released models are evaluated with."""
VIDEO_POOLING = 3
"""Rows and columns of patches behind an image token of a video; a picture's has 2."""


@dataclass(frozen=True)
class Size:
    """Sizes of the encoder and the decoder."""

    vision: dict[str, int]
    decoder: dict[str, int]
    crop: int = 378
    """Pixels along a side of a crop; patches have 14."""
    margin: int = 4
    """Patches by which crops overlap, on each side."""


SIZES = {
    "tiny": Size(
        {"width": 32, "mlp": 64, "layers": 4, "heads": 2},
        {"width": 64, "mlp": 128, "layers": 2, "heads": 4, "kv_heads": 2, "head_dim": 16, "vocabulary": 512},
        crop=56,
        margin=1,
    ),
    "small": Size(
        {"width": 128, "mlp": 512, "layers": 6, "heads": 4},
        {"width": 256, "mlp": 1024, "layers": 14, "heads": 8, "kv_heads": 4, "head_dim": 32, "vocabulary": 8192},
        crop=126,
        margin=2,
    ),
    "0.5b": Size(
        {"width": 384, "mlp": 1536, "layers": 12, "heads": 6},
        {"width": 896, "mlp": 4864, "layers": 24, "heads": 14, "kv_heads": 2, "head_dim": 64, "vocabulary": 151936},
    ),
    "8b": Size(
        {"width": 1152, "mlp": 4304, "layers": 27, "heads": 16},
        {"width": 4096, "mlp": 12288, "layers": 36, "heads": 32, "kv_heads": 8, "head_dim": 128, "vocabulary": 151936},
    ),
}
"""`8b` has the shapes of MolmoPoint-8B: SigLIP 2 So400m and Qwen3-8B. `0.5b` has Qwen2-0.5B's decoder; `small` has 20
million parameters and crops a third as wide, so that a CPU measures it in a minute; `tiny` is for tests."""


def _load(argument: str | None, options: ModelOptions) -> MolmoAdapter:
    from mpeval.engine.config import ModelConfig
    from mpeval.engine.device import choose_device, choose_dtype, parameter_bytes, require_memory
    from mpeval.grounding.semantics import by_name

    name, size = f"random-weights:{argument}", _size(argument)
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    model = _shape(ModelConfig.from_json(configuration(size)), by_name(options.semantics)).to(dtype)
    require_memory(device, parameter_bytes(model), f"the weights of {name} in {str(dtype).removeprefix('torch.')}")
    fill(model.to_empty(device=device))
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), size)
        origin = {"weights": "random", "seed": "0"}
        return MolmoAdapter(name, Path(folder), options, origin=origin, model=model.eval())


def _weight_bytes(argument: str | None, options: ModelOptions) -> int:
    from mpeval.engine.config import ModelConfig
    from mpeval.engine.device import choose_device, choose_dtype, parameter_bytes
    from mpeval.grounding.semantics import by_name

    model = _shape(ModelConfig.from_json(configuration(_size(argument))), by_name(options.semantics))
    return parameter_bytes(model.to(choose_dtype(options.dtype, choose_device(options.device))))


def _size(argument: str | None) -> Size:
    if argument not in SIZES:
        raise UserError(f"random weights have no size {argument or ''!r}: there is {', '.join(SIZES)}")
    return SIZES[argument]


def _shape(config: Any, semantics: Semantics) -> VisionLanguageModel:
    from mpeval.engine.checkpoint import empty_model

    return empty_model(config, semantics)


def fill(model: VisionLanguageModel) -> None:
    """Random weights, drawn on the device: the host never holds a copy. Norms are 1."""
    import torch

    generator = torch.Generator(model.device).manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ("norm" in name and name.endswith("weight")) or name.endswith("ln_f.weight"):
                parameter.fill_(1.0)
            else:
                parameter.normal_(std=0.02, generator=generator)


def write_files(folder: Path, size: Size) -> None:
    """The small files of a checkpoint folder: all but the weights."""
    square = {"height": size.crop, "width": size.crop}
    pictures = {"size": square, "patch_size": 14, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    files = {
        "config.json": configuration(size),
        IMAGES: {**pictures, "pooling_size": [2, 2], "overlap_margins": [size.margin] * 2, "max_crops": MAX_CROPS},
        VIDEO: {**pictures, "pooling_size": [VIDEO_POOLING] * 2},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    _tokenizer().save(str(folder / "tokenizer.json"))


def _tokenizer() -> Tokenizer:
    """A token a byte; the tokens of the larger vocabulary mean nothing."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE({token: i for i, token in enumerate(bytes_)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    control = (END_OF_TEXT, "<|im_start|>", END_OF_TURN)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    return tokenizer


def configuration(size: Size) -> dict[str, Any]:
    """`config.json` in the released layout."""
    d, v = size.decoder, size.vision
    first = d["vocabulary"]
    names = ["image_start_token_id", "image_end_token_id", "image_patch_id", "image_col_id"]
    names += ["low_res_image_start_token_id", "frame_start_token_id", "frame_end_token_id"]
    names += ["image_non_indexable_patch_id", "patch_token_id", "subpatch_token_id", "location_token_id"]
    head_dim = v["width"] // v["heads"]
    return {
        "model_type": "molmo_point",
        **{name: first + place for place, name in enumerate(names)},
        "patch_location": "3x3", "no_more_points_class": True, "norm_logits": True, "layer_norm_x": True,
        "token_prediction_rotary": "one_d", "token_prediction_rotary_theta": 50000, "patch_embed_dim": 512,
        "embed_selected_vit_patch": "linear", "embed_location": False,
        "vit_config": {
            "hidden_size": v["width"], "intermediate_size": v["mlp"], "num_hidden_layers": v["layers"],
            "num_attention_heads": v["heads"], "num_key_value_heads": v["heads"], "head_dim": head_dim,
            "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6, "image_default_input_size": [size.crop] * 2,
            "image_patch_size": 14, "image_num_pos": (size.crop // 14) ** 2,
        },
        "adapter_config": {
            "vit_layers": [-3, -9 if v["layers"] > 9 else -4], "hidden_size": v["width"],
            "num_attention_heads": v["heads"], "num_key_value_heads": v["heads"], "head_dim": head_dim,
            "hidden_act": "silu", "intermediate_size": d["mlp"], "text_hidden_size": d["width"],
            "pooling_attention_mask": True, "attention_pooling_out_layer": False, "positional_embeddings": None,
        },
        "text_config": {
            "hidden_size": d["width"], "num_attention_heads": d["heads"], "num_key_value_heads": d["kv_heads"],
            "head_dim": d["head_dim"], "vocab_size": first, "additional_vocab_size": 128, "qkv_bias": False,
            "num_hidden_layers": d["layers"], "intermediate_size": d["mlp"], "hidden_act": "silu",
            "max_position_embeddings": 36864, "rope_theta": 1e6, "rope_scaling": None, "use_qk_norm": True,
            "qk_norm_type": "qwen3", "layer_norm_eps": 1e-6, "norm_after": False, "tie_word_embeddings": False,
        },
    }  # fmt: skip


model = ModelEntry(
    "random-weights",
    "Random weights in the released layout, to measure speed with: " + ", ".join(SIZES),
    _load,
    argument="SIZE",
    weight_bytes=_weight_bytes,
)
