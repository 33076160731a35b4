"""The ways in which a forward pass of the decoder attends, and what of it goes to the cache.

Each is called once a layer with queries [batch, n, heads, head_dim] and keys and values [batch, n, kv_heads,
head_dim], rotated already, and gives [batch, n, heads, head_dim]. Which kernel runs is decided here: one without a mask
where what is seen needs none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine.cache import Cache
from mpeval.engine.flash import Slots, decode, has_flash

ROWS_AT_ONCE = 2048
"""Queries of a sample that attend together where they need a mask: bounds what it takes."""
READ_AT_ONCE = 1 << 15
"""Positions of slots that questions read together: more would take more memory for their copies."""
DENSE = 256
"""Prompts up to this length attend with one mask: more calls would take longer than what they save."""


class Attention(Protocol):
    @property
    def span(self) -> int:
        """All positions are below it."""

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Masked:
    """A batch that sees itself through a mask; nothing is kept."""

    mask: Tensor | None
    """[batch, 1, n, n] bool, True where seen; None: everything."""
    span: int

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend(q, k, v, self.mask)


@dataclass(frozen=True)
class Layout:
    """How a prompt's tokens see each other: causally, and its media in both directions."""

    length: int
    start: int
    """The first media token."""
    end: int
    """Behind the last media token; with `start` both 0 where there is none."""
    inside: tuple[int, ...]
    """Text between media (frames' times, `Image 1`), which sees and is seen causally."""

    @classmethod
    def of(cls, media: np.ndarray) -> Layout:
        """media [n] bool: which tokens are media."""
        places = media.nonzero()[0]
        if not len(places):
            return cls(len(media), 0, 0, ())
        start, end = int(places[0]), int(places[-1]) + 1
        return cls(len(media), start, end, tuple((start + (~media[start:end]).nonzero()[0]).tolist()))

    def seen(self, first: int, last: int, device: torch.device) -> Tensor:
        """[last - first, length] bool: what these of the tokens see."""
        columns = torch.arange(self.length, device=device)
        media = (columns >= self.start) & (columns < self.end)
        if self.inside:
            media[torch.tensor(self.inside, device=device)] = False
        return (columns <= columns[first:last, None]) | (media[first:last, None] & media)


class Prompts:
    """Whole prompts, one behind the other without padding (a batch of one), into empty slots: each sees itself."""

    def __init__(self, cache: Cache, slots: Sequence[int], layouts: Sequence[Layout]) -> None:
        device = cache.keys.device
        self.cache, self.span = cache, max(each.length for each in layouts)
        self.groups = [(layout, len(list(same))) for layout, same in groupby(layouts)]
        """Prompts of one layout beside each other attend together."""
        self.positions = torch.cat([torch.arange(each.length, device=device) for each in layouts])
        lengths = torch.tensor([each.length for each in layouts], device=device)
        owners = torch.tensor(slots, device=device).repeat_interleave(lengths, output_size=len(self.positions))
        self.rows = cache.rows(owners, self.positions)
        self.masks: dict[tuple[Layout, int], Tensor] = {}

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.cache.layers[layer]
        keys.index_copy_(0, self.rows, k[0])
        values.index_copy_(0, self.rows, v[0])
        parts, start = [], 0
        for layout, count in self.groups:
            own = slice(start, start + count * layout.length)
            parts.append(self._group(layout, *(t[0, own].unflatten(0, (count, layout.length)) for t in (q, k, v))))
            start = own.stop
        return torch.cat([part.flatten(0, 1) for part in parts])[None]

    def _group(self, layout: Layout, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Prompts [count, n, ...] of one layout."""
        n, start, end = layout.length, layout.start, layout.end
        if n <= DENSE or layout.inside:
            cuts = [(first, min(first + ROWS_AT_ONCE, n)) for first in range(0, n, ROWS_AT_ONCE)]
            parts = [attend(q[:, a:b], k, v, self._seen(layout, a, b)) for a, b in cuts]
            return torch.cat(parts, dim=1)
        if not end:
            return attend(q, k, v, causal=True)
        # Text before the media; the media, which see it and each other; the question, which sees everything before it.
        parts = [attend(q[:, :start], k[:, :start], v[:, :start], causal=True)] if start else []
        parts.append(attend(q[:, start:end], k[:, :end], v[:, :end]))
        for a in range(end, n, ROWS_AT_ONCE):
            b = min(a + ROWS_AT_ONCE, n)
            parts.append(attend(q[:, a:b], k[:, :b], v[:, :b], self._seen(layout, a, b)[..., :b]))
        return torch.cat(parts, dim=1)

    def _seen(self, layout: Layout, first: int, last: int) -> Tensor:
        """[1, 1, rows, n]; kept for the other layers where there is one part only."""
        key = (layout, first)
        found = self.masks.get(key)
        if found is None:
            found = layout.seen(first, last, self.rows.device)[None, None]
            if layout.length <= ROWS_AT_ONCE:
                self.masks[key] = found
        return found


class Questions:
    """Several tokens behind what each slot holds already: questions behind a media prefix, padded on the right."""

    def __init__(self, cache: Cache, slots: Tensor, starts: Tensor, n: int, span: int) -> None:
        """slots [batch], starts [batch]: where each sample's n new tokens begin; span: all positions are below it."""
        self.cache, self.slots, self.span = cache, slots, span
        read = min(span, cache.capacity)
        self.positions = starts[:, None] + torch.arange(n, device=starts.device)
        # a shorter question's padding may reach over the end: the last position is never a prompt's own
        self.rows = cache.rows(slots[:, None], self.positions.clamp(max=cache.capacity - 1)).flatten()
        self.mask = (torch.arange(read, device=starts.device) <= self.positions[..., None])[:, None]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        for table, new in zip(self.cache.layers[layer], (k, v), strict=True):
            table.index_copy_(0, self.rows, new.flatten(0, 1))
        read = self.mask.shape[-1]
        together = max(1, READ_AT_ONCE // read)
        parts = []
        for own, slots, mask in zip(*(each.split(together) for each in (q, self.slots, self.mask)), strict=True):
            keys, values = (table[layer, slots, :read] for table in (self.cache.keys, self.cache.values))
            parts.append(attend(own, keys, values, mask))
        return torch.cat(parts) if len(parts) > 1 else parts[0]


class Steps:
    """One token in each of the first slots, all at once, without a copy of what they hold."""

    def __init__(self, cache: Cache, rows: Tensor, lengths: Tensor, span: int) -> None:
        """rows [slots in use]: 0, 1, ...; lengths: where each new token is written; span: positions that are read."""
        # A slot without a sample at work may hold more than what is read of those with one.
        self.cache, self.span = cache, cache.capacity
        self.rows = cache.rows(rows, lengths)
        self.slots = Slots.of(lengths, cache.capacity, span) if has_flash(cache.keys) else None
        if self.slots is None:
            self.window = cache.window(len(lengths), span)
            # A sum instead of a choice: the kernels would make one of it at every layer.
            self.mask = cache.unseen(span)[cache.capacity - 1 - lengths][:, None, None]

    def __call__(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.cache.layers[layer]
        keys.index_copy_(0, self.rows, k[:, 0])
        values.index_copy_(0, self.rows, v[:, 0])
        return self.attend(layer, q[:, 0])[:, None]

    def attend(self, layer: int, q: Tensor) -> Tensor:
        """q [slots, heads, head_dim] over what the cache holds, the step's own keys and values included."""
        if self.slots is not None:
            return decode(q, *self.cache.layers[layer], self.slots)
        k, v = self.window[layer]
        # The heads that share a key become rows of one query, so that it is read once.
        rows = q.unflatten(1, (k.shape[1], -1))
        return F.scaled_dot_product_attention(rows, k, v, attn_mask=self.mask).flatten(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """Attention of q [batch, n, heads, head_dim] over k, v [batch, m, kv_heads, head_dim].

    mask broadcasts to [batch, heads, n, m], True where seen; causal: n and m are equal, and each sees what is before.
    """
    shared = q.shape[2] != k.shape[2]
    if shared and q.is_cuda and (mask is not None or q.dtype == torch.float32):
        # the kernels that take a mask or float32 want a key head for each head; the others would hold all scores
        k, v = (t.repeat_interleave(q.shape[2] // t.shape[2], dim=2) for t in (k, v))
        shared = False
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=shared)
    return out.transpose(1, 2)
