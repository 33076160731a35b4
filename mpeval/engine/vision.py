"""The vision encoder: a plain ViT without class token (SigLIP 2 in the released models)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mpeval.engine.config import VisionConfig
from mpeval.errors import UserError

ACTIVATIONS = {"gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"), "gelu": F.gelu, "silu": F.silu}


class AttentionProjections(nn.Module):
    """Multi-head attention with separate projections, as the encoder and the connector's pooling use it."""

    def __init__(self, inputs: int, heads: int, head_dim: int, outputs: int | None) -> None:
        super().__init__()
        self.heads = heads
        self.wq = nn.Linear(inputs, heads * head_dim)
        self.wk = nn.Linear(inputs, heads * head_dim)
        self.wv = nn.Linear(inputs, heads * head_dim)
        self.wo = nn.Linear(heads * head_dim, outputs) if outputs else None

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> Tensor:
        """query [n, q, inputs], keys [n, k, inputs], mask [n, 1, 1, k] bool (True: seen) -> [n, q, outputs]."""
        q, k, v = (
            projection(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, x in ((self.wq, query), (self.wk, keys), (self.wv, keys))
        )
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        return out if self.wo is None else self.wo(out)


class FeedForward(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        if config.activation not in ACTIVATIONS:
            raise UserError(f"config.json: vit_config.hidden_act = {config.activation!r} is not supported")
        self.act = ACTIVATIONS[config.activation]
        self.w1 = nn.Linear(config.width, config.mlp_width)
        self.w2 = nn.Linear(config.mlp_width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(self.act(self.w1(x)))


class VisionBlock(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.attention = AttentionProjections(config.width, config.heads, config.head_dim, config.width)
        self.feed_forward = FeedForward(config)
        self.attention_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.ffn_norm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.attention_norm(x)
        x = x + self.attention(normed, normed)
        return x + self.feed_forward(self.ffn_norm(x))


class VisionBlocks(nn.Module):
    """The blocks under the checkpoint's own name for them."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(VisionBlock(config) for _ in range(config.layers))


class VisionEncoder(nn.Module):
    """Crops of patches in, features of chosen blocks out."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.outputs = config.outputs
        self.positional_embedding = nn.Parameter(torch.zeros(config.positions, config.width))
        self.patch_embedding = nn.Linear(3 * config.patch_size**2, config.width)
        self.transformer = VisionBlocks(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels [crops, patches, 3 * patch_size ** 2] -> features [crops, patches, feature_width]."""
        x = self.patch_embedding(pixels) + self.positional_embedding
        states = []
        for block in self.transformer.resblocks:
            x = block(x)
            states.append(x)
        return torch.cat([states[i] for i in self.outputs], dim=-1)
