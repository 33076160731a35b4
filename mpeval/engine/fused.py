"""A decoding step through the decoder on a GPU, with few kernels between its matrix products.

It computes what `Decoder.forward` computes for one token a slot, which runs in its place where a model or a device is
not made for it.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine.attention import Steps
from mpeval.engine.decoder import Decoder, DecoderBlock
from mpeval.engine.layers import RMSNorm, linear
from mpeval.engine.rotary import rotate
from mpeval.engine.trial import works


def can_fuse(decoder: Decoder, x: Tensor) -> bool:
    """Whether `step` can be used for this decoder and states of this type and device."""
    c = decoder.config
    made_for = c.qk_norm == "qwen3" and not c.norm_after
    return x.is_cuda and made_for and _works(c.heads, c.kv_heads, c.head_dim, c.norm_eps, x.dtype, x.device)


def step(decoder: Decoder, x: Tensor, positions: Tensor, steps: Steps) -> Tensor:
    """Hidden states [slots, width] before the final norm, from embeddings x [slots, width] of one token a slot.

    positions [slots]: where the tokens stand.
    """
    from mpeval.engine.kernels import add_norm, gate, rotate_and_store

    plain, stretched = decoder.rotations(positions[:, None], steps.span, x.dtype)
    delta = None
    # kernels go to the device that is the current one, which need not be the tensors' own
    with torch.cuda.device_of(x):
        for layer, (block, scaled) in enumerate(zip(decoder.blocks, decoder.scaled, strict=True)):
            assert isinstance(block, DecoderBlock)
            heads, mlp = block.self_attn, block.mlp
            assert isinstance(heads.q_norm, RMSNorm) and isinstance(heads.k_norm, RMSNorm)
            cos, sin = (each[:, 0, 0] for each in (stretched if scaled else plain))
            x, normed = add_norm(x, delta, block.attn_norm.weight, block.attn_norm.eps)
            qkv = linear(normed, heads.att_proj.weight, heads.att_proj.bias)
            norms = heads.q_norm.weight, heads.k_norm.weight
            q = rotate_and_store(qkv, norms, heads.eps, (cos, sin), steps.cache.layers[layer], steps.rows)
            delta = linear(steps.attend(layer, q).flatten(1), heads.attn_out.weight)
            x, normed = add_norm(x, delta, block.ff_norm.weight, block.ff_norm.eps)
            delta = linear(gate(linear(normed, mlp.ff_proj.weight)), mlp.ff_out.weight)
    return x if delta is None else x + delta


@lru_cache(maxsize=8)
@torch.inference_mode()
def _works(heads: int, kv_heads: int, head_dim: int, eps: float, dtype: torch.dtype, device: torch.device) -> bool:
    """Try the kernels on two slots: not every build has Triton, or a compiler for it."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    x, delta, weight, both = random(2, 96), random(2, 96), random(96), random(2, 192)
    qkv, norms = random(2, (heads + 2 * kv_heads) * head_dim), (random(head_dim), random(head_dim))
    rotation = random(2, head_dim), random(2, head_dim)
    places = torch.tensor([4, 1], device=device)
    cache = random(5, kv_heads, head_dim), random(5, kv_heads, head_dim)

    def is_right() -> bool:
        from mpeval.engine.kernels import add_norm, gate, rotate_and_store

        with torch.cuda.device_of(x):
            found = [*add_norm(x, delta, weight, eps), gate(both)]
            found += [rotate_and_store(qkv, norms, eps, rotation, cache, places), *(table[places] for table in cache)]
        value, opened = both.float().chunk(2, dim=-1)
        q, k, v = qkv.float().unflatten(-1, (-1, head_dim)).split((heads, kv_heads, kv_heads), dim=1)
        cos, sin = (each.float()[:, None] for each in rotation)
        q = rotate(F.rms_norm(q, (head_dim,), norms[0].float(), eps), cos, sin)
        k = rotate(F.rms_norm(k, (head_dim,), norms[1].float(), eps), cos, sin)
        total = x.float() + delta.float()
        expected = [total, F.rms_norm(total, (96,), weight.float(), eps), F.silu(opened) * value, q, k, v]
        # where a result is larger, so is what rounding takes away from it
        return all(torch.allclose(a.float(), b, rtol=3e-2, atol=3e-2) for a, b in zip(found, expected, strict=True))

    return works("kernels of its own between the matrix products", is_right)
