"""Muon for hidden matrices, AdamW for everything else; a warm-up, then a decay to zero."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from mpeval.engine.model import VisionLanguageModel

from .muon import Muon

MUON_RATE = 4e-3
POINTER_RATE = 4e-3
"""The paper gives pointing parameters a rate of their own; here the same one does."""
ADAM_RATE = 3e-3
WARMUP = 100

_TABLES = ("wte.", "lm_head.", "patch_embedding", "positional_embedding", "subpatch_loc_k", "vector")
_POINTER = ("point_predictor.", "build_vit_embedding.")


class Optimizer:
    def __init__(self, model: VisionLanguageModel, steps: int) -> None:
        self.steps, self.names = steps, {p: name for name, p in model.named_parameters()}
        hidden: list[Tensor] = []
        pointer: list[Tensor] = []
        tables: list[Tensor] = []
        for name, parameter in model.named_parameters():
            matrix = parameter.ndim == 2 and not any(part in name for part in _TABLES)
            (tables if not matrix else pointer if name.startswith(_POINTER) else hidden).append(parameter)
        groups = [{"params": hidden, "lr": MUON_RATE}, {"params": pointer, "lr": POINTER_RATE}]
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            Muon([group for group in groups if group["params"]], lr=MUON_RATE, weight_decay=0.01),
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

    def state(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, as `parameter|slot`."""
        return {f"{self.names[p]}|{slot}": value for p, slots in self._states() for slot, value in slots.items()}

    def load_state(self, saved: dict[str, Tensor]) -> None:
        for part in self.parts:
            for group in part.param_groups:
                for parameter in group["params"]:
                    prefix = f"{self.names[parameter]}|"
                    slots = {k.removeprefix(prefix): v for k, v in saved.items() if k.startswith(prefix)}
                    part.state[parameter] = slots

    def _states(self) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
        for part in self.parts:
            yield from part.state.items()


def rate_factor(step: int, steps: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < WARMUP:
        return (step + 1) / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / max(1, steps - WARMUP)))
