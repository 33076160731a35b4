"""How many samples fit beside each other, and what to do where they do not."""

from __future__ import annotations

import gc

import torch

from mpeval.engine.cache import Cache
from mpeval.engine.decoding import GenerationInput
from mpeval.engine.device import available_bytes
from mpeval.engine.model import VisionLanguageModel

MOST_SLOTS = {"cpu": 16}
"""Samples at a time where memory does not say fewer; elsewhere `MOST_ON_A_GPU`."""
MOST_ON_A_GPU = 64
SHARE = 0.6
"""Of the free memory, for the slots: the rest is for prefills."""

OTHERS_SAY = ("DefaultCPUAllocator: can't allocate memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
"""How torch's allocator for the CPU, the CUDA runtime (which loads kernels and graphs), cuBLAS and cuDNN say that
memory has ended."""


def slots_that_fit(model: VisionLanguageModel, sample: GenerationInput, max_new_tokens: int) -> int:
    """How many samples like this one (the longest, best) fit into the memory that is free now; one at least."""
    most = MOST_SLOTS.get(model.device.type, MOST_ON_A_GPU)
    needed = bytes_a_slot(model, sample, max_new_tokens)
    return max(1, min(most, int(SHARE * free_bytes(model.device)) // needed))


def bytes_a_slot(model: VisionLanguageModel, sample: GenerationInput, max_new_tokens: int) -> int:
    """What a sample holds while it is decoded: its cache, and its media for the pointing heads."""
    config, size = model.config, model.dtype.itemsize
    held = (len(sample.ids) + max_new_tokens) * Cache.bytes_a_token(config.decoder, model.dtype)
    if config.pointer is not None:
        rows, columns = config.vision.patch_grid
        patches = len(sample.pixels) * rows * columns
        held += patches * config.vision.feature_width * size
        held += len(sample.pooling) * (config.pointer.width + config.decoder.width) * size + 8 * sample.pooling.size
    return held


def free_bytes(device: torch.device) -> int:
    """Memory that new tensors may take."""
    free = available_bytes(device)
    if device.type == "cuda":
        # what torch holds and does not use is free as well
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory has ended. Beside torch's allocator for GPUs nothing has a type of its own
    for it (`OTHERS_SAY`)."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in OTHERS_SAY)
    )


def release_memory(device: torch.device) -> None:
    """Give back what was freed, after an out-of-memory error."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
