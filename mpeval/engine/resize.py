"""Bilinear resizing without antialiasing, the same on every machine.

The release resizes uint8 pictures with torchvision: `torch.nn.functional.interpolate` in float32, then
rounding to the nearest level. Where the exact value lies half-way between two levels (often, with ratios
such as 3:4) the last bit of float32 decides, and torch rounds differently with the processor, with one
thread or several, and with small outputs. This is torch's arithmetic on x86 with fused multiply-add and
several threads, bit for bit, written with numpy: the pixels do not depend on the hardware, and a band of
rows at a time needs little memory.
"""

from __future__ import annotations

import numpy as np

_BAND = 32
"""Output rows at a time: small enough to stay in the processor's cache."""
_SMALL = 128
"""Up to this height + width of the output torch weighs the four neighbours at once."""


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize uint8 [rows, columns, 3] to uint8 [height, width, 3]; pixel centres lie at half-integers."""
    if image.shape[:2] == (height, width):
        return image
    if height + width <= _SMALL:
        return _weigh_four(image, height, width)
    return _across_then_down(image, height, width)


def _across_then_down(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, bottom, top_weight, bottom_weight = _neighbours(image.shape[0], height)
    left, right, left_weight, right_weight = _neighbours(image.shape[1], width)
    # One flat row of interleaved channels: numpy's inner loops are then long.
    channel = np.arange(3)
    left, right = (left[:, None] * 3 + channel).ravel(), (right[:, None] * 3 + channel).ravel()
    left_weight, right_weight = np.repeat(left_weight, 3), np.repeat(right_weight, 3)
    flat = image.reshape(image.shape[0], -1)
    resized = np.empty((height, width, 3), dtype=np.uint8)
    for start in range(0, height, _BAND):
        band = slice(start, min(start + _BAND, height))
        rows, place = np.unique(np.concatenate([top[band], bottom[band]]), return_inverse=True)
        source = flat[rows]
        # torch fuses the multiplication by the first neighbour's weight into the addition.
        across = _fused(source.take(left, 1), left_weight, source.take(right, 1) * right_weight)
        upper, lower = np.split(place.ravel(), 2)
        below = across[lower] * bottom_weight[band, None]
        down = _fused(across[upper], top_weight[band, None], below)
        resized[band] = np.rint(down).reshape(-1, width, 3)
    return resized


def _weigh_four(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, bottom, top_weight, bottom_weight = _neighbours(image.shape[0], height)
    left, right, left_weight, right_weight = _neighbours(image.shape[1], width)

    def weight(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return (rows[:, None] * columns)[:, :, None]

    total = image[top][:, right] * weight(top_weight, right_weight)
    total = _fused(image[top][:, left], weight(top_weight, left_weight), total)
    total = _fused(image[bottom][:, left], weight(bottom_weight, left_weight), total)
    total = _fused(image[bottom][:, right], weight(bottom_weight, right_weight), total)
    return np.rint(total).astype(np.uint8)


def _neighbours(old: int, new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For each output position along a side: its two source positions and their float32 weights."""
    centre = np.arange(new, dtype=np.float32) + np.float32(0.5)
    place = _fused(centre, np.float32(old) / np.float32(new), np.float32(-0.5))
    place = np.maximum(place, np.float32(0))
    first = np.minimum(place.astype(np.int64), old - 1)
    weight = np.clip(place - first.astype(np.float32), np.float32(0), np.float32(1))
    return first, np.minimum(first + 1, old - 1), np.float32(1) - weight, weight


def _fused(value: np.ndarray, weight: np.ndarray | np.float32, addend: np.ndarray | np.float32) -> np.ndarray:
    """value * weight + addend in float32, rounded once: the product of two float32 is exact in float64."""
    return (np.multiply(value, weight, dtype=np.float64) + addend).astype(np.float32)
