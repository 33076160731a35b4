"""The model: encoder, connector, decoder, output head and, for grounding tokens, the pointing heads.

Module names follow the released checkpoint, so that its tensors load by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mpeval.engine.batch import MediaInputs
from mpeval.engine.cache import Cache
from mpeval.engine.config import ModelConfig
from mpeval.engine.connector import Connector
from mpeval.engine.decoder import Decoder
from mpeval.engine.layers import linear
from mpeval.engine.vision import VisionEncoder
from mpeval.grounding.heads import PointerKeys, PointPredictor
from mpeval.grounding.semantics import NATIVE, Semantics

NO_MORE_POINTS = 1_000_000
"""The released label of the no-more-points class among patch ids."""


@dataclass(frozen=True)
class MediaFeatures:
    patches: Tensor
    """[patches, feature_width]: ViT features of all crops of the batch, flattened."""
    tokens: Tensor
    """[tokens, width]: connector features, one an image token, in sequence order."""
    inputs: MediaInputs


class Head(nn.Module):
    """The output head of an untied model: a row a token, in the checkpoint's two tables or Molmo2's one."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        d = config.decoder
        if config.pointer:
            self.output_embeddings = nn.Parameter(torch.zeros(d.vocabulary, d.width))
            self.new_output_embeddings = nn.Parameter(torch.zeros(d.extra_vocabulary, d.width))
        else:
            self.weight = nn.Parameter(torch.zeros(d.vocabulary, d.width))

    def tables(self) -> tuple[Tensor, ...]:
        if hasattr(self, "weight"):
            return (self.weight,)
        return self.output_embeddings, self.new_output_embeddings


class VisionLanguageModel(nn.Module):
    def __init__(self, config: ModelConfig, semantics: Semantics = NATIVE) -> None:
        super().__init__()
        self.config, self.semantics = config, semantics
        self.vit = VisionEncoder(config.vision)
        self.connector = Connector(config)
        self.transformer = Decoder(config.decoder)
        # Molmo2's checkpoints hold a head of their own even where the decoder had none
        self.lm_head = None if config.pointer and config.decoder.tied_head else Head(config)
        self.point_predictor: PointPredictor | None = None
        self.build_vit_embedding: nn.Linear | None = None
        if config.pointer:
            self.point_predictor = PointPredictor(config)
            self.build_vit_embedding = nn.Linear(config.vision.feature_width, config.decoder.width)

    @property
    def device(self) -> torch.device:
        return self.transformer.ln_f.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.transformer.ln_f.weight.dtype

    def encode(self, media: MediaInputs, crops_at_once: int | None = None) -> MediaFeatures:
        """Run the encoder over all crops of the batch, and pool its features into image tokens.

        crops_at_once: how many crops go through the encoder together; None: all.
        """
        parts = media.pixels.split(crops_at_once or len(media.pixels))
        patches = torch.cat([self.vit(crops).flatten(0, 1) for crops in parts])
        valid = media.pooling >= 0
        pooled = patches[media.pooling.clamp(min=0)] * valid[..., None]
        places = torch.arange(valid.shape[1], device=valid.device)
        own = places < media.pool_widths.repeat_interleave(media.token_counts)[:, None]
        return MediaFeatures(patches, self.connector(pooled, valid, own), media)

    def image_tokens(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Which ids [batch, n] carry an image feature, and which of these can be pointed at (bool)."""
        tokens = self.config.tokens
        pointable = ids == tokens.image_patch
        return pointable | (ids == tokens.image_low), pointable

    def embed(self, ids: Tensor, media: MediaFeatures | None = None) -> Tensor:
        """Input embeddings of ids [...]: [..., width]; image features are added where `media` is given."""
        rows = ids
        if self.semantics.shared_low_row:
            rows = ids.masked_fill(ids == self.config.tokens.image_low, self.config.tokens.image_patch)
        x = self.transformer.wte(rows)
        if media is None:
            return x
        places = self.image_tokens(ids)[0].flatten().nonzero().squeeze(1)
        return x.flatten(0, 1).index_add(0, places, media.tokens.to(x.dtype)).view_as(x)

    def embed_subpatch(self, token_embedding: Tensor, feature: Tensor) -> Tensor:
        """SUBPATCH's input from its token's embedding [n, width] and the chosen ViT feature [n, feature_width]."""
        assert self.build_vit_embedding is not None
        projected = self.build_vit_embedding(feature)
        return token_embedding + projected if self.semantics.add_subpatch else projected

    def pointer_keys(self, ids: Tensor, hidden: Tensor, media: MediaFeatures) -> PointerKeys:
        """The pointing heads' memory of a prefill: ids [batch, n], hidden [batch, n, width] before the norm."""
        assert self.point_predictor is not None
        carries, pointable = self.image_tokens(ids)
        counts = media.inputs.token_counts
        width = int(counts.max())
        real = torch.arange(width, device=ids.device)[None] < counts[:, None]

        def spread(flat: Tensor, fill: float = 0) -> Tensor:
            """[tokens, ...] to [batch, width, ...], shorter samples filled at the end."""
            out = flat.new_full((*real.shape, *flat.shape[1:]), fill)
            out[real] = flat
            return out

        return self.point_predictor.build_keys(
            hidden=spread(hidden[carries]),
            pointable=spread(pointable[carries]),
            real=real,
            pooling=spread(media.inputs.pooling, fill=-1),
            features=media.patches,
            images=spread(media.tokens),
        )

    def logits(self, hidden: Tensor) -> Tensor:
        """Token logits [..., vocabulary + extra] from states before the final norm.

        Molmo2's head has no rows for the extra tokens.
        """
        x = self.transformer.ln_f(hidden)
        wte = self.transformer.wte
        tables = (wte.embedding, wte.new_embedding) if self.lm_head is None else self.lm_head.tables()
        return torch.cat([linear(x, table) for table in tables], dim=-1)

    def prefill_mask(self, ids: Tensor, real: Tensor) -> Tensor:
        """[batch, 1, n, n] bool: causal, both directions among media tokens, nothing of the padding."""
        n = ids.shape[1]
        media = torch.isin(ids, torch.tensor(self.config.tokens.media, device=ids.device)) & real
        causal = torch.ones(n, n, dtype=torch.bool, device=ids.device).tril()
        mask = (causal | (media[:, :, None] & media[:, None, :])) & real[:, None, :]
        # a padding row sees itself: a softmax over nothing is not a number
        return (mask | torch.eye(n, dtype=torch.bool, device=ids.device))[:, None]

    def new_cache(self, slots: int, capacity: int) -> Cache:
        return Cache(self.config.decoder, slots, capacity, self.dtype, self.device)
