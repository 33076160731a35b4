"""The MolmoPoint and Molmo2 families: any checkpoint folder in the released layout, on the built-in engine.

A folder holds `config.json`, `preprocessor_config.json` (for video also `video_preprocessor_config.json`),
`tokenizer.json`, `generation_config.json` and safetensors. `config.json` says which family it is: grounding tokens or
text coordinates. The released checkpoints have names of their own: `released.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpeval.errors import SampleError, UserError
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Capabilities, Footprint, Prediction, Query

from .molmo_answers import PreparedQuery, read_grounding, read_text
from .molmo_files import (
    IMAGES,
    VIDEO,
    control_tokens,
    load_max_frames,
    load_tiling,
    load_tokenizer,
    settings_sha256,
    weights_sha256,
)
from .molmo_loading import load_weights, parameters_of, weight_bytes
from .molmo_media import MediaPreparer

if TYPE_CHECKING:
    import torch

    from mpeval.engine.generate import Generation, GenerationInput
    from mpeval.engine.model import VisionLanguageModel
    from mpeval.grounding.forced_text import Script

TINY_WEIGHTS = Path(__file__).parent / "tiny" / "weights"
EVALUATED_LENGTH = 64_000
"""Tokens of prompt and answer that the release evaluates with (allenai/molmo2 at f3cb108,
launch_scripts/eval_molmo2.py), though it trains with fewer: rotary positions go on."""
SMALL = 20_000_000
"""Parameters below which a CPU decodes with one thread: two on two busy cores took molmopoint-tiny 5 to 20 times as
long, since its matrices are too small to share and the threads wait for each other at every one."""


class MolmoAdapter:
    """A `ModelAdapter` over one loaded checkpoint."""

    def __init__(
        self,
        name: str,
        folder: Path,
        options: ModelOptions,
        *,
        least_crops: int | None = None,
        may_force: bool = True,
        origin: Mapping[str, str] | None = None,
        model: VisionLanguageModel | None = None,
    ) -> None:
        """Load the folder.

        least_crops: image crops at evaluation are the preprocessor's, but no fewer than this. may_force: whether a
        single point is forced on this model where an elicitation wants it. origin: repository and commit where
        the files come from one; they identify the weights without reading them again. model: the weights, where they
        are on the device already; the folder then holds none, and `origin` says what they are.

        Raises `UserError` for a folder that is incomplete, damaged or of another kind.
        """
        from mpeval.engine.checkpoint import weight_files
        from mpeval.engine.config import ModelConfig
        from mpeval.grounding.semantics import by_name

        self.name, self.folder = name, folder
        self.semantics = by_name(options.semantics)
        # Small files first: what is wrong with them shows before gigabytes are read.
        config = ModelConfig.load(folder / "config.json")
        self.tokenizer = load_tokenizer(folder)
        self.control = control_tokens(folder, self.tokenizer)
        images = load_tiling(folder / IMAGES, config.vision, options.semantics)
        has_video = (folder / VIDEO).exists()
        video = load_tiling(folder / VIDEO, config.vision, options.semantics) if has_video else None
        max_frames = load_max_frames(folder / VIDEO) if has_video else None
        if least_crops is not None:
            images = replace(images, max_crops=max(images.max_crops, least_crops))
        self.model = model or load_weights(name, folder, config, self.semantics, options)
        pin = self.device.type == "cuda"
        self.media = MediaPreparer(name, config, images, video, max_frames, self._encode, pin)
        self.grounding = self.model.point_predictor is not None
        # the hf program has no forced decoding
        can_force = self.semantics.mask_first or not self.grounding
        self.capabilities = Capabilities(
            media=("image", "images", "video") if has_video else ("image", "images"),
            grammar="grounding-tokens" if self.grounding else "molmo2-coords",
            coordinates="pixels" if self.grounding else "thousandths",
            force_single_point=may_force and can_force,
        )
        self._identity: dict[str, Any] = {
            "model": name,
            "family": self.model.config.family,
            **(origin or {"weights_sha256": weights_sha256(weight_files(folder))}),
            "settings_sha256": settings_sha256(folder),
        }
        if self.grounding:
            self._identity["semantics"] = self.semantics.name
        if least_crops is not None:
            # Where an elicitation says otherwise, that is in the elicitation.
            self._identity["max_crops"] = images.max_crops

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    def identity(self) -> dict[str, Any]:
        return dict(self._identity)

    def prepare(self, query: Query) -> PreparedQuery:
        from mpeval.engine.prompt import build_prompt

        config, media, asked = self.model.config, query.media, query.elicitation
        if asked.force_single_point and not self.grounding and (media.kind != "image" or len(media.sources) > 1):
            raise SampleError(f"{self.name} writes coordinates: one point can be forced in a single image only")
        shown = self.media.shown(media, asked)
        prompt = build_prompt(self.control.start, shown.ids, query.prompt, self._encode, config.tokens)
        needed, room = len(prompt) + asked.max_new_tokens, max(config.decoder.max_length, EVALUATED_LENGTH)
        if needed > room:
            raise SampleError(f"prompt and answer take {needed} tokens, more than the {room} of {self.name}")
        return PreparedQuery(prompt, shown, asked)

    def footprint(self, query: Query) -> Footprint:
        name, media_bytes, tokens = self.media.footprint(query.media, query.elicitation)
        # a list's places; a token is a byte of the question at most, and the chat's own few
        return Footprint(name, media_bytes, 8 * (tokens + len(query.prompt.encode("utf-8", "replace")) + 64))

    def generate(self, batch: Sequence[Any]) -> list[Prediction]:
        """One prediction for each `PreparedQuery`, in order; queries that are asked alike are decoded together."""
        predictions: dict[int, Prediction] = {}
        groups: dict[tuple[int, bool], list[int]] = {}
        for index, prepared in enumerate(batch):
            groups.setdefault(_asked(prepared), []).append(index)
        for indices in groups.values():
            answers = dict(self.stream([batch[i] for i in indices], len(indices)))
            predictions.update((indices[i], answer) for i, answer in answers.items())
        return [predictions[index] for index in range(len(batch))]

    def stream(self, prepared: Iterable[Any], at_once: int | None = None) -> Iterator[tuple[int, Prediction]]:
        """Each query's index and prediction, as soon as it is done.

        prepared: `PreparedQuery`s, taken when there is room. at_once: how many are decoded together; None: as many as
        fit into memory.
        """
        with self._threads():
            for asked, queries in groupby(enumerate(prepared), key=lambda each: _asked(each[1])):
                yield from self._decode(queries, *asked, at_once)

    def _decode(
        self, queries: Iterator[tuple[int, PreparedQuery]], max_new_tokens: int, single: bool, at_once: int | None
    ) -> Iterator[tuple[int, Prediction]]:
        from mpeval.engine.generate import Rules, generate_stream
        from mpeval.engine.memory import slots_that_fit

        if single and not self.capabilities.force_single_point:
            raise UserError(f"a single point cannot be forced on {self.name}: ask it freely")
        rules = Rules(
            max_new_tokens,
            self.control.stops,
            self._single_point_ids if single and self.grounding else (),
            self._single_point_script if single and not self.grounding else None,
        )
        first = next(queries)
        taken: dict[int, tuple[int, PreparedQuery]] = {}

        def inputs() -> Iterator[GenerationInput]:
            for number, query in enumerate(chain((first,), queries)):
                taken[number] = query
                yield self.engine_input(query[1])

        slots = at_once or slots_that_fit(self.model, self.engine_input(first[1]), max_new_tokens)
        for number, generation in generate_stream(self.model, inputs(), slots, rules):
            index, prepared = taken.pop(number)
            yield index, self._prediction(prepared, generation)

    def engine_input(self, prepared: PreparedQuery) -> GenerationInput:
        """What the engine takes. Pixels go to the device as uint8, a quarter of the bytes of float32, and are
        normalised there."""
        from mpeval.engine.generate import GenerationInput
        from mpeval.engine.tiling import normalize

        shown = prepared.shown
        pixels = shown.pixels_on(self.device)
        return GenerationInput(prepared.ids, pixels, shown.pooling, partial(normalize, spec=shown.spec), shown.name)

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """One thread for a small model on a CPU; what was set before comes back."""
        import torch

        before = torch.get_num_threads()
        small = parameters_of(self.model) < SMALL
        torch.set_num_threads(1 if small and self.model.device.type == "cpu" else before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _prediction(self, prepared: PreparedQuery, generation: Generation) -> Prediction:
        if self.grounding:
            tokens = self.model.config.tokens
            text, form, points = read_grounding(prepared, generation, tokens, self._text_of)
        else:
            text, form, points = read_text(prepared, generation, self._text_of)
        return Prediction(
            text=text,
            points=tuple(points),
            form=form,
            prompt_tokens=prepared.length,
            generated_tokens=len(generation.ids),
            seconds=generation.seconds,
            error=generation.error,
        )

    @cached_property
    def _single_point_ids(self) -> list[int]:
        """What is forced for exactly one point with grounding tokens (native, `force_single_point`)."""
        tokens = self.model.config.tokens
        triple = [tokens.patch, tokens.subpatch, tokens.location]
        number, close = self._encode("1"), self._encode('">')
        return [*self._encode('<points coords="'), *triple, *number, tokens.patch, *close]

    @cached_property
    def _single_point_script(self) -> Script:
        from mpeval.grounding.forced_text import Script

        return Script.single_point(self._encode, self.control.end_of_turn).to(self.device)

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def _text_of(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)


def _asked(prepared: PreparedQuery) -> tuple[int, bool]:
    """What must be the same for queries that are decoded together."""
    return prepared.elicitation.max_new_tokens, prepared.elicitation.force_single_point


def _tiny(name: str, description: str) -> ModelEntry:
    folder = TINY_WEIGHTS / name

    def load(argument: str | None, options: ModelOptions) -> MolmoAdapter:
        return MolmoAdapter(name, folder, options)

    return ModelEntry(name, description, load, weight_bytes=lambda argument, options: weight_bytes(folder, options))


def _load_folder(argument: str | None, options: ModelOptions) -> MolmoAdapter:
    if argument is None:
        raise UserError("molmo needs a folder: molmo:DIR")
    folder = Path(argument).expanduser()
    return MolmoAdapter(f"molmo:{folder.name}", folder, options)


molmopoint_tiny = _tiny("molmopoint-tiny", "Grounding tokens, 1.15M parameters, trained in this repository")
molmo2_tiny = _tiny("molmo2-tiny", "Text coordinates, 1.09M parameters, trained in this repository alike")
checkpoint = ModelEntry(
    "molmo",
    "Any MolmoPoint or Molmo2 checkpoint folder in the released layout",
    _load_folder,
    argument="DIR",
    weight_bytes=lambda argument, options: weight_bytes(Path(argument or ".").expanduser(), options),
)
