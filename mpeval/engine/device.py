"""Which device and number type a model runs on, and what memory is there."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from mpeval.errors import UserError

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(asked: str) -> torch.device:
    """`auto`: the first GPU where there is one. Raises `UserError` for a device that cannot be used here."""
    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    message = f"device {asked!r} cannot be used here: choose auto or cpu"
    try:
        device = torch.device(asked)
    except RuntimeError as error:
        raise UserError(message) from error
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        said = str(error).partition("\n")[0]  # a build of torch without CUDA, a device that others have filled
        raise UserError(f"{message} ({said})") from error
    return device


def choose_dtype(asked: str, device: torch.device) -> torch.dtype:
    """`auto`: bfloat16 on a GPU, float32 elsewhere. Raises `UserError` for an unknown name."""
    if asked == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if asked not in TYPES:
        raise UserError(f"unknown dtype {asked!r}: choose auto, {', '.join(TYPES)}")
    return TYPES[asked]


def parameter_bytes(model: torch.nn.Module) -> int:
    """Bytes that a model's weights take, also of one that has no memory yet."""
    return sum(parameter.nbytes for parameter in model.parameters())


def available_bytes(device: torch.device) -> int:
    """Memory that a new model may take: what is free on a GPU; on the host also what caches of files would give back.

    Where a system does not say, all the memory that it has.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else ():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def require_memory(device: torch.device, needed: int, what: str) -> None:
    """Raise `UserError` where `needed` bytes for `what` are more than the device has free."""
    free = available_bytes(device)
    if needed > free:
        raise UserError(
            f"{what} take {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on {device}: "
            "take a smaller size, or a device with more memory"
        )


def device_name(device: torch.device) -> str:
    """The device in words: a GPU's product name, or the processor's with its cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else os.uname().machine}, {os.cpu_count()} cores"
