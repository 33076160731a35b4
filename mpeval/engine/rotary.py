"""Rotary position embeddings, plain and stretched by YaRN."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from mpeval.engine.shapes import YarnScaling


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding in the half-split layout; cos and sin (`rotary_tables`) broadcast against x [..., dim]."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def rotary_tables(
    positions: Tensor, dim: int, theta: float, yarn: YarnScaling | None = None
) -> tuple[Tensor, Tensor]:
    """cos, sin [..., dim] in float32 for integer positions [...]. The first half of the sines is negated."""
    angles = positions[..., None].float() * _frequencies(dim, theta, yarn, positions.device)
    cos, sin = angles.cos(), angles.sin()
    if yarn is not None:
        cos, sin = cos * yarn.attention_factor, sin * yarn.attention_factor
    return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def table_length(count: int) -> int:
    """How long `rotary_table` is made for positions below `count`: few lengths, so that few are made."""
    return max(1024, 1 << (count - 1).bit_length()) if count else 1024


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def rotary_table(
    length: int, dim: int, theta: float, yarn: YarnScaling | None, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """cos and sin of all positions below `length`, [length, 2, 1, dim] (heads lie before the last).

    Made once: a decoding step looks its rows up.
    """
    cos, sin = rotary_tables(torch.arange(length, device=device), dim, theta, yarn)
    return torch.stack((cos, sin), dim=1)[:, :, None].to(dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _frequencies(dim: int, theta: float, yarn: YarnScaling | None, device: torch.device) -> Tensor:
    """[dim / 2] float32. Made once: a decoding step is short, and each small operation counts."""
    exponent = torch.arange(0, dim, 2, dtype=torch.float, device=device) / dim
    frequencies = 1.0 / theta**exponent
    return frequencies if yarn is None else _stretched(frequencies, dim, theta, yarn)


def _stretched(frequencies: Tensor, dim: int, theta: float, yarn: YarnScaling) -> Tensor:
    """YaRN's frequencies [dim / 2] (arXiv:2309.00071, section 3.2, "NTK-by-parts").

    A frequency that turns often within the original context is kept, one that turns less than `beta_slow` times is
    divided by the factor. As in the release the ramp's ends are whole dimensions.
    """

    def dimension(turns: float) -> float:
        """Where, among the `dim` dimensions, a frequency turns this often within the original context."""
        return dim * math.log(yarn.original_length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    first = max(math.floor(dimension(yarn.beta_fast)), 0)
    last = min(math.ceil(dimension(yarn.beta_slow)), dim - 1)
    index = torch.arange(dim // 2, dtype=torch.float, device=frequencies.device)
    ramp = ((index - first) / (max(last - first, 0) or 0.001)).clamp(0, 1)
    return frequencies / yarn.factor * ramp + frequencies * (1 - ramp)
