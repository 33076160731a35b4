"""What `speed.py` times: random models in the released layout, and prepared queries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

QUERIES = 16
"""Different pictures; as many questions on the first of them follow."""


@dataclass(frozen=True)
class Size:
    """A model, what it is asked, and how often."""

    width: int
    mlp: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    vit_width: int
    vit_mlp: int
    vit_layers: int
    """Those that are built: the last one's output is the first of the two that are used."""
    vit_other: int
    """The other used output, counted from the end."""
    vit_heads: int
    crop: int
    """Pixels of a crop's side, 14 a patch."""
    pointer_width: int
    scale: float
    """Standard deviation of the weights."""
    patch_bias: float
    """Added to PATCH's row of the output head, so that answers hold points."""
    crops: int
    """High-resolution crops of a picture, beside its low-resolution view."""
    question: int
    """Tokens."""
    tokens: int
    """Tokens of each answer."""
    rounds: int
    """Processes of each program, taking turns."""
    asked: int
    """Pictures that a release's process is asked about, one at a time."""
    threads: int | None
    """None: as many as there are cores."""


SIZES = {
    "parity": Size(
        width=64, mlp=128, layers=2, heads=4, kv_heads=2, head_dim=16, vocabulary=256, vit_width=48, vit_mlp=96,
        vit_layers=4, vit_other=-3, vit_heads=4, crop=56, pointer_width=32, scale=0.08, patch_bias=0.6, crops=4,
        question=12, tokens=64, rounds=5, asked=16, threads=1,
    ),
    "0.5b": Size(
        width=1024, mlp=3072, layers=36, heads=8, kv_heads=2, head_dim=128, vocabulary=37_984, vit_width=288,
        vit_mlp=1076, vit_layers=25, vit_other=-7, vit_heads=4, crop=378, pointer_width=128, scale=0.02,
        patch_bias=0.1, crops=1, question=20, tokens=64, rounds=3, asked=1, threads=None,
    ),
}  # fmt: skip
"""`parity`: the shapes of the folders that `mpeval verify` checks. `0.5b`: MolmoPoint-8B with all widths, heads and the
vocabulary divided by four, and as many layers."""


def configuration(size: Size) -> dict[str, Any]:
    """`config.json` in the released layout."""
    names = ["image_start_token_id", "image_end_token_id", "image_patch_id", "image_col_id"]
    names += ["low_res_image_start_token_id", "image_non_indexable_patch_id", "frame_start_token_id"]
    names += ["frame_end_token_id", "patch_token_id", "subpatch_token_id", "location_token_id"]
    special = {name: size.vocabulary + place for place, name in enumerate(names)}
    side, head_dim = size.crop // 14, size.vit_width // size.vit_heads
    encoder_heads = dict(num_attention_heads=size.vit_heads, num_key_value_heads=size.vit_heads, head_dim=head_dim)
    vit = dict(
        encoder_heads, hidden_size=size.vit_width, intermediate_size=size.vit_mlp, num_hidden_layers=size.vit_layers,
        hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, image_default_input_size=[size.crop, size.crop],
        image_patch_size=14, image_num_pos=side * side, attn_implementation="sdpa",
    )  # fmt: skip
    adapter = dict(
        encoder_heads, vit_layers=[-1, size.vit_other], hidden_size=size.vit_width, hidden_act="silu",
        intermediate_size=size.mlp, text_hidden_size=size.width, attention_pooling_out_layer=False,
        positional_embeddings=None, pooling_attention_mask=True, attn_implementation="sdpa",
    )  # fmt: skip
    text = dict(
        hidden_size=size.width, num_attention_heads=size.heads, num_key_value_heads=size.kv_heads,
        head_dim=size.head_dim, vocab_size=size.vocabulary, additional_vocab_size=128, qkv_bias=False,
        num_hidden_layers=size.layers, intermediate_size=size.mlp, hidden_act="silu", max_position_embeddings=36864,
        rope_theta=1e6, rope_scaling=None, use_qk_norm=True, qk_norm_type="qwen3", layer_norm_eps=1e-6,
        norm_after=False, tie_word_embeddings=False, attn_implementation="sdpa",
    )  # fmt: skip
    return dict(
        special, model_type="molmo_point", architectures=["MolmoPointForConditionalGeneration"], vit_config=vit,
        adapter_config=adapter, text_config=text, patch_location="3x3", no_more_points_class=True, norm_logits=True,
        layer_norm_x=True, token_prediction_rotary="one_d", token_prediction_rotary_theta=50000,
        patch_embed_dim=size.pointer_width, patch_embedding_kind="linear", embed_selected_vit_patch="linear",
        embed_location=False, mask_patches="always", mask_subpatches="inference", mask_repeats="inference",
        use_frame_special_tokens=True, tie_word_embeddings=False,
    )  # fmt: skip


def write_checkpoint(folder: Path, size: Size) -> int:
    """A model with random weights, seed 0, in the released layout; returns its number of parameters."""
    import torch

    from mpeval.engine.checkpoint import save_weights
    from mpeval.engine.config import ModelConfig
    from mpeval.engine.model import VisionLanguageModel

    raw = configuration(size)
    model = VisionLanguageModel(ModelConfig.from_json(raw))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            norm = "norm" in name and name.endswith("weight")
            parameter.normal_(float(norm), 0.1 if norm else size.scale, generator=generator)
        assert model.lm_head is not None
        model.lm_head.new_output_embeddings[raw["patch_token_id"] - size.vocabulary] += size.patch_bias
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(model, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(raw, indent=1))
    return sum(parameter.numel() for parameter in model.parameters())


def write_queries(file: Path, size: Size) -> int:
    """`QUERIES` questions on as many random pictures, then as many on the first picture, seed 0.

    All prompts are equally long; returns their number of tokens.

    ids, types (1: media) [queries, n]; pixels [queries, crops, patches, 588]; pooling [queries, image tokens, 4]; grid
    [queries, 4]: rows and columns of image tokens in the low-resolution view, then in the crops.
    """
    special = configuration(size)
    side, rng = size.crop // 14, np.random.default_rng(0)
    half, crops = side // 2, 1 + size.crops
    low = [special["low_res_image_start_token_id"], *[special["image_non_indexable_patch_id"]] * half * half]
    row = [*[special["image_patch_id"]] * half * size.crops, special["image_col_id"]]
    end = special["image_end_token_id"]
    media = [*low, end, special["image_start_token_id"], *row * half, end]
    start = [1, *rng.integers(2, 200, 3).tolist()]
    texts = rng.integers(2, 200, (2 * QUERIES, size.question)).tolist()
    patches = np.arange(crops * side * side).reshape(crops, side, side)[:, : 2 * half, : 2 * half]
    windows = patches.reshape(crops, half, 2, half, 2).transpose(0, 1, 3, 2, 4).reshape(crops, half, half, 4)
    # crops lie beside each other: a row of image tokens runs through all of them
    view = windows[1:].transpose(1, 0, 2, 3).reshape(-1, 4)
    pooling = np.concatenate([windows[0].reshape(-1, 4), view])
    pixels = rng.uniform(-1, 1, (QUERIES, crops, side * side, 588)).astype(np.float32)
    shared = np.broadcast_to(pixels[:1], pixels.shape)
    types = [0] * len(start) + [1] * len(media) + [0] * size.question
    np.savez(
        file,
        ids=np.array([[*start, *media, *text] for text in texts]),
        types=np.array([types] * 2 * QUERIES),
        pixels=np.concatenate([pixels, shared]),
        pooling=np.stack([pooling] * 2 * QUERIES),
        grid=np.array([[half, half, half, half * size.crops]] * 2 * QUERIES),
    )
    return len(types)
