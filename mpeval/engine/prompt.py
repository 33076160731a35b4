"""The order of a prompt's tokens: start, media, question, and where the answer begins.

As in the release (allenai/molmo2 at f3cb108: `olmo/preprocessing/multicrop_preprocessor.py`,
`video_preprocessor.py`, `text_preprocessor.py`, and `olmo/hf_model/processing_molmo2.py`). MolmoPoint and
Molmo2 differ in one id: what stands for the low-resolution view (`low_resolution_id`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mpeval.engine.config import ModelConfig, TokenIds
from mpeval.errors import SampleError

Encode = Callable[[str], list[int]]
"""Text to ids, special tokens inside the text included, none added around it."""

QUESTION = "<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"


def low_resolution_id(config: ModelConfig) -> int:
    """The id of the low-resolution view's tokens: MolmoPoint has its own, since it cannot point at them."""
    tokens = config.tokens
    return tokens.image_low if config.family == "molmo_point" else tokens.image_patch


def image_token_ids(grid: Sequence[int], tokens: TokenIds, low_resolution: int) -> list[int]:
    """One picture: its low-resolution view, then the high-resolution one.

    Only the rows of the high-resolution view are closed by column tokens.

    Args:
        grid: low rows, low columns, high rows, high columns (`Tiles.grid`).
        low_resolution: see `low_resolution_id`.
    """
    low_rows, low_columns, rows, columns = grid
    row = [tokens.image_patch] * columns + [tokens.image_column]
    return [
        tokens.low_res_start,
        *[low_resolution] * (low_rows * low_columns),
        tokens.image_end,
        tokens.image_start,
        *row * rows,
        tokens.image_end,
    ]


def images_token_ids(
    grids: Sequence[Sequence[int]], encode: Encode, tokens: TokenIds, low_resolution: int
) -> list[int]:
    """All pictures of a prompt; several are numbered `Image 1`, `Image 2`, with no spaces."""
    ids: list[int] = []
    for number, grid in enumerate(grids, start=1):
        if len(grids) > 1:
            ids += encode(f"Image {number}")
        ids += image_token_ids(grid, tokens, low_resolution)
    return ids


def video_token_ids(grid: Sequence[int], times: Sequence[float], encode: Encode, tokens: TokenIds) -> list[int]:
    """All frames of a video, each after its time in seconds.

    Args:
        grid: frames, rows, columns (`Tiles.grid`).
        times: seconds, one a frame.
    """
    _, rows, columns = grid
    ids: list[int] = []
    for index, time in enumerate(times):
        ids += encode(f"{' ' if index else ''}{time:.1f} ")
        ids += [tokens.frame_start, *[tokens.image_patch] * (rows * columns), tokens.frame_end]
    return ids


def build_prompt(start: int, media: Sequence[int], text: str, encode: Encode, tokens: TokenIds) -> list[int]:
    """A whole prompt, up to where the answer begins.

    Args:
        start: beginning of sequence, or end of text for a tokenizer without one (the Qwen3 models).
        media: ids of `images_token_ids` or `video_token_ids`; empty without media.
        text: what the user asks.

    Raises `SampleError` where the text spells a media token: the model would take it for a part of the
    picture.
    """
    question = encode(QUESTION.format(text=text))
    if is_media(question, tokens).any():
        raise SampleError("the question contains a token that stands for media (such as <im_patch>): drop it")
    return [start, *media, *question]


def is_media(ids: Sequence[int] | np.ndarray, tokens: TokenIds) -> np.ndarray:
    """Which ids attend to each other in both directions (the release's token_type_ids): bool, same length.

    Image tokens with their start, end and column tokens; neither a frame's time nor `Image 1`.
    """
    return np.isin(np.asarray(ids, dtype=np.int64), tokens.media)
