"""Free greedy runs: native's own with its constraints, and hf's on the same weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from mpeval.engine.checkpoint import load_model
from mpeval.engine.generate import GenerationInput, feed, generate, prefill
from mpeval.engine.model import VisionLanguageModel
from mpeval.grounding.constraints import Choice, HfConstraints, NativeConstraints
from mpeval.grounding.semantics import HF, NATIVE
from mpeval.verify.check import Check
from mpeval.verify.compare import POINTS, close, equal
from mpeval.verify.trace import WHERE_NATIVE, StepLog, extended_id, native_points, triples_of

HF_INPUTS = replace(NATIVE, shared_low_row=False, add_subpatch=False)
RUNS = {"gen": NATIVE, "single": NATIVE, "hfembed": HF_INPUTS}
"""Prefix of a run -> semantics; the rest of its name is the weights'."""
FORCED = 1e5
"""The release writes this and more where it forces a token."""


@dataclass
class Run:
    """Everything that one free run chose and saw."""

    log: StepLog = field(default_factory=StepLog)
    choices: list[Choice] = field(default_factory=list)
    constrained: list[np.ndarray] = field(default_factory=list)
    """Token scores after the constraints, one array a step."""
    patch_masked: list[np.ndarray] = field(default_factory=list)
    """Scores after the constraints at each PATCH; so for the other two."""
    subpatch_masked: list[np.ndarray] = field(default_factory=list)
    location_used: list[np.ndarray] = field(default_factory=list)

    def forget_last(self, theirs: Mapping[str, np.ndarray]) -> None:
        """Drop what the last token selected where the release never came to record it: it does so on feeding it."""
        for name, kind in (("patch_masked", "patch"), ("subpatch_masked", "subpatch"), ("location_used", "location")):
            rows = getattr(self, name)
            if int(getattr(self.choices[-1], kind)) >= 0 and len(rows) == len(theirs[name]) + 1:
                rows.pop()
                self.choices.pop()
                return

    @property
    def selected(self) -> list[tuple[int, int, int]]:
        """As the release lists them: a row a point, no-more-points as (NO_MORE_POINTS, -1, -1)."""
        rows: list[tuple[int, int, int]] = []
        for each in self.choices:
            patch, subpatch, location = int(each.patch), int(each.subpatch), int(each.location)
            if patch >= 0:
                rows.append((patch, -1, -1))
            elif subpatch >= 0:
                rows[-1] = (rows[-1][0], subpatch, -1)
            elif location >= 0:
                rows[-1] = (*rows[-1][:2], location)
        return rows


def verify_free_runs(
    folder: Path,
    native: Mapping[str, np.ndarray],
    sample: GenerationInput,
    golden: Mapping[str, np.ndarray],
    tolerance: float,
) -> Iterator[Check]:
    """Check each `<run>_<weights>/ids`; those whose weights are not in the folder are marked as skipped."""
    for name in sorted(key.split("/")[0] for key in native if key.endswith("/ids") and key.count("/") == 1):
        kind, _, weights = name.partition("_")
        file = _file(weights)
        if kind not in RUNS:
            continue
        if not (folder / file).exists():
            yield _skipped(name, file)
            continue
        theirs = {key.split("/")[1]: native[key] for key in native if key.startswith(f"{name}/")}
        model = load_model(folder, RUNS[kind], weights=file)
        run = _run(model, sample, len(theirs["ids"]), _single_point(model) if kind == "single" else ())
        for check in _compare(run, theirs, sample, golden, tolerance):
            yield replace(check, note=f"{name} {check.note}".strip())


def verify_hf_reference(
    folder: Path, native: Mapping[str, np.ndarray], sample: GenerationInput, tolerance: float
) -> Iterator[Check]:
    """Check hf's run on the same weights; `eq`: with the low-resolution row set to the patch row."""
    for key in sorted(key for key in native if key.startswith("hf_reference/") and key.endswith("/ids")):
        _, weights, row, _ = key.split("/")
        name = f"hf_reference/{weights}/{row}"
        file = _file(weights)
        if not (folder / file).exists():
            yield _skipped(name, file)
            continue
        model = load_model(folder, HF, weights=file)
        if row == "eq":
            _share_low_row(model)
        theirs = native[f"{name}/prefill"]
        sizes = (sample.pooling.shape[0] + 1, sample.pooling.shape[1])
        with torch.inference_mode():
            scores = prefill(model, [sample], 1).scores
        first = HfConstraints(model.config.tokens).extend(scores, sizes)[0, : len(theirs)]
        yield replace(close(WHERE_NATIVE, "hf logits", first, theirs, tolerance), note=name)
        ids, died = native[key], any(np.ravel(native[f"{name}/error"]).tolist())
        # Where the released program dies its ids end; ours must stop at the same place.
        steps = len(ids) + 1 if died else len(ids)
        generation = generate(model, [sample], steps, stop_ids=())[0]
        ours = [
            extended_id(token, selected, len(theirs), sizes, model.config.tokens)
            for token, selected in zip(generation.ids, generation.choices, strict=True)
        ]
        yield replace(equal(WHERE_NATIVE, "hf ids", ours, ids), note=name)
        yield replace(equal(WHERE_NATIVE, "hf breakdowns", [generation.error is not None], [died]), note=name)


def _skipped(name: str, file: str) -> Check:
    return Check(WHERE_NATIVE, name, 0.0, 0.0, f"{file} is not there", skipped=True)


def _file(weights: str) -> str:
    return "model.safetensors" if weights in ("plain", "base") else f"model_{weights}.safetensors"


def _share_low_row(model: VisionLanguageModel) -> None:
    """Give the low-resolution token the patch token's row, in the weights: a tied head changes with it."""
    tokens, table = model.config.tokens, model.transformer.wte.new_embedding
    first = model.config.decoder.vocabulary
    with torch.no_grad():
        table[tokens.image_low - first] = table[tokens.image_patch - first]


def _single_point(model: VisionLanguageModel) -> tuple[int, ...]:
    """`<points coords="`, one point, `1`, no more points, `">` in the ids of the parity format."""
    tokens = model.config.tokens
    return (100, 101, 102, 103, tokens.patch, tokens.subpatch, tokens.location, 49, tokens.patch, 104)


@torch.inference_mode()
def _run(model: VisionLanguageModel, sample: GenerationInput, steps: int, forced: tuple[int, ...]) -> Run:
    tokens = model.config.tokens
    constraints = NativeConstraints(tokens)
    decoding = prefill(model, [sample], steps)
    run = Run()
    for step in range(steps):
        state, scores = decoding.state, decoding.scores
        force = forced[step] if step < len(forced) else None
        chosen = constraints.choose(state, scores, force)
        run.log.add(decoding)
        run.choices.append(chosen)
        run.constrained.append(constraints.token_scores(state, scores, force)[0].numpy())
        if int(chosen.patch) >= 0:
            run.patch_masked.append(constraints.patch_scores(state, scores, force is not None)[0].numpy())
        if int(chosen.subpatch) >= 0:
            run.subpatch_masked.append(constraints.subpatch_scores(state, scores)[0].numpy())
        if int(chosen.location) >= 0:
            assert scores.location is not None
            run.location_used.append(scores.location[0].numpy())
        if step + 1 < steps:
            feed(model, decoding, chosen, constraints)
    return run


def _compare(
    run: Run,
    theirs: Mapping[str, np.ndarray],
    sample: GenerationInput,
    golden: Mapping[str, np.ndarray],
    tolerance: float,
) -> Iterator[Check]:
    yield equal(WHERE_NATIVE, "ids", [int(each.token) for each in run.choices], theirs["ids"])
    run.forget_last(theirs)
    yield equal(WHERE_NATIVE, "choices", np.array(run.selected).reshape(-1, 3), theirs["choices"])
    yield close(
        WHERE_NATIVE, "points", native_points(triples_of(run.choices), sample, golden), theirs["points"], POINTS
    )
    yield from run.log.compare(theirs, tolerance)
    yield from _masked("masked logits", run.constrained, theirs["logits_constrained"], tolerance)
    yield from _masked("masked patch logits", run.patch_masked, theirs["patch_masked"], tolerance)
    yield from _masked("masked subpatch logits", run.subpatch_masked, theirs["subpatch_masked"], tolerance)
    yield from _masked("used location logits", run.location_used, theirs["location_used"], tolerance)


def _masked(what: str, rows: list[np.ndarray], theirs: np.ndarray, tolerance: float) -> Iterator[Check]:
    """Compare constrained scores; in a row where the release forces a choice, that choice alone."""
    ours = np.stack(rows) if rows else np.zeros_like(theirs[:0])
    if ours.shape != theirs.shape or not len(theirs):
        yield close(WHERE_NATIVE, what, ours, theirs, tolerance)
        return
    forced = theirs.max(axis=1) >= FORCED
    yield equal(WHERE_NATIVE, "forced choices", ours[forced].argmax(1), theirs[forced].argmax(1))
    yield close(WHERE_NATIVE, what, ours[~forced], theirs[~forced], tolerance)
