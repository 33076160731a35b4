"""The model against both released programs, on a folder with `config.json`, weights and what they gave."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mpeval.engine.checkpoint import load_model
from mpeval.engine.config import ModelConfig, TokenIds
from mpeval.engine.generate import Decoding, GenerationInput
from mpeval.engine.prompt import image_token_ids, is_media, low_resolution_id, video_token_ids
from mpeval.engine.tiling import TilingSpec
from mpeval.grounding.constraints import LOCATION_NEXT, SUBPATCH_NEXT, Choice, HfConstraints, StepScores
from mpeval.grounding.coordinates import answer_text
from mpeval.grounding.heads import LOCATIONS
from mpeval.grounding.semantics import HF
from mpeval.verify.check import Check
from mpeval.verify.compare import LOGITS, LOGITS_TIED, POINTS, close, equal, load_arrays
from mpeval.verify.native import verify_forced, verify_training
from mpeval.verify.preprocess import verify_inputs
from mpeval.verify.runs import verify_free_runs, verify_hf_reference
from mpeval.verify.trace import WHERE_GOLDEN, StepLog, choice_of, follow, places_of, triples_of

MARGINS, MAX_CROPS = (1, 1), 4
"""How the folders of the parity format were tiled; their `config.json` does not say."""


def verify_model(folder: Path) -> list[Check]:
    """Check semantics hf against `golden.npz` and semantics native against `native.npz`, where they are."""
    config = ModelConfig.load(folder / "config.json")
    golden = load_arrays(folder / "golden.npz")
    tolerance = LOGITS_TIED if config.decoder.tied_head else LOGITS
    sample = _sample(golden)
    checks = [*verify_inputs(golden, _spec(config, golden), WHERE_GOLDEN)]
    checks += _verify_layout(config, golden)
    checks += _verify_golden(folder, golden, sample, tolerance)
    if (folder / "native.npz").exists():
        native = load_arrays(folder / "native.npz")
        checks += verify_forced(folder, native, sample, golden, tolerance)
        checks += verify_training(folder, native, sample, tolerance)
        checks += verify_free_runs(folder, native, sample, golden, tolerance)
        checks += verify_hf_reference(folder, native, sample, tolerance)
    return checks


def _sample(golden: Mapping[str, np.ndarray]) -> GenerationInput:
    """The prompt exactly as the release built it, so that a fault of ours in tiling shows in tiling alone."""
    pixels = golden["pixel_values_videos"] if "frames" in golden else golden["pixel_values"]
    return GenerationInput(golden["input_ids"].tolist(), pixels, golden["token_pooling"])


def _spec(config: ModelConfig, golden: Mapping[str, np.ndarray]) -> TilingSpec:
    side = round(golden["token_pooling"].shape[1] ** 0.5)
    return TilingSpec(
        crop_size=config.vision.crop_size[0],
        patch_size=config.vision.patch_size,
        pooling=(side, side),
        margins=MARGINS,
        max_crops=MAX_CROPS,
        semantics="hf",
    )


def _verify_layout(config: ModelConfig, golden: Mapping[str, np.ndarray]) -> Iterator[Check]:
    """Check which tokens are media, and their order. The text between them is the folder's own."""
    ids, tokens = golden["input_ids"], config.tokens
    media = is_media(ids, tokens)
    yield equal(WHERE_GOLDEN, "token types", media, golden["token_type_ids"].astype(bool))
    if "frames" in golden:
        ours = video_token_ids(golden["video_grids"][0], golden["timestamps"].tolist(), lambda text: [], tokens)
    else:
        low = low_resolution_id(config)
        ours = [token for grid in golden["image_grids"] for token in image_token_ids(grid, tokens, low)]
    yield equal(WHERE_GOLDEN, "token layout", ours, ids[media])


def _verify_golden(
    folder: Path, golden: Mapping[str, np.ndarray], sample: GenerationInput, tolerance: float
) -> Iterator[Check]:
    """Feed the forced ids to the model with hf's semantics, and look at every step."""
    model = load_model(folder, HF)
    tokens = model.config.tokens
    constraints = HfConstraints(tokens)
    sizes = (sample.pooling.shape[0] + 1, sample.pooling.shape[1])
    vocabulary = golden["logits"].shape[1] - sum(sizes) - LOCATIONS
    choices = [choice_of(each, vocabulary, sizes, tokens) for each in golden["forced"].tolist()]
    log = StepLog()
    logits, processed = [], []
    for decoding in follow(model, sample, choices, constraints):
        log.add(decoding)
        extended = constraints.extend(_computed(decoding), sizes)
        logits.append(extended[0].numpy())
        processed.append(constraints.process(decoding.state, extended, sizes)[0].numpy())
    yield close(WHERE_GOLDEN, "logits", np.stack(logits), golden["logits"], tolerance)
    if choices:
        patch_logits = log.arrays()["patch_logits"][1:]
        yield close(WHERE_GOLDEN, "patch logits", patch_logits, golden["patch_logits"], tolerance)
    if "processed" in golden:
        yield close(WHERE_GOLDEN, "masked logits", np.stack(processed), golden["processed"], tolerance)
    triples, theirs = triples_of(choices), np.reshape(golden["triples"], (-1, 4))
    yield equal(WHERE_GOLDEN, "choices", np.reshape(triples, (-1, 3)), theirs[:, :3])
    yield close(WHERE_GOLDEN, "points", _points(triples, sample, golden), golden["points"], POINTS)
    if "text" in golden:
        written = re.findall(r"<POINT_\d+>", str(golden["text"]))
        yield equal(WHERE_GOLDEN, "written points", _written(choices, sample, tokens), written)


def _written(choices: Sequence[Choice], sample: GenerationInput, tokens: TokenIds) -> list[str]:
    """The points of the answer as text, without no-more-points, which the folders' texts leave out."""
    selected = [max(int(each.patch), int(each.subpatch), int(each.location)) for each in choices]
    ids, (image_tokens, pool) = [int(each.token) for each in choices], sample.pooling.shape
    text = answer_text(ids, selected, tokens, (image_tokens, pool), lambda plain: "")
    return re.findall(r"<POINT_\d+>", text.replace(f"<POINT_{image_tokens}>", ""))


def _computed(decoding: Decoding) -> StepScores:
    """The scores that hf computes at this step; ours are there for a whole batch, used or not."""
    scores, phase = decoding.scores, int(decoding.state.phase)
    return replace(
        scores,
        subpatch=scores.subpatch if phase == SUBPATCH_NEXT else None,
        location=scores.location if phase == LOCATION_NEXT else None,
    )


def _points(
    triples: list[tuple[int, int, int]], sample: GenerationInput, golden: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Object id, image index or time, x, y of each point; the ids are the folder's own."""
    places = places_of(golden)
    rows = []
    for (token, patch, location), object_id in zip(triples, np.reshape(golden["triples"], (-1, 4))[:, 3], strict=False):
        point = places[int(sample.pooling[token, patch])].point(location)
        rows.append((object_id, (point.image or 0) if point.time is None else point.time, point.x, point.y))
    return np.reshape(rows, (-1, 4))
