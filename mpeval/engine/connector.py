"""The connector: attention pooling of neighbouring patches, then a gated MLP into the decoder's width."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mpeval.engine.config import ModelConfig
from mpeval.engine.vision import AttentionProjections


class GatedProjector(nn.Module):
    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(inputs, hidden, bias=False)
        self.w2 = nn.Linear(hidden, outputs, bias=False)
        self.w3 = nn.Linear(inputs, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(F.silu(self.w1(x)) * self.w3(x))


class PooledPositions(nn.Module):
    """A learned offset for each place within a pooling window."""

    def __init__(self, places: int, width: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(places, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias[: x.shape[-2]]


class Connector(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        c, features = config.connector, config.vision.feature_width
        self.mask_padding = c.mask_padding
        self.image_pooling_2d = AttentionProjections(features, c.heads, c.head_dim, c.width if c.output_layer else None)
        self.image_projector = GatedProjector(c.width, c.mlp_width, config.decoder.width)
        self.positional_embeddings = (
            PooledPositions(c.positional_embeddings, features) if c.positional_embeddings else None
        )

    def forward(self, patches: Tensor, valid: Tensor) -> Tensor:
        """patches [tokens, pool, feature_width] (padding is zero), valid [tokens, pool] bool -> [tokens, width].

        The query is the mean of the patches that are there.
        """
        if self.positional_embeddings is not None:
            patches = self.positional_embeddings(patches)
        if not self.mask_padding:
            patches = patches * valid[..., None]
        count = valid.sum(-1).clamp(min=1)[:, None, None].to(patches.dtype)
        query = patches.sum(1, keepdim=True) / count
        mask = valid[:, None, None, :] if self.mask_padding else None
        return self.image_projector(self.image_pooling_2d(query, patches, mask)).squeeze(1)
