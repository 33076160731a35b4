"""The MolmoPoint and Molmo2 families: any checkpoint folder in the released layout, on the built-in engine.

A folder holds `config.json`, `preprocessor_config.json` (for video also `video_preprocessor_config.json`),
`tokenizer.json` and safetensors. `config.json` says which family it is: grounding tokens or text coordinates.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mpeval.errors import SampleError, UserError
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Capabilities, Elicitation, Point, Prediction, Query

if TYPE_CHECKING:
    import numpy as np
    import torch
    from tokenizers import Tokenizer

    from mpeval.engine.generate import Generation
    from mpeval.engine.model import VisionLanguageModel
    from mpeval.engine.tiling import Tiles, TilingSpec

TINY_WEIGHTS = Path(__file__).parent / "tiny" / "weights"
END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
BESIDE_WEIGHTS = ("config.json", "preprocessor_config.json", "video_preprocessor_config.json", "tokenizer.json")
"""Files that decide the answers beside the weights."""
SMALL = 20_000_000
"""Parameters below which a CPU decodes with one thread: two on two busy cores took molmopoint-tiny 5 to 20 times as
long, since its matrices are too small to share and the threads wait for each other at every one."""


@dataclass(frozen=True)
class PreparedQuery:
    """A query as ids and tiles. Pixels stay uint8 until the batch is made."""

    ids: list[int]
    tiles: list[Tiles]
    kind: Literal["image", "images", "video"]
    times: tuple[float, ...]
    elicitation: Elicitation

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        return sum(tiles.nbytes for tiles in self.tiles) + 8 * len(self.ids)

    @property
    def pixels(self) -> np.ndarray:
        """uint8 [crops, patches, 3 * patch_size ** 2] of all pictures."""
        import numpy as np

        return np.concatenate([tiles.pixels for tiles in self.tiles])

    @property
    def pooling(self) -> np.ndarray:
        """[image tokens, S]: patches of all pictures behind each image token."""
        import numpy as np

        return np.concatenate([tiles.token_pooling for tiles in self.tiles])


class MolmoAdapter:
    """A `ModelAdapter` over one loaded checkpoint."""

    def __init__(self, name: str, folder: Path, options: ModelOptions) -> None:
        """Raises `UserError` for a folder that is incomplete, damaged or of another kind."""
        from mpeval.engine.checkpoint import load_model, weight_files
        from mpeval.engine.tiling import TilingSpec
        from mpeval.grounding.semantics import by_name

        self.name, self.folder = name, folder
        self.semantics = by_name(options.semantics)
        device = _device(options.device)
        self.model: VisionLanguageModel = load_model(folder, self.semantics, device, _dtype(options.dtype, device))
        self.tokenizer = _load_tokenizer(folder / "tokenizer.json")
        self.image_spec = TilingSpec.from_config(_read_json(folder / "preprocessor_config.json"), options.semantics)
        video = folder / "video_preprocessor_config.json"
        self.video_spec = TilingSpec.from_config(_read_json(video), options.semantics) if video.exists() else None
        self.grounding = self.model.point_predictor is not None
        self.capabilities = Capabilities(
            media=("image", "images", "video") if self.video_spec else ("image", "images"),
            grammar="grounding-tokens" if self.grounding else "molmo2-coords",
            coordinates="pixels" if self.grounding else "thousandths",
            # the hf program has no forced decoding
            force_single_point=self.grounding and self.semantics.mask_first,
        )
        self._end_of_text, self._end_of_turn = (self._id_of(token) for token in (END_OF_TEXT, END_OF_TURN))
        for spec in filter(None, (self.image_spec, self.video_spec)):
            _check_encoder(spec, self.model, folder)
        self._weights = _sha256(weight_files(folder))
        beside = [folder / file for file in BESIDE_WEIGHTS]
        self._settings = _sha256([file for file in beside if file.exists()])

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    def identity(self) -> dict[str, Any]:
        own = {"semantics": self.semantics.name} if self.grounding else {}
        digests = {"weights_sha256": self._weights, "settings_sha256": self._settings}
        return {"model": self.name, "family": self.model.config.family, **digests, **own}

    def prepare(self, query: Query) -> PreparedQuery:
        from mpeval.engine.prompt import build_prompt, images_token_ids, low_resolution_id, video_token_ids
        from mpeval.engine.tiling import tile_images, tile_video

        config, media = self.model.config, query.media
        pictures = media.pixels()
        if media.kind == "video":
            if self.video_spec is None:
                raise SampleError(f"{self.name} takes no video: it has no video_preprocessor_config.json")
            tiles = [tile_video(pictures, self.video_spec)]
            ids = video_token_ids(tiles[0].grid, media.times, self._encode, config.tokens)
        else:
            tiles = tile_images(pictures, self.image_spec, query.elicitation.max_crops)
            grids = [each.grid for each in tiles]
            ids = images_token_ids(grids, self._encode, config.tokens, low_resolution_id(config))
        prompt = build_prompt(self._end_of_text, ids, query.prompt, self._encode, config.tokens)
        needed, room = len(prompt) + query.elicitation.max_new_tokens, config.decoder.max_length
        if needed > room:
            raise SampleError(f"prompt and answer take {needed} tokens, more than the {room} of {self.name}")
        return PreparedQuery(prompt, tiles, media.kind, media.times, query.elicitation)

    def generate(self, batch: Sequence[Any]) -> list[Prediction]:
        """One prediction for each `PreparedQuery`, in order; queries that are asked alike share a batch."""
        predictions: dict[int, Prediction] = {}
        groups: dict[tuple[int, bool], list[int]] = {}
        for index, prepared in enumerate(batch):
            asked = prepared.elicitation
            groups.setdefault((asked.max_new_tokens, asked.force_single_point), []).append(index)
        for (max_new_tokens, single), indices in groups.items():
            answers = self._decode([batch[i] for i in indices], max_new_tokens, single)
            predictions.update(zip(indices, answers, strict=True))
        return [predictions[index] for index in range(len(batch))]

    def _decode(self, batch: list[PreparedQuery], max_new_tokens: int, single: bool) -> list[Prediction]:
        import torch

        from mpeval.engine.generate import GenerationInput, generate
        from mpeval.engine.tiling import normalize

        begun = time.perf_counter()
        stops = (self._end_of_text, self._end_of_turn)
        forced = self._single_point_ids() if single else ()
        with self._threads():
            inputs = [
                GenerationInput(
                    prepared.ids,
                    normalize(torch.from_numpy(prepared.pixels), self._spec(prepared)),
                    prepared.pooling,
                )
                for prepared in batch
            ]
            generations = generate(self.model, inputs, max_new_tokens, stops, forced)
        seconds = (time.perf_counter() - begun) / len(batch)
        return [
            self._prediction(prepared, generation, seconds)
            for prepared, generation in zip(batch, generations, strict=True)
        ]

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """One thread for a small model on a CPU; what was set before comes back."""
        import torch

        before = torch.get_num_threads()
        small = sum(parameter.numel() for parameter in self.model.parameters()) < SMALL
        torch.set_num_threads(1 if small and self.model.device.type == "cpu" else before)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def _prediction(self, prepared: PreparedQuery, generation: Generation, seconds: float) -> Prediction:
        read = self._read_grounding if self.grounding else self._read_text
        text, form, points = read(prepared, generation)
        return Prediction(
            text=text,
            points=tuple(points),
            form=form,
            prompt_tokens=prepared.length,
            generated_tokens=len(generation.ids),
            seconds=seconds,
            error=generation.error,
        )

    def _read_grounding(
        self, prepared: PreparedQuery, generation: Generation
    ) -> tuple[str, str | None, list[Point]]:
        from mpeval.grounding.coordinates import answer_text, generated_points, image_places, video_places
        from mpeval.parsing.counts import states_none

        tokens, pooling = self.model.config.tokens, prepared.pooling
        first = prepared.tiles[0]
        if prepared.kind == "video":
            places = video_places(first.mapping, first.size, prepared.times)
        else:
            places = image_places([t.mapping for t in prepared.tiles], [t.size for t in prepared.tiles])
        points = generated_points(
            generation.ids, generation.choices, tokens, pooling, places, self._text_of
        )
        shape = (pooling.shape[0], pooling.shape[1])
        text = answer_text(generation.ids, generation.choices, tokens, shape, self._text_of)
        form = "grounding-tokens" if points else "none" if states_none(text) else None
        return text, form, points

    def _read_text(
        self, prepared: PreparedQuery, generation: Generation
    ) -> tuple[str, str | None, list[Point]]:
        from mpeval.parsing.molmo2 import parse_points

        text = self._text_of(generation.ids)
        form, points = parse_points(text, [tiles.size for tiles in prepared.tiles], prepared.kind)
        return text, form, points

    def _single_point_ids(self) -> list[int]:
        """What is forced for exactly one point (native, `force_single_point`)."""
        tokens = self.model.config.tokens
        if not self.grounding:
            raise UserError(f"{self.name} has no grounding tokens: a single point cannot be forced")
        triple = [tokens.patch, tokens.subpatch, tokens.location]
        number, close = self._encode("1"), self._encode('">')
        return [*self._encode('<points coords="'), *triple, *number, tokens.patch, *close]

    def _spec(self, prepared: PreparedQuery) -> TilingSpec:
        if prepared.kind == "video" and self.video_spec is not None:
            return self.video_spec
        return self.image_spec

    def _id_of(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise UserError(f"{self.folder / 'tokenizer.json'} lacks the token {token}: fetch the file again")
        return found

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def _text_of(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)


def _load_tokenizer(file: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    if not file.exists():
        raise UserError(f"{file} is missing: give the folder of a checkpoint in the released layout")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{file} is not a readable tokenizer ({error}): fetch the file again") from error


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing: give the folder of a checkpoint in the released layout") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is not readable JSON ({error}): fetch the file again") from error


def _check_encoder(spec: TilingSpec, model: VisionLanguageModel, folder: Path) -> None:
    vision = model.config.vision
    cut, expected = (spec.crop_size, spec.patch_size), (vision.crop_size[0], vision.patch_size)
    if cut != expected:
        raise UserError(
            f"{folder}: the preprocessor cuts crops of {cut[0]} px in patches of {cut[1]} px, the encoder takes "
            f"{expected[0]} and {expected[1]}: the files belong to different models"
        )


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _device(asked: str) -> torch.device:
    import torch

    if asked == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {asked!r} cannot be used here: choose auto or cpu") from error
    return device


def _dtype(asked: str, device: torch.device) -> torch.dtype:
    import torch

    names = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if asked == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if asked not in names:
        raise UserError(f"unknown dtype {asked!r}: choose auto, {', '.join(names)}")
    return names[asked]


def _tiny(name: str, description: str) -> ModelEntry:
    folder = TINY_WEIGHTS / name

    def load(argument: str | None, options: ModelOptions) -> MolmoAdapter:
        return MolmoAdapter(name, folder, options)

    return ModelEntry(name, description, load, weight_bytes=lambda argument, options: _bytes(folder))


def _load_folder(argument: str | None, options: ModelOptions) -> MolmoAdapter:
    if argument is None:
        raise UserError("molmo needs a folder: molmo:DIR")
    folder = Path(argument).expanduser()
    return MolmoAdapter(f"molmo:{folder.name}", folder, options)


def _bytes(folder: Path) -> int:
    from mpeval.engine.checkpoint import weight_files

    return sum(file.stat().st_size for file in weight_files(folder))


molmopoint_tiny = _tiny("molmopoint-tiny", "Grounding tokens, 1.15M parameters, trained in this repository")
molmo2_tiny = _tiny("molmo2-tiny", "Text coordinates, 1.09M parameters, trained in this repository alike")
checkpoint = ModelEntry(
    "molmo",
    "Any MolmoPoint or Molmo2 checkpoint folder in the released layout",
    _load_folder,
    argument="DIR",
    weight_bytes=lambda argument, options: _bytes(Path(argument or ".").expanduser()),
)
