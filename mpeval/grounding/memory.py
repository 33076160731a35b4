"""What the pointing heads remember of the media in each slot, stored once a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from mpeval.grounding.heads import PointerKeys, PointPredictor


class PointerMemory:
    """`PointerKeys` of all slots, allocated once; wider where a sample with more media comes.

    Each slot has room for the same number of patches, so that `pooling` names rows of one table of features.
    """

    def __init__(self, heads: PointPredictor, slots: int, dtype: torch.dtype) -> None:
        self.heads, self.slots, self.dtype = heads, slots, dtype
        self.patches = 0
        """Patches a slot has room for."""
        self.keys = self._empty(1, 1, 1)
        self._first: tuple[int, PointerKeys] = (slots, self.keys)

    def first(self, count: int) -> PointerKeys:
        """The first `count` slots, without a copy."""
        if self._first[0] != count:
            self._first = (count, self._narrowed(count))
        return self._first[1]

    def _narrowed(self, count: int) -> PointerKeys:
        k = self.keys
        return PointerKeys(
            k.patch_keys[:count],
            k.pointable[:count],
            k.key_count[:count],
            k.positions[:count],
            k.pooling[:count],
            k.features,
            k.image_features[:count],
        )

    def forget(self, slot: int) -> None:
        """A sample without media: nothing can be pointed at."""
        self.keys.pointable[slot, :-1] = False
        self.keys.key_count[slot] = 1

    def put(self, slot: int, keys: PointerKeys, row: int, image_tokens: int, patches: slice) -> None:
        """Take over one sample of a prefill: its row there, its image tokens, its rows of `keys.features`."""
        width = keys.pooling.shape[-1]
        self._fit(image_tokens, width, patches.stop - patches.start)
        mine, own = self.keys, slice(0, image_tokens)
        self.forget(slot)
        mine.patch_keys[slot, own] = keys.patch_keys[row, own]
        mine.pointable[slot, own] = keys.pointable[row, own]
        mine.key_count[slot] = image_tokens + 1
        mine.positions[slot, own] = keys.positions[row, own]
        mine.image_features[slot, own] = keys.image_features[row, own]
        pooled, first = keys.pooling[row, own], slot * self.patches
        mine.pooling[slot, own] = -1
        mine.pooling[slot, own, :width] = torch.where(pooled >= 0, pooled - patches.start + first, -1)
        mine.features[first : first + patches.stop - patches.start] = keys.features[patches]

    def copy(self, source: int, target: int) -> None:
        """One slot's media to another slot."""
        k = self.keys
        for table in (k.patch_keys, k.pointable, k.key_count, k.positions, k.image_features):
            table[target] = table[source]
        shift = (target - source) * self.patches
        k.pooling[target] = torch.where(k.pooling[source] >= 0, k.pooling[source] + shift, -1)
        features = k.features.view(self.slots, self.patches, -1)
        features[target] = features[source]

    def _fit(self, image_tokens: int, width: int, patches: int) -> None:
        """Make room for a sample; what is there stays."""
        old, had = self.keys, self.patches
        (_, tokens, pool) = old.pooling.shape
        if image_tokens <= tokens and width <= pool and patches <= had:
            return
        new = self._empty(max(image_tokens, tokens), max(width, pool), max(patches, had))
        new.patch_keys[:, :tokens] = old.patch_keys[:, :-1]
        new.pointable[:, :tokens] = old.pointable[:, :-1]
        new.key_count[:] = old.key_count
        new.positions[:, :tokens] = old.positions
        new.image_features[:, :tokens] = old.image_features
        starts = torch.arange(self.slots, device=old.pooling.device)[:, None, None]
        moved = old.pooling + starts * (self.patches - had)
        new.pooling[:, :tokens, :pool] = torch.where(old.pooling >= 0, moved, -1)
        new.features.view(self.slots, self.patches, -1)[:, :had] = old.features.view(self.slots, had, -1)
        self.keys = new
        self._first = (self.slots, new)

    def _empty(self, image_tokens: int, width: int, patches: int) -> PointerKeys:
        heads, slots = self.heads, self.slots
        like = heads.add_no_point_class_embed.vector

        def zeros(*shape: int, dtype: torch.dtype = self.dtype) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=like.device)

        keys = zeros(slots, image_tokens + 1, len(like))
        keys[:, -1] = like
        pointable = zeros(slots, image_tokens + 1, dtype=torch.bool)
        pointable[:, -1] = True
        self.patches = patches
        return PointerKeys(
            patch_keys=keys,
            pointable=pointable,
            key_count=zeros(slots, dtype=torch.long) + 1,
            positions=zeros(slots, image_tokens, dtype=torch.long),
            pooling=zeros(slots, image_tokens, width, dtype=torch.long) - 1,
            features=zeros(slots * patches, heads.subpatch_k.in_features),
            image_features=zeros(slots, image_tokens, heads.patch_q.in_features),
        )
