"""The files of a checkpoint folder beside its weights: tokenizer, preprocessors, what begins and ends an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mpeval.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from mpeval.engine.shapes import VisionConfig
    from mpeval.engine.tiling import TilingSpec

END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
IMAGES, VIDEO = "preprocessor_config.json", "video_preprocessor_config.json"
GENERATION = "generation_config.json"
BESIDE_WEIGHTS = ("config.json", IMAGES, VIDEO, "tokenizer.json", GENERATION)
"""Files that decide the answers beside the weights; a folder need not hold all of them."""


@dataclass(frozen=True)
class ControlTokens:
    """Ids around an answer."""

    start: int
    """Begins a prompt."""
    end_of_turn: int
    stops: tuple[int, ...]
    """Any of them ends an answer."""


def control_tokens(folder: Path, tokenizer: Tokenizer) -> ControlTokens:
    """What `generation_config.json` says; without one, as in the miniatures, a prompt begins with end-of-text.

    The released Qwen3 checkpoints begin a prompt with `<|im_end|>`: their tokenizers have no beginning of sequence, and
    the release then takes the token that ends an answer (allenai/molmo2, olmo/tokenizer.py); the OLMo 3 checkpoint
    begins it with `<|endoftext|>`.
    """
    end_of_text, end_of_turn = (_id_of(tokenizer, token, folder) for token in (END_OF_TEXT, END_OF_TURN))
    start, ends = _declared(folder / GENERATION, tokenizer) if (folder / GENERATION).exists() else (end_of_text, [])
    return ControlTokens(start, end_of_turn, tuple(sorted({end_of_text, end_of_turn, *ends})))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read `tokenizer.json`. Raises `UserError` where it is missing or damaged."""
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.exists():
        raise UserError(f"{file} is missing: give the folder of a checkpoint in the released layout")
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise UserError(f"{file} is not a readable tokenizer ({error}): fetch the file again") from error


def load_tiling(file: Path, vision: VisionConfig, semantics: Literal["native", "hf"]) -> TilingSpec:
    """How a preprocessor cuts pictures. Raises `UserError` where the encoder expects other crops."""
    from mpeval.engine.tiling import TilingSpec

    spec = TilingSpec.from_config(read_json(file), semantics)
    cut, expected = (spec.crop_size, spec.patch_size), (vision.crop_size[0], vision.patch_size)
    if cut != expected:
        raise UserError(
            f"{file}: the preprocessor cuts crops of {cut[0]} px in patches of {cut[1]} px, the encoder takes "
            f"{expected[0]} and {expected[1]}: the files belong to different models"
        )
    return spec


def load_max_frames(file: Path) -> int | None:
    """Frames of a video that a model is shown at most, of its `video_preprocessor_config.json` (384 after the release's
    long-context training); None where the file does not say. Raises `UserError` for what is no number of frames."""
    most = read_json(file).get("num_frames")
    if most is not None and (type(most) is not int or most < 2):
        raise UserError(f"{file}: num_frames is {most!r}, a number from 2 on is expected: fetch the file again")
    return most


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object. Raises `UserError` where it is missing or damaged."""
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise UserError(f"{file} is missing: give the folder of a checkpoint in the released layout") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{file} is not readable JSON ({error}): fetch the file again") from error
    if not isinstance(content, dict):
        raise UserError(f"{file} must hold an object: fetch the file again")
    return content


def settings_sha256(folder: Path) -> str:
    """One digest of all files that decide the answers beside the weights."""
    beside = [folder / file for file in BESIDE_WEIGHTS]
    return _sha256([file for file in beside if file.exists()])


def weights_sha256(files: Sequence[Path]) -> str:
    """One digest of the weights; shards are read side by side."""
    if len(files) == 1:
        return _sha256(files)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor() as pool:
        digests = pool.map(lambda file: _sha256([file]), files)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _sha256(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _declared(file: Path, tokenizer: Tokenizer) -> tuple[int, list[int]]:
    """The ids that `generation_config.json` gives: what begins a prompt, and what ends an answer."""
    generation = read_json(file)
    ends = generation.get("eos_token_id")
    ends = ends if isinstance(ends, list) else [ends]
    start = generation.get("bos_token_id")
    ids = [*ends[:1], *ends] if start is None else [start, *ends]
    for token in ids or [None]:
        # the tokenizer counts in 32 bits
        if not isinstance(token, int) or not 0 <= token < 1 << 32 or tokenizer.id_to_token(token) is None:
            raise UserError(f"{file}: {token!r} is no id of tokenizer.json: fetch both files again")
    return ids[0], ids[1:]


def _id_of(tokenizer: Tokenizer, token: str, folder: Path) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise UserError(f"{folder / 'tokenizer.json'} lacks the token {token}: fetch the file again")
    return found
