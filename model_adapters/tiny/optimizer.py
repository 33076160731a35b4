"""Muon for hidden matrices, AdamW for everything else; a warm-up, then a decay to zero."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mpeval.engine.model import VisionLanguageModel

MUON_RATE = 2e-3
ADAM_RATE = 2e-3
POINTER_RATE = 2e-3
"""The paper gives pointing parameters a rate of their own."""
WARMUP = 100

_TABLES = ("wte.", "lm_head.", "patch_embedding", "positional_embedding", "subpatch_loc_k", "vector")
_POINTER = ("point_predictor.", "build_vit_embedding.")


class Optimizer:
    def __init__(self, model: VisionLanguageModel, steps: int) -> None:
        self.steps = steps
        hidden: list[Tensor] = []
        pointer: list[Tensor] = []
        tables: list[Tensor] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and not any(part in name for part in _TABLES)
            (tables if not matrix else pointer if name.startswith(_POINTER) else hidden).append(parameter)
        groups = [{"params": hidden, "lr": MUON_RATE}]
        if pointer:
            groups.append({"params": pointer, "lr": POINTER_RATE})
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(groups, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(tables, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        )
        self.base = [[group["lr"] for group in part.param_groups] for part in self.parts]

    def step(self, step: int) -> None:
        """Apply the gradients of `step` (counted from 0) and clear them."""
        factor = rate_factor(step, self.steps)
        for part, rates in zip(self.parts, self.base, strict=True):
            for group, rate in zip(part.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            part.step()
            part.zero_grad()


def rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))
