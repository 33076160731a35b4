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
        # Windows wider than there are places belong to another sample of the batch.
        bias = self.bias[: x.shape[-2]]
        return x + F.pad(bias, (0, 0, 0, x.shape[-2] - len(bias)))


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

    def forward(self, patches: Tensor, valid: Tensor, own: Tensor | None = None) -> Tensor:
        """patches [tokens, pool, feature_width] (padding is zero) -> [tokens, width].

        valid [tokens, pool] bool: there is a patch; own [tokens, pool] bool: the place belongs to the sample's own
        windows, and not to the wider ones of another sample of the batch (None: all do). The query is the mean of
        the patches that are there; without `mask_padding` zeros stand where there are none, and are attended to.
        """
        if self.positional_embeddings is not None:
            patches = self.positional_embeddings(patches)
            patches = patches if own is None else patches * own[..., None]
        if not self.mask_padding:
            patches = patches * valid[..., None]
        count = valid.sum(-1).clamp(min=1)[:, None, None].to(patches.dtype)
        query = patches.sum(1, keepdim=True) / count
        mask = valid if self.mask_padding else own
        mask = None if mask is None else mask[:, None, None, :]
        return self.image_projector(self.image_pooling_2d(query, patches, mask)).squeeze(1)
