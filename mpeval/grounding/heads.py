"""The pointing heads: which image token, which patch in it, which ninth of the patch (paper, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mpeval.engine.config import ModelConfig
from mpeval.engine.layers import RMSNorm
from mpeval.engine.rotary import rotary_table, rotate, table_length

NOT_POINTABLE = -1e8
"""Logit of an image token that cannot be chosen at all."""
LOCATIONS = 9


@dataclass
class PointerKeys:
    """What the heads remember of a batch's media after the prefill."""

    patch_keys: Tensor
    """[batch, P + 1, width]: rotated keys of image tokens; the last one is no-more-points."""
    pointable: Tensor
    """[batch, P + 1] bool."""
    key_count: Tensor
    """[batch]: each sample's own number of keys, no-more-points included."""
    positions: Tensor
    """[batch, P]: rank of each image token among the sample's pointable ones (0 for the others)."""
    pooling: Tensor
    """[batch, P, S]: rows of `features` that each image token pools; -1 where there is none."""
    features: Tensor
    """[patches, feature_width]: ViT features of the whole batch."""
    image_features: Tensor
    """[batch, P, width]: connector features, added to PATCH's embedding."""

    @property
    def no_more_points(self) -> int:
        """Column of the no-more-points class."""
        return self.patch_keys.shape[1] - 1


class LearnedVector(nn.Module):
    """The key of the no-more-points class."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vector = nn.Parameter(torch.zeros(width))


class PointPredictor(nn.Module):
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.pointer is not None
        pointer, width, features = config.pointer, config.decoder.width, config.vision.feature_width
        self.config = pointer
        self.x_norm = RMSNorm(width, pointer.norm_eps)
        self.patch_q = nn.Linear(width, pointer.width)
        self.patch_k = nn.Linear(width, pointer.width)
        self.subpatch_q = nn.Linear(width, pointer.width)
        self.subpatch_k = nn.Linear(features, pointer.width)
        self.subpatch_loc_k = nn.Linear(width, LOCATIONS)
        self.add_no_point_class_embed = LearnedVector(pointer.width)

    def build_keys(
        self,
        hidden: Tensor,
        pointable: Tensor,
        real: Tensor,
        pooling: Tensor,
        features: Tensor,
        images: Tensor,
    ) -> PointerKeys:
        """Keys from the decoder's states (before the final norm) at the image tokens.

        hidden [batch, P, width], pointable and real [batch, P] bool (real: not padding of a shorter sample);
        the rest as `PointerKeys` holds it.
        """
        positions = (pointable.cumsum(-1) - 1).clamp(min=0)
        keys = self._rotate(self.patch_k(self.x_norm(hidden)), positions, positions.shape[1])
        # no-more-points stays unrotated: section 3.4 gives it position 0
        no_more = self.add_no_point_class_embed.vector.to(keys.dtype).expand(len(keys), 1, -1)
        return PointerKeys(
            patch_keys=torch.cat((keys, no_more), dim=1),
            pointable=torch.cat((pointable, pointable.new_ones(len(keys), 1)), dim=1),
            key_count=real.sum(-1) + 1,
            positions=positions,
            pooling=pooling,
            features=features,
            image_features=images,
        )

    def patch_logits(self, hidden: Tensor, rows: Tensor | None, keys: PointerKeys, previous: Tensor) -> Tensor:
        """Scores of image tokens and, last, of no-more-points.

        hidden [n, width] before the final norm, rows [n]: the sample of each query (None: one for each sample in
        order, whose keys are then not copied), previous [n]: the last selected image token, -1 where there is none.
        Returns [n, P + 1].
        """
        patch_keys, counts, pointable = (
            table if rows is None else table[rows] for table in (keys.patch_keys, keys.key_count, keys.pointable)
        )
        owners = torch.arange(len(hidden), device=hidden.device) if rows is None else rows
        position = keys.positions[owners, previous.clamp(min=0)] * (previous >= 0)
        query = self._rotate(self.patch_q(self.x_norm(hidden)), position, keys.positions.shape[1])
        scores = torch.bmm(patch_keys, query[:, :, None]).squeeze(2)
        scores = scores / counts[:, None].to(scores.dtype).sqrt()
        return scores.masked_fill(~pointable, NOT_POINTABLE)

    def subpatch_logits(self, hidden: Tensor, rows: Tensor, keys: PointerKeys, patch: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [n, S] of the patches pooled into image token `patch` [n], and which of them exist [n, S] bool."""
        pooled = keys.pooling[rows, patch]
        candidates = self.subpatch_k(keys.features[pooled.clamp(min=0)])
        scores = torch.bmm(candidates, self.subpatch_q(self.x_norm(hidden))[:, :, None]).squeeze(2)
        return scores / math.sqrt(self.config.width), pooled >= 0

    def location_logits(self, hidden: Tensor) -> Tensor:
        """Scores [n, 9] of the places in a patch. The release reads the un-normed state at inference."""
        return self.subpatch_loc_k(hidden)

    def _rotate(self, x: Tensor, positions: Tensor, count: int) -> Tensor:
        """All positions are below `count`."""
        length = table_length(count)
        table = rotary_table(length, self.config.width, self.config.rope_theta, None, torch.float32, x.device)
        cos, sin = table[positions].squeeze(-2).unbind(-2)
        return rotate(x.float(), cos, sin).to(x.dtype)
