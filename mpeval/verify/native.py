"""Semantics native along given tokens: every score of `native.npz`, and the training loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from mpeval.engine.batch import join_media
from mpeval.engine.checkpoint import load_model
from mpeval.engine.config import TokenIds
from mpeval.engine.generate import GenerationInput
from mpeval.engine.model import VisionLanguageModel
from mpeval.grounding.constraints import Choice, NativeConstraints
from mpeval.grounding.loss import TrainingInputs, training_forward
from mpeval.grounding.semantics import NATIVE
from mpeval.verify.check import Check
from mpeval.verify.compare import POINTS, close, equal
from mpeval.verify.trace import WHERE_NATIVE, StepLog, choice, follow, native_points, triples_of

VARIANTS = {
    "": (NATIVE, "model.safetensors"),
    "own_low_row/": (replace(NATIVE, shared_low_row=False), "model.safetensors"),
    "replace/": (replace(NATIVE, add_subpatch=False), "model.safetensors"),
    "hf_like/": (replace(NATIVE, shared_low_row=False, add_subpatch=False), "model.safetensors"),
    "mixed_forced/": (NATIVE, "model_mixed.safetensors"),
}
"""Prefix of the arrays -> semantics and weights. The middle three are native with one or both of hf's inputs."""
SCORES = ("logits", "hidden", "patch_logits", "subpatch_logits", "location_logits")


def verify_forced(
    folder: Path,
    native: Mapping[str, np.ndarray],
    sample: GenerationInput,
    golden: Mapping[str, np.ndarray],
    tolerance: float,
) -> Iterator[Check]:
    """Check every score after the prompt and after each forced token, for each variant that is there."""
    for prefix, (semantics, weights) in VARIANTS.items():
        if f"{prefix}logits" not in native or not (folder / weights).exists():
            continue
        model = load_model(folder, semantics, weights=weights)
        tokens = model.config.tokens
        log, choices = StepLog(), _forced(native, tokens)
        for decoding in follow(model, sample, choices, NativeConstraints(tokens)):
            log.add(decoding)
        if not prefix and "image_pos_ids" in native:
            assert decoding.keys is not None
            yield equal(WHERE_NATIVE, "image positions", decoding.keys.positions[0], native["image_pos_ids"][:, 0])
        if not prefix and "forced_points" in native:
            ours = native_points(triples_of(choices), sample, golden)
            yield close(WHERE_NATIVE, "points", ours, native["forced_points"], POINTS)
        theirs = {name: native[f"{prefix}{name}"] for name in SCORES if f"{prefix}{name}" in native}
        for check in log.compare(theirs, tolerance):
            yield replace(check, note=" ".join([prefix.rstrip("/"), check.note]).strip())


def verify_training(
    folder: Path, native: Mapping[str, np.ndarray], sample: GenerationInput, tolerance: float
) -> Iterator[Check]:
    """Check the training forward over prompt and forced tokens at once, and its three losses (sums)."""
    if "train/logits" not in native:
        return
    model = load_model(folder, NATIVE)
    inputs = _training_inputs(model, native, sample)
    with torch.inference_mode():
        hidden, pointing = training_forward(model, inputs)
        assert pointing is not None
        arrays = {
            "logits": model.logits(hidden)[0],
            "patch logits": pointing.patch,
            "subpatch logits": pointing.subpatch,
            "location logits": pointing.location,
            "losses": torch.stack(pointing.losses()),
        }
    for name, ours in arrays.items():
        theirs = native.get(f"train/{name.replace(' ', '_')}")
        if theirs is not None:
            yield close(WHERE_NATIVE, f"training {name}", ours, theirs, tolerance)


def _forced(native: Mapping[str, np.ndarray], tokens: TokenIds) -> list[Choice]:
    """The forced tokens with what each of them selects (their targets hold the whole point so far)."""
    return [
        choice(
            token,
            patch if token == tokens.patch else -1,
            subpatch if token == tokens.subpatch else -1,
            location if token == tokens.location else -1,
        )
        for token, (patch, subpatch, location) in zip(
            native["forced_ids"].tolist(), native["forced_targets"].tolist(), strict=True
        )
    ]


def _training_inputs(
    model: VisionLanguageModel, native: Mapping[str, np.ndarray], sample: GenerationInput
) -> TrainingInputs:
    choices = _forced(native, model.config.tokens)
    ids = torch.tensor([[*sample.ids, *(int(each.token) for each in choices)]])
    selected = [max(int(each.patch), int(each.subpatch), int(each.location)) for each in choices]
    media = join_media([sample.pixels], [sample.pooling], sample.pixels.shape[1])
    assert media is not None
    return TrainingInputs(
        ids=ids,
        positions=torch.arange(ids.shape[1])[None],
        mask=model.prefill_mask(ids, torch.ones_like(ids, dtype=torch.bool)),
        media=media,
        points=torch.tensor([[-1] * len(sample.ids) + selected]),
    )
