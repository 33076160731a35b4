"""Attention of one token a slot over a cache on a GPU, by the flash kernel for sequences of different lengths.

It reads of each slot what is in use and no more, cut into parts that run at the same time: with few samples, a kernel
with a mask would leave most of the device idle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine.trial import works


@dataclass(frozen=True)
class Slots:
    """Which part of the cache each slot's query sees: the same at all layers of a step, so made once for them."""

    queries: Tensor
    """[slots + 1] int32: where each slot's query begins, and the end."""
    starts: Tensor
    """[slots + 1] int32: where each slot begins in the cache, and the end."""
    used: Tensor
    """[slots] int32: positions of the slot that are seen."""
    span: int
    """`used` is no more where a sample is at work: of other slots any part may be read."""

    @classmethod
    def of(cls, lengths: Tensor, capacity: int, span: int) -> Slots:
        """lengths [slots]: the position of each query, which sees what is up to there."""
        queries = torch.arange(len(lengths) + 1, dtype=torch.int32, device=lengths.device)
        return cls(queries, queries * capacity, (lengths + 1).to(torch.int32), span)


def decode(q: Tensor, keys: Tensor, values: Tensor, slots: Slots) -> Tensor:
    """q [slots, heads, head_dim] over the slots of `Cache.layers`; returns the same shape.

    keys, values [at least slots * capacity, kv_heads, head_dim].
    """
    # torch.nn.attention.varlen calls the same, but in new versions only, and with a small kernel more at every layer
    attend = torch.ops.aten._flash_attention_forward
    found = attend(
        q, keys, values, slots.queries, slots.starts, 1, slots.span, 0.0, False, False, seqused_k=slots.used
    )  # fmt: skip
    out = found[0]
    assert isinstance(out, Tensor)
    return out


def has_flash(cache: Tensor) -> bool:
    """Whether `decode` can be used on a cache [layers, slots, capacity, kv_heads, head_dim] of this type and device."""
    return cache.is_cuda and _works(cache.dtype, cache.shape[-2], cache.shape[-1], cache.device)


@lru_cache(maxsize=8)
@torch.inference_mode()
def _works(dtype: torch.dtype, kv_heads: int, head_dim: int, device: torch.device) -> bool:
    """Try `decode` on three short slots: not every build and device has the kernel."""
    if dtype == torch.float32:
        return False  # the kernel knows only the short types
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(*shape, kv_heads * group, head_dim, generator=generator).to(device, dtype)
        for shape, group in (((3,), 2), ((3 * 300,), 1), ((3 * 300,), 1))
    )
    lengths = torch.tensor([0, 17, 290], device=device)

    def is_right() -> bool:
        found = decode(q, k, v, Slots.of(lengths, 300, 300)).float()
        ends = enumerate(lengths.tolist())
        expected = torch.stack([_slowly(q[i], k[300 * i :][: n + 1], v[300 * i :][: n + 1]) for i, n in ends])
        return torch.allclose(found, expected, atol=3e-2)

    return works("the flash kernel", is_right)


def _slowly(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """q [heads, head_dim] over k, v [n, kv_heads, head_dim] in float32."""
    k, v = (t.float().repeat_interleave(len(q) // t.shape[1], dim=1).transpose(0, 1) for t in (k, v))
    return F.scaled_dot_product_attention(q.float()[:, None], k, v)[:, 0]
