"""What the device does at best, and what a model asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

    from mpeval.engine.generate import GenerationInput
    from mpeval.engine.model import VisionLanguageModel

TRIES = 5
IN_A_ROW = {"cuda": 10}
"""Calls that are timed together, where one takes hardly longer than to begin it; elsewhere one."""


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of `work`, to the end of what it queued on the device."""
    synchronize(device)
    begun = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - begun


def synchronize(device: torch.device) -> None:
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def copy_rate(device: torch.device) -> float:
    """Bytes a second that the device reads and writes while it copies within its memory; the best of some tries."""
    import torch

    source = torch.ones((1 << 30 if device.type == "cuda" else 1 << 28) // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes * _rate(lambda: target.copy_(source), device)


def matmul_rate(device: torch.device, dtype: torch.dtype, size: int) -> float:
    """Operations a second in a product of two matrices of `size` x `size`; the best of some tries."""
    import torch

    left = torch.randn(size, size, device=device).to(dtype)
    out = left @ left
    return 2 * size**3 * _rate(lambda: torch.mm(left, left, out=out), device)


def _rate(work: Callable[[], object], device: torch.device) -> float:
    """Calls a second, at best."""
    calls = IN_A_ROW.get(device.type, 1)

    def several() -> None:
        for _ in range(calls):
            work()

    return max(calls / seconds(several, device) for _ in range(TRIES))


def bytes_a_step(model: VisionLanguageModel, batch: int, context: float) -> int:
    """What one decoding step must read: the decoder's and the heads' weights once, and each sample's cache.

    context: tokens in each sample's cache.
    """
    from mpeval.engine.cache import Cache

    parts: list[nn.Module] = [model.transformer.blocks, model.transformer.ln_f]
    parts += [part for part in (model.point_predictor, model.lm_head or model.transformer.wte) if part is not None]
    weights = sum(parameter.nbytes for part in parts for parameter in part.parameters())
    return int(weights + batch * context * Cache.bytes_a_token(model.config.decoder, model.dtype))


def prefill_operations(model: VisionLanguageModel, sample: GenerationInput) -> float:
    """Multiplications and additions that prefilling one sample needs: `products` and `attention`.

    What an implementation computes beyond that (padding, masked scores) does not count as work.
    """
    return products(model, sample) + attention(model, sample)


def products(model: VisionLanguageModel, sample: GenerationInput) -> float:
    """Of rows with weights, two for each pair: encoder, connector, decoder, pointing keys, and the head once."""
    config = model.config
    rows = len(sample.pixels) * prod(config.vision.patch_grid)
    tokens, window = sample.pooling.shape
    # the connector's keys and values: a row each patch behind a token; all else of it a row a token
    keys = 2 * config.vision.feature_width * config.connector.heads * config.connector.head_dim
    pooled = tokens * (_weights(model.connector) - keys) + tokens * window * keys
    pointing = 0 if config.pointer is None else tokens * config.decoder.width * config.pointer.width
    text = len(sample.ids) * _weights(model.transformer.blocks)
    head = config.decoder.width * (config.decoder.vocabulary + config.decoder.extra_vocabulary)
    return 2.0 * (rows * _weights(model.vit) + pooled + pointing + text + head)


def attention(model: VisionLanguageModel, sample: GenerationInput) -> float:
    """Of queries with keys and of weights with values, between what sees each other."""
    config = model.config
    vision, connector, decoder = config.vision, config.connector, config.decoder
    in_crops = len(sample.pixels) * prod(vision.patch_grid) ** 2
    return 4.0 * (
        in_crops * vision.heads * vision.head_dim * vision.layers
        + sample.pooling.size * connector.heads * connector.head_dim
        + _pairs(model, sample) * decoder.heads * decoder.head_dim * decoder.layers
    )


def _weights(module: nn.Module) -> int:
    """Numbers in a module's matrices that rows are multiplied by."""
    from torch import nn

    return sum(each.weight.numel() for each in module.modules() if isinstance(each, nn.Linear))


def _pairs(model: VisionLanguageModel, sample: GenerationInput) -> float:
    """How many pairs of a token and one that it sees: all before it, and media see all media."""
    from mpeval.engine.prompt import is_media

    media = is_media(sample.ids, model.config.tokens)
    after = media[::-1].cumsum()[::-1] - media
    return float(len(media) * (len(media) + 1) / 2 + (after * media).sum())


# --- memory ---------------------------------------------------------------------------------------

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Forget the peak so far, of the device; on a CPU of the process."""
    import torch

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        reset_host_peak()


def peak_bytes(device: torch.device) -> int | None:
    """The most memory since `reset_peak`: tensors on a GPU, on a CPU the whole process."""
    import torch

    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else host_peak_bytes()


def reset_host_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text("5")


def host_peak_bytes() -> int | None:
    """None where the system cannot tell (elsewhere than on Linux)."""
    for line in _STATUS.read_text().splitlines() if _CLEAR.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def memory_errors(device: torch.device) -> int:
    """Out-of-memory errors on the device so far: the engine goes on in half the slots after one, and then a batch is
    not the batch that was asked for."""
    import torch

    return int(torch.cuda.memory_stats(device).get("num_ooms", 0)) if device.type == "cuda" else 0
