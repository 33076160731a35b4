"""The decoder: a Qwen3-like transformer. How its tokens attend is in `attention.py`, the cache in `cache.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mpeval.engine.attention import Attention, Masked
from mpeval.engine.layers import Kept, RMSNorm, linear, rms_norm
from mpeval.engine.rotary import rotary_table, rotate, table_length
from mpeval.engine.shapes import DecoderConfig, YarnScaling

TOKENS_AT_ONCE = 2048
"""How many tokens of a sample go through the MLP together: longer prompts are cut, which bounds what a prefill holds
beside its cache."""


class SelfAttention(nn.Module):
    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads, self.kv_heads, self.head_dim = (
            layer,
            config.heads,
            config.kv_heads,
            config.head_dim,
        )
        self.widths = [config.heads * config.head_dim] + 2 * [config.kv_heads * config.head_dim]
        self.att_proj = nn.Linear(config.width, sum(self.widths), bias=config.qkv_bias)
        self.attn_out = nn.Linear(self.widths[0], config.width, bias=False)
        self.norm_heads, self.eps = config.qk_norm == "qwen3", config.norm_eps
        self.q_norm: nn.Module = nn.Identity()
        self.k_norm: nn.Module = nn.Identity()
        if config.qk_norm:
            query, key = (config.head_dim, config.head_dim) if self.norm_heads else self.widths[:2]
            self.q_norm, self.k_norm = RMSNorm(query, config.norm_eps), RMSNorm(key, config.norm_eps)
        self.norms, self.scaled = Kept(), Kept()

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], attention: Attention) -> Tensor:
        heads = linear(x, self.att_proj.weight, self.att_proj.bias).unflatten(-1, (-1, self.head_dim))
        both, v = heads.split_with_sizes((self.heads + self.kv_heads, self.kv_heads), dim=2)
        q, k = rotate(self._normed(both), *rotation).split_with_sizes((self.heads, self.kv_heads), dim=2)
        return linear(attention(self.layer, q, k, v).flatten(2), self.attn_out.weight)

    def _normed(self, both: Tensor) -> Tensor:
        """Queries and keys [batch, n, heads + kv_heads, head_dim]."""
        if self.norm_heads:
            assert isinstance(self.q_norm, RMSNorm) and isinstance(self.k_norm, RMSNorm)
            # of all heads at once: a decoding step is short, and each small operation counts
            weight = self.norms.get(self._join, self.q_norm.weight, self.k_norm.weight)
            return rms_norm(both, weight, self.eps, self.scaled)
        if isinstance(self.q_norm, RMSNorm):
            q, k = both.flatten(2).split(self.widths[:2], dim=-1)
            return torch.cat((self.q_norm(q), self.k_norm(k)), dim=-1).unflatten(-1, (-1, self.head_dim))
        return both

    def _join(self, q_weight: Tensor, k_weight: Tensor) -> Tensor:
        """The norms' weights for each head: [heads + kv_heads, head_dim]."""
        return torch.cat((q_weight.expand(self.heads, -1), k_weight.expand(self.kv_heads, -1)))


class GatedMLP(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.ff_proj = nn.Linear(config.width, 2 * config.mlp_width, bias=False)
        self.ff_out = nn.Linear(config.mlp_width, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] <= TOKENS_AT_ONCE:
            return self._part(x)
        return torch.cat([self._part(rows) for rows in x.split(TOKENS_AT_ONCE, dim=1)], dim=1)

    def _part(self, x: Tensor) -> Tensor:
        value, gate = linear(x, self.ff_proj.weight).chunk(2, dim=-1)
        return linear(F.silu(gate) * value, self.ff_out.weight)


class DecoderBlock(nn.Module):
    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.norm_after = config.norm_after
        self.self_attn = SelfAttention(config, layer)
        self.mlp = GatedMLP(config)
        self.attn_norm = RMSNorm(config.width, config.norm_eps)
        self.ff_norm = RMSNorm(config.width, config.norm_eps)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor], attention: Attention) -> Tensor:
        if self.norm_after:
            x = x + self.attn_norm(self.self_attn(x, rotation, attention))
            return x + self.ff_norm(self.mlp(x))
        x = x + self.self_attn(self.attn_norm(x), rotation, attention)
        return x + self.mlp(self.ff_norm(x))


class Embedding(nn.Module):
    """The base vocabulary and the rows added for special tokens, as two tables (the checkpoint's layout)."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(config.vocabulary, config.width))
        self.new_embedding = nn.Parameter(torch.zeros(config.extra_vocabulary, config.width))

    def forward(self, ids: Tensor) -> Tensor:
        # Two gathers: joining the tables would copy the whole vocabulary at every step.
        base = len(self.embedding)
        old = F.embedding(ids.clamp(max=base - 1), self.embedding)
        new = F.embedding((ids - base).clamp(min=0), self.new_embedding)
        return torch.where((ids >= base)[..., None], new, old)


class Decoder(nn.Module):
    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = Embedding(config)
        self.blocks = nn.ModuleList(DecoderBlock(config, layer) for layer in range(config.layers))
        self.ln_f = RMSNorm(config.width, config.norm_eps)
        self.scaled = [config.yarn is not None and layer in config.yarn.layers for layer in range(config.layers)]

    def forward(self, x: Tensor, positions: Tensor, attention: Attention | Tensor | None) -> Tensor:
        """Hidden states before the final norm.

        x [batch, n, width], positions [batch, n]; attention: how tokens see each other, or a mask [batch, 1, n, n] bool
        (True: seen; None: all is).
        """
        if attention is None or isinstance(attention, Tensor):
            attention = Masked(attention, x.shape[1])
        plain, stretched = self.rotations(positions, attention.span, x.dtype)
        for block, scaled in zip(self.blocks, self.scaled, strict=True):
            x = block(x, stretched if scaled else plain, attention)
        return x

    def rotations(
        self, positions: Tensor, span: int, dtype: torch.dtype
    ) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """cos, sin [batch, n, 1, head_dim] in `dtype`: plain ones, and those of layers with YaRN. Positions are below
        `span`."""
        plain = self._rotation(positions, span, dtype, None)
        yarn = self.config.yarn
        return plain, self._rotation(positions, span, dtype, yarn) if yarn else plain

    def _rotation(
        self, positions: Tensor, span: int, dtype: torch.dtype, yarn: YarnScaling | None
    ) -> tuple[Tensor, Tensor]:
        length = table_length(span)
        table = rotary_table(length, self.config.head_dim, self.config.rope_theta, yarn, dtype, positions.device)
        cos, sin = table[positions].unbind(-3)
        return cos, sin
