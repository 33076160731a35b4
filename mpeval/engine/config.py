"""The configuration of a checkpoint, read from the released `config.json` and checked before any weight is."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mpeval.engine.shapes import ConnectorConfig, DecoderConfig, PointerConfig, TokenIds, VisionConfig, YarnScaling
from mpeval.errors import UserError


@dataclass(frozen=True)
class ModelConfig:
    family: str
    """`molmo_point` (grounding tokens) or `molmo2` (text coordinates)."""
    vision: VisionConfig
    connector: ConnectorConfig
    decoder: DecoderConfig
    pointer: PointerConfig | None
    tokens: TokenIds

    @classmethod
    def load(cls, path: Path) -> ModelConfig:
        """Read `config.json`. Raises `UserError` for a missing file, a missing key or an unsupported value."""
        try:
            raw = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise UserError(f"{path} is missing: give the folder of a checkpoint in the released layout") from error
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is not readable JSON ({error}): fetch the file again") from error
        return cls.from_json(raw, str(path))

    @classmethod
    def from_json(cls, raw: dict[str, Any], where: str = "config.json") -> ModelConfig:
        """Build from the released `config.json` (model_type `molmo_point` or `molmo2`)."""
        try:
            config = cls._read(_Section(raw, where, ""), where)
            config = msgspec.convert(msgspec.to_builtins(config), cls)  # checks every value's type
        except (TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
            raise UserError(f"{where} holds a value of the wrong kind ({error}): fetch the file again") from error
        _require_sound(config, where)
        return config

    @classmethod
    def _read(cls, root: _Section, where: str) -> ModelConfig:
        family = root["model_type"]
        if family not in ("molmo_point", "molmo2"):
            raise UserError(f"{where}: model_type {family!r} is not supported: expected molmo_point or molmo2")
        pointing = family == "molmo_point"
        vit, adapter = root.section("vit_config"), root.section("adapter_config")
        if vit["num_attention_heads"] != vit["num_key_value_heads"]:
            raise UserError(f"{where}: vit_config.num_key_value_heads must equal num_attention_heads")
        return cls(
            family=family,
            vision=_vision(vit, adapter),
            connector=_connector(adapter, pointing),
            decoder=_decoder(root.section("text_config")),
            pointer=_pointer(root) if pointing else None,
            tokens=_tokens(root, pointing),
        )


def _require_sound(config: ModelConfig, where: str) -> None:
    """Raises `UserError` for sizes and token ids that no model has, which otherwise show sample by sample."""
    for part in ("vision", "connector", "decoder", "pointer"):
        sizes = getattr(config, part)
        for name, size in vars(sizes).items() if sizes is not None else ():
            least = 0 if name == "extra_vocabulary" else 1
            if type(size) is int and not least <= size < 1 << 31:
                raise UserError(f"{where}: {name} of the {part} is {size}: fetch the file again")
    if config.decoder.heads % config.decoder.kv_heads:
        raise UserError(f"{where}: {config.decoder.kv_heads} key heads do not divide {config.decoder.heads} heads")
    ids = [id for id in vars(config.tokens).values() if config.pointer is not None or id != -1]
    if min(ids) < 0 or len(set(ids)) < len(ids):
        raise UserError(f"{where}: two special tokens have one id, or one has none: fetch the file again")


class _Section:
    """A part of the configuration whose missing keys are named in full."""

    def __init__(self, values: Any, where: str, prefix: str) -> None:
        if not isinstance(values, dict):
            raise UserError(f"{where}: {prefix.rstrip('.') or 'the file'} must be an object")
        self.values, self.where, self.prefix = values, where, prefix

    def __getitem__(self, key: str) -> Any:
        if key not in self.values:
            raise UserError(f"{self.where}: the key {self.prefix}{key} is missing: fetch the file again")
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def section(self, key: str) -> _Section:
        return _Section(self[key], self.where, f"{self.prefix}{key}.")

    def require(self, key: str, *allowed: Any) -> None:
        if self.get(key, allowed[0]) not in allowed:
            options = " or ".join(map(repr, allowed))
            raise UserError(f"{self.where}: {self.prefix}{key} = {self[key]!r} is not supported: expected {options}")


def _vision(vit: _Section, adapter: _Section) -> VisionConfig:
    layers = vit["num_hidden_layers"]
    outputs = tuple(i if i >= 0 else layers + i for i in adapter["vit_layers"])
    height, width = vit["image_default_input_size"]
    return VisionConfig(
        width=vit["hidden_size"],
        mlp_width=vit["intermediate_size"],
        heads=vit["num_attention_heads"],
        head_dim=vit["head_dim"],
        layers=max(outputs) + 1,
        outputs=outputs,
        patch_size=vit["image_patch_size"],
        crop_size=(height, width),
        positions=vit["image_num_pos"],
        norm_eps=vit["layer_norm_eps"],
        activation=vit["hidden_act"],
    )


def _connector(adapter: _Section, pointing: bool) -> ConnectorConfig:
    adapter.require("hidden_act", "silu")
    if not pointing:  # Molmo2 has one connector, whose files need not name these
        adapter.require("pooling_attention_mask", True)
        adapter.require("positional_embeddings", None)
        adapter.require("attention_pooling_out_layer", True)
    return ConnectorConfig(
        width=adapter["hidden_size"],
        heads=adapter["num_attention_heads"],
        head_dim=adapter["head_dim"],
        mlp_width=adapter["intermediate_size"],
        output_layer=adapter["attention_pooling_out_layer"] if pointing else True,
        positional_embeddings=(adapter["positional_embeddings"] or None) if pointing else None,
        mask_padding=adapter["pooling_attention_mask"] if pointing else True,
    )


def _decoder(text: _Section) -> DecoderConfig:
    text.require("hidden_act", "silu")
    text.require("qk_norm_type", "qwen3", "olmo")
    return DecoderConfig(
        width=text["hidden_size"],
        mlp_width=text["intermediate_size"],
        layers=text["num_hidden_layers"],
        heads=text["num_attention_heads"],
        kv_heads=text["num_key_value_heads"],
        head_dim=text["head_dim"],
        vocabulary=text["vocab_size"],
        extra_vocabulary=text.get("additional_vocab_size") or 0,
        norm_eps=text["layer_norm_eps"],
        rope_theta=text["rope_theta"],
        yarn=_yarn(text),
        qk_norm=text.get("qk_norm_type", "qwen3") if text.get("use_qk_norm", True) else None,
        qkv_bias=text.get("qkv_bias", False),
        norm_after=text.get("norm_after", False),
        tied_head=text.get("tie_word_embeddings", False),
        max_length=text["max_position_embeddings"],
    )


def _yarn(text: _Section) -> YarnScaling | None:
    if text.get("rope_scaling") is None:
        return None
    scaling = text.section("rope_scaling")
    kind = scaling.get("rope_type", scaling.get("type"))  # `type` is the older name
    if kind != "yarn":
        raise UserError(f"{scaling.where}: {scaling.prefix}rope_type = {kind!r} is not supported: expected 'yarn'")
    # Ways to choose the attention factor and the ramp's ends that no released checkpoint uses.
    scaling.require("mscale", None)
    scaling.require("mscale_all_dim", None)
    scaling.require("truncate", True)
    factor = scaling["factor"]
    layers = text.get("rope_scaling_layers")
    return YarnScaling(
        factor=factor,
        original_length=scaling["original_max_position_embeddings"],
        attention_factor=scaling.get("attention_factor") or 0.1 * math.log(factor) + 1.0,
        beta_fast=scaling.get("beta_fast") or 32,
        beta_slow=scaling.get("beta_slow") or 1,
        layers=tuple(range(text["num_hidden_layers"]) if layers is None else layers),
    )


def _pointer(root: _Section) -> PointerConfig:
    # One architecture was released; the switches of its development are refused rather than half supported.
    root.require("patch_location", "3x3")
    root.require("no_more_points_class", True)
    root.require("norm_logits", True)
    root.require("layer_norm_x", True)
    root.require("token_prediction_rotary", "one_d")
    root.require("embed_selected_vit_patch", "linear")
    root.require("embed_location", False)
    return PointerConfig(
        width=root["patch_embed_dim"],
        rope_theta=root["token_prediction_rotary_theta"],
        norm_eps=root.section("text_config")["layer_norm_eps"],
    )


def _tokens(root: _Section, pointing: bool) -> TokenIds:
    image_start, low_res_start = root["image_start_token_id"], root.get("low_res_image_start_token_id")
    return TokenIds(
        image_start=image_start,
        image_end=root["image_end_token_id"],
        image_patch=root["image_patch_id"],
        image_column=root["image_col_id"],
        # The released MolmoPoint files hold null here: the converter leaves it out. All special tokens follow each
        # other in one order (allenai/molmo2, olmo/tokenizer.py, EXTRA_TOKENS).
        low_res_start=image_start + 4 if low_res_start is None else low_res_start,
        frame_start=root["frame_start_token_id"],
        frame_end=root["frame_end_token_id"],
        image_low=root["image_non_indexable_patch_id"] if pointing else -1,
        patch=root["patch_token_id"] if pointing else -1,
        subpatch=root["subpatch_token_id"] if pointing else -1,
        location=root["location_token_id"] if pointing else -1,
    )
