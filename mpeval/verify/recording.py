"""A recording of a released checkpoint (`record.py`) against this program.

A recording holds the checkpoint's small files, `recording.json` and a folder a case with `golden.npz`, which has the
arrays of the parity format and `generated`, the ids of the release's own greedy answer. Tokenizer, tiling and prompts
are checked without weights; the model where it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from mpeval.engine.config import ModelConfig
from mpeval.engine.generate import GenerationInput, generate
from mpeval.engine.model import VisionLanguageModel
from mpeval.engine.prompt import QUESTION, build_prompt, images_token_ids, low_resolution_id
from mpeval.engine.tiling import TilingSpec, normalize
from mpeval.errors import UserError
from mpeval.grounding.heads import LOCATIONS
from mpeval.media import Media
from mpeval.registry import ModelOptions, load_model
from mpeval.types import Elicitation, Query
from mpeval.verify import RECORDING
from mpeval.verify.check import Check
from mpeval.verify.compare import FORBIDDEN, LOGITS, PIXELS, close, equal, load_arrays, load_json
from mpeval.verify.model import follow_golden, sample_of, verify_layout, verify_points
from mpeval.verify.preprocess import pictures, verify_inputs
from mpeval.verify.trace import WHERE_GOLDEN, extended_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = 1

RELATIVE = {"float32": 1e-4, "bfloat16": 3e-2}
"""How far logits may lie apart, as a share of the largest of the case. Two programs add in another order, and a model
of 36 layers amplifies what is rounded: bfloat16 has 8 bits. Chosen, not measured on the released weights."""

DIMENSIONS = dict(
    pixel_values=3, image_grids=2, image_num_crops=1, token_pooling=2, input_ids=1, token_type_ids=1, generated=1,
    forced=1, logits=2, processed=2, patch_logits=2, triples=2, points=2,
)  # fmt: skip
"""Arrays of numbers in a case's `golden.npz`."""

NO_MODEL = "needs the weights: give --model NAME:FOLDER"


class CaseNote(msgspec.Struct, frozen=True):
    """What `recording.json` says of a case."""

    prompt: str
    chat: str
    """The prompt as the chat template writes it."""
    force_point: bool
    """The second token was forced to begin a point."""
    error: str | None
    """What the release's program died of, where it did."""


class TokenizedText(msgspec.Struct, frozen=True):
    text: str
    ids: list[int]


class Recording(msgspec.Struct, frozen=True):
    """`recording.json`; what else it holds is for readers."""

    format: int
    checkpoint: str
    dtype: str
    max_crops: int
    tokenizer: list[TokenizedText]
    cases: dict[str, CaseNote]


@dataclass(frozen=True)
class Loaded:
    """What is needed of the adapter whose model was recorded."""

    model: VisionLanguageModel
    tokenizer: Tokenizer
    prepare: Callable[[Query], Any]


def read_recording(folder: Path) -> Recording:
    """Raises `UserError` for one that is damaged, or of another format."""
    content = load_json(folder / RECORDING)
    try:
        recording = msgspec.convert(content, Recording)
    except msgspec.ValidationError as error:
        raise UserError(f"{folder / RECORDING} is damaged ({error}): record it again") from error
    if recording.format != FORMAT or recording.dtype not in RELATIVE:
        raise UserError(f"{folder / RECORDING} is of another format: record it with this version's record.py")
    if not recording.tokenizer or not recording.cases or any(Path(name).name != name for name in recording.cases):
        raise UserError(f"{folder / RECORDING} is damaged (texts or cases are missing): record it again")
    return recording


def load_for(recording: Recording, folder: Path, spec: str, device: str) -> Loaded:
    """The model to compare, in the number type of the recording and with hf's semantics.

    Raises `UserError` for a model of another kind or configuration.
    """
    adapter = load_model(spec, ModelOptions(device, recording.dtype, "hf"))
    model = getattr(adapter, "model", None)
    if not isinstance(model, VisionLanguageModel):
        raise UserError(f"--model {spec} is no checkpoint of this architecture: give molmopoint-8b:DIR or molmo:DIR")
    if model.config != ModelConfig.load(folder / "config.json"):
        raise UserError(f"--model {spec} is not what was recorded: {folder / 'config.json'} differs from its own")
    return Loaded(model, adapter.tokenizer, adapter.prepare)  # type: ignore[attr-defined]


def verify_recording(folder: Path, model: str | None, device: str) -> Iterator[tuple[Path, list[Check]]]:
    """Check a recording: the folder itself with its tokenizer, then each case. The model is loaded once.

    Raises `UserError` for a recording that is damaged or a model that is not the recorded one.
    """
    recording = read_recording(folder)
    checks = list(verify_tokenizer(_tokenizer(folder), recording, "tokenizer"))
    loaded = load_for(recording, folder, model, device) if model is not None else None
    if loaded is not None:
        checks += verify_tokenizer(loaded.tokenizer, recording, "prepared tokenizer")
    yield folder, checks
    for name in recording.cases:
        yield folder / name, list(verify_case(folder, recording, name, loaded))


def verify_tokenizer(tokenizer: Tokenizer, recording: Recording, what: str) -> Iterator[Check]:
    """Check texts against the release's ids."""
    for each in recording.tokenizer:
        ours = tokenizer.encode(each.text, add_special_tokens=False).ids
        yield replace(equal(RECORDING, what, ours, each.ids), note=repr(each.text))


def verify_case(folder: Path, recording: Recording, name: str, loaded: Loaded | None) -> Iterator[Check]:
    """Check one case of a recording in `folder`, without weights where `loaded` is None."""
    note, golden = recording.cases[name], load_arrays(folder / name / "golden.npz")
    config = ModelConfig.load(folder / "config.json")
    _require_fitting(folder / name / "golden.npz", golden, config)
    spec = TilingSpec.from_config(load_json(folder / "preprocessor_config.json"), "hf")
    spec = replace(spec, max_crops=recording.max_crops)
    sample = sample_of(golden)
    yield from verify_inputs(golden, spec, WHERE_GOLDEN)
    yield from verify_layout(config, golden)
    yield from _verify_prompt(folder, config, golden, note)
    yield from verify_points(golden, sample, golden["generated"].tolist(), config.tokens)
    # `close` leaves out what the release did not compute: here it computed everything, but where it overflowed.
    scores = [np.isnan(golden[each]).sum() for each in ("logits", "processed", "patch_logits")]
    yield equal(WHERE_GOLDEN, "scores are numbers", scores, [0, 0, 0])
    if loaded is None:
        for what in ("prepared prompt", "prepared pixels", "logits", "next tokens", "generated ids"):
            yield Check(WHERE_GOLDEN, what, 0.0, 0.0, NO_MODEL, skipped=True)
        return
    yield from _verify_prepared(loaded, golden, note, recording)
    yield from _verify_steps(loaded.model, golden, sample, note, RELATIVE[recording.dtype])


def _require_fitting(file: Path, golden: Mapping[str, np.ndarray], config: ModelConfig) -> None:
    """Raises `UserError` for arrays that do not fit each other: such a case was damaged, and says nothing of us."""

    def require(name: str, fits: bool) -> None:
        if not fits:
            raise UserError(f"{file}: {name} does not fit the other arrays: record it again")

    def within(name: str, low: int, high: int) -> None:
        require(name, bool(((golden[name] >= low) & (golden[name] < high)).all()))

    for name, dimensions in DIMENSIONS.items():
        require(name, golden[name].ndim == dimensions and golden[name].dtype.kind in "biuf")
    for picture in pictures(golden):
        require("image", picture.ndim == 3 and picture.dtype == np.uint8)
    pixels, pooling, ids, logits = (golden[each] for each in ("pixel_values", "token_pooling", "input_ids", "logits"))
    patches, tokens, decoder = prod(config.vision.patch_grid), config.tokens, config.decoder
    steps, choices = logits.shape
    rows = {"generated": steps, "forced": steps - 1, "token_type_ids": len(ids)}
    for name, count in rows.items():
        require(name, len(golden[name]) == count)
    require("processed", golden["processed"].shape == logits.shape)
    require("patch_logits", golden["patch_logits"].shape == (steps - 1, len(pooling) + 1))
    require("pixel_values", pixels.shape[1:] == (patches, 3 * config.vision.patch_size**2))
    require("token_pooling", len(pooling) == np.isin(ids, (tokens.image_patch, tokens.image_low)).sum())
    within("token_pooling", -1, len(pixels) * patches)
    within("input_ids", 0, decoder.vocabulary + decoder.extra_vocabulary)
    within("generated", 0, choices)
    within("forced", 0, choices)
    require("text", golden["text"].dtype.kind == "U")


def _verify_prompt(
    folder: Path, config: ModelConfig, golden: Mapping[str, np.ndarray], note: CaseNote
) -> Iterator[Check]:
    """Check the prompt as text and as ids, but for the first: what begins a prompt is the adapter's to know."""
    tokenizer, tokens = _tokenizer(folder), config.tokens
    numbers = [f"Image {index + 1}" if len(pictures(golden)) > 1 else "" for index in range(len(pictures(golden)))]
    chat = "".join(f"{number}<|image|>" for number in numbers) + QUESTION.format(text=note.prompt)
    yield equal(RECORDING, "chat template", [chat], [note.chat])

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    media = images_token_ids(golden["image_grids"].tolist(), encode, tokens, low_resolution_id(config))
    theirs = golden["input_ids"]
    yield equal(WHERE_GOLDEN, "prompt", build_prompt(int(theirs[0]), media, note.prompt, encode, tokens), theirs)


def _verify_prepared(
    loaded: Loaded, golden: Mapping[str, np.ndarray], note: CaseNote, recording: Recording
) -> Iterator[Check]:
    """Check what the adapter makes of the same question: all that a run feeds to the model."""
    shown = pictures(golden)
    media = Media("image" if len(shown) == 1 else "images", frames=tuple(shown))
    asked = Elicitation("recorded", max_crops=recording.max_crops)
    prepared = loaded.prepare(Query("recorded", media, note.prompt, asked))
    yield equal(WHERE_GOLDEN, "prepared prompt", prepared.ids, golden["input_ids"])
    yield equal(WHERE_GOLDEN, "prepared pooling", prepared.shown.pooling, golden["token_pooling"])
    pixels = normalize(prepared.shown.pixels, prepared.shown.spec).numpy()
    yield close(WHERE_GOLDEN, "prepared pixels", pixels, golden["pixel_values"], PIXELS)


def _verify_steps(
    model: VisionLanguageModel,
    golden: Mapping[str, np.ndarray],
    sample: GenerationInput,
    note: CaseNote,
    relative: float,
) -> Iterator[Check]:
    """Check every score along the release's own answer, the token that follows from each, and our own answer.

    Where the release's two best choices lie within what the logits may differ by, either may follow.
    """
    ours, generated = follow_golden(model, golden, sample), golden["generated"]
    # Columns: the vocabulary, then image tokens with no-more-points, then patches within one and ninths.
    sizes = (sample.pooling.shape[0] + 1, sample.pooling.shape[1])
    words = golden["logits"].shape[1] - sum(sizes) - LOCATIONS
    tolerance = _tolerance(golden["logits"][:, :words], relative)
    for what, columns in (("logits", slice(0, words)), ("pointing logits", slice(words + sizes[0], None))):
        yield close(WHERE_GOLDEN, what, ours["logits"][:, columns], golden["logits"][:, columns], tolerance)
    if "patch_logits" in ours:
        of_patches = _tolerance(golden["patch_logits"], relative)
        yield close(WHERE_GOLDEN, "patch logits", ours["patch_logits"], golden["patch_logits"], of_patches)

    # Of image tokens the constraints leave the best alone, which rounding may decide: the next tokens tell of them.
    masked = (ours["processed"][:, :words], golden["processed"][:, :words])
    yield close(WHERE_GOLDEN, "masked logits", *masked, tolerance)
    margins = _margins(golden["processed"])
    of_points = np.flatnonzero((generated[1:] >= words) & (generated[1:] < words + sizes[0]))
    margins[of_points + 1] = np.minimum(margins[of_points + 1], _margins(golden["patch_logits"][of_points]))
    sure = margins > 2 * tolerance
    counted = sure & (np.arange(len(generated)) != 1) if note.force_point else sure
    next_tokens = ours["processed"].argmax(-1)
    yield _of_steps("next tokens", next_tokens[counted], generated[counted], len(generated))
    if note.force_point:
        return
    first = len(generated) if sure.all() else int(np.argmin(sure))
    answer = generate(model, [sample], len(generated), stop_ids=())[0]
    ids = [
        extended_id(token, selected, words, sizes, model.config.tokens)
        for token, selected in zip(answer.ids, answer.choices, strict=True)
    ]
    yield _of_steps("generated ids", ids[:first], generated[:first], len(generated))


def _of_steps(what: str, ours: Any, theirs: np.ndarray, steps: int) -> Check:
    told = f"{len(theirs)} of {steps} steps: then the release's two best choices lie too close, or one was forced"
    return replace(equal(WHERE_GOLDEN, what, ours, theirs), note=told if len(theirs) < steps else "")


def _margins(rows: np.ndarray) -> np.ndarray:
    """[rows]: by how much the best choice leads."""
    if not len(rows):
        return np.zeros(0)
    second, best = np.partition(rows.astype(np.float64), -2, axis=-1)[:, -2:].T
    return best - second


def _tolerance(logits: np.ndarray, relative: float) -> float:
    computed = np.abs(logits[logits > FORBIDDEN])
    return max(LOGITS, relative * float(computed.max(initial=0.0)))


def _tokenizer(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{folder / 'tokenizer.json'} cannot be read ({error}): record it again") from error
