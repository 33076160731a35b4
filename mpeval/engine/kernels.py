"""What lies between the matrix products of a layer, one Triton kernel each, for a decoding step on a GPU.

At batch 1 such a step is bound by memory, and a kernel that does nearly nothing takes as long as reading megabytes of
weights. Results are rounded where those of the operations are for which they stand.

Imported on GPUs alone (`fused.py`): Triton comes with torch's builds for them. Its interpreter, which the tests use,
multiplies no short types; so they are widened first, which changes no result.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

FUSED = {"enable_fp_fusion": True}
"""A product and a sum round once, as in torch's operations. Said at each call, since Triton's versions differ in what
they take for granted, and warn of it."""
BLOCK = 1024
"""Columns of a row that one program of `gate` takes."""


def add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The residual stream x [rows, width] with `delta` added, and its norm times `weight` [width]."""
    rows, width = x.shape
    total = x if delta is None else torch.empty_like(x)
    out = torch.empty_like(x)
    columns = triton.next_power_of_2(width)
    _add_norm[(rows,)](
        x, x if delta is None else delta, weight, total, out, width, eps, delta is not None, columns,
        num_warps=8, **FUSED,
    )  # fmt: skip
    return total, out


def rotate_and_store(
    qkv: Tensor,
    norms: tuple[Tensor, Tensor],
    eps: float,
    rotation: tuple[Tensor, Tensor],
    cache: tuple[Tensor, Tensor],
    places: Tensor,
) -> Tensor:
    """Norm and rotate queries and keys, write keys and values to the cache; returns the queries.

    qkv [slots, (heads + 2 * kv_heads) * head_dim]; norms: the weights [head_dim] of queries and of keys; rotation: cos
    and sin [slots, head_dim], rows of any stride; cache: keys and values [positions, kv_heads, head_dim]; places
    [slots]: the positions in it. Returns [slots, heads, head_dim].
    """
    keys, values = cache
    kv_heads, width = keys.shape[1:]
    heads = qkv.shape[1] // width - 2 * kv_heads
    out = qkv.new_empty(len(qkv), heads, width)
    cos, sin = rotation
    _rotate_and_store[(len(qkv), heads + 2 * kv_heads)](
        qkv, *norms, cos, sin, places, out, keys, values, cos.stride(0), sin.stride(0), eps,
        heads, kv_heads, width, triton.next_power_of_2(width), **FUSED,
    )  # fmt: skip
    return out


def gate(both: Tensor) -> Tensor:
    """silu(second half) * first half of both [rows, 2 * width]: [rows, width]."""
    rows, width = both.shape[0], both.shape[1] // 2
    out = both.new_empty(rows, width)
    _gate[(rows, triton.cdiv(width, BLOCK))](both, out, width, BLOCK, **FUSED)
    return out


@triton.jit
def _add_norm(x, delta, weight, total, out, width, eps, ADDS: tl.constexpr, COLUMNS: tl.constexpr):
    short = out.dtype.element_ty
    column = tl.arange(0, COLUMNS)
    inside = column < width
    at = tl.program_id(0).to(tl.int64) * width + column
    row = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    if ADDS:
        rounded = (row + tl.load(delta + at, mask=inside, other=0.0).to(tl.float32)).to(short)
        tl.store(total + at, rounded, mask=inside)
        row = rounded.to(tl.float32)
    scale = tl.rsqrt(tl.sum(row * row, axis=0) / width + eps)
    scales = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out + at, ((row * scale).to(short).to(tl.float32) * scales).to(short), mask=inside)


@triton.jit
def _rotate_and_store(
    qkv, q_weight, k_weight, cos, sin, places, out, keys, values, cos_stride, sin_stride, eps,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, WIDTH: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    short = out.dtype.element_ty
    slot, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    column = tl.arange(0, COLUMNS)
    inside = column < WIDTH
    source = qkv + (slot * (HEADS + 2 * KV_HEADS) + head) * WIDTH
    place = tl.load(places + slot)
    own = tl.load(source + column, mask=inside, other=0.0)
    if head >= HEADS + KV_HEADS:
        tl.store(values + (place * KV_HEADS + head - HEADS - KV_HEADS) * WIDTH + column, own, mask=inside)
    else:
        # the number that each one is rotated with lies half a head away
        other_column = tl.where(column < WIDTH // 2, column + WIDTH // 2, column - WIDTH // 2)
        row = own.to(tl.float32)
        other = tl.load(source + other_column, mask=inside, other=0.0).to(tl.float32)
        scale = tl.rsqrt(tl.sum(row * row, axis=0) / WIDTH + eps)
        is_query = head < HEADS
        weight = tl.where(is_query, tl.load(q_weight + column, mask=inside), tl.load(k_weight + column, mask=inside))
        row = ((row * scale).to(short).to(tl.float32) * weight.to(tl.float32)).to(short).to(tl.float32)
        q_other = tl.load(q_weight + other_column, mask=inside)
        k_other = tl.load(k_weight + other_column, mask=inside)
        weight = tl.where(is_query, q_other, k_other)
        other = ((other * scale).to(short).to(tl.float32) * weight.to(tl.float32)).to(short).to(tl.float32)
        turn = tl.load(cos + slot * cos_stride + column, mask=inside, other=0.0).to(tl.float32)
        slide = tl.load(sin + slot * sin_stride + column, mask=inside, other=0.0).to(tl.float32)
        turned = ((row * turn).to(short).to(tl.float32) + other * slide).to(short)
        if is_query:
            tl.store(out + (slot * HEADS + head) * WIDTH + column, turned, mask=inside)
        else:
            tl.store(keys + (place * KV_HEADS + head - HEADS) * WIDTH + column, turned, mask=inside)


@triton.jit
def _gate(both, out, width, BLOCK: tl.constexpr):
    short = out.dtype.element_ty
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    value = tl.load(both + row * 2 * width + column, mask=inside, other=0.0).to(tl.float32)
    gate = tl.load(both + row * 2 * width + width + column, mask=inside, other=0.0).to(tl.float32)
    opened = (gate / (1.0 + tl.exp(-gate))).to(short).to(tl.float32)
    tl.store(out + row * width + column, (opened * value).to(short), mask=inside)
