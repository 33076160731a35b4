from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mpeval.verify
from mpeval.engine.config import ModelConfig
from mpeval.engine.prompt import (
    build_prompt,
    image_token_ids,
    images_token_ids,
    is_media,
    low_resolution_id,
    video_token_ids,
)
from mpeval.errors import SampleError

DATA = Path(mpeval.verify.__file__).parent / "data"
CONFIG = ModelConfig.load(DATA / "image_tied" / "config.json")
TOKENS = CONFIG.tokens


def encode(text: str) -> list[int]:
    return list(text.encode())


def test_a_picture_as_the_release_lays_it_out() -> None:
    golden = np.load(DATA / "image_tied" / "golden.npz")
    ids = golden["input_ids"]
    media = is_media(ids, TOKENS)
    assert media.tolist() == golden["token_type_ids"].astype(bool).tolist()
    assert image_token_ids(golden["image_grids"][0], TOKENS, low_resolution_id(CONFIG)) == ids[media].tolist()


def test_a_video_as_the_release_lays_it_out() -> None:
    golden = np.load(DATA / "video" / "golden.npz")
    times = iter(range(60, 70))
    ids = video_token_ids(golden["video_grids"][0], golden["timestamps"].tolist(), lambda text: [next(times)], TOKENS)
    whole = golden["input_ids"].tolist()
    start = whole.index(60)
    assert whole[start : start + len(ids)] == ids


def test_times_are_spaced_but_for_the_first() -> None:
    ids = video_token_ids((2, 1, 1), [0.0, 12.25], encode, TOKENS)
    text = bytes(i for i in ids if i < 256).decode()
    assert text == "0.0  12.2 "  # rounded half to even, as the release's format does
    assert not is_media(encode(text), TOKENS).any()


def test_several_pictures_are_numbered_and_one_is_not() -> None:
    grid, low = (1, 1, 1, 2), low_resolution_id(CONFIG)
    one = images_token_ids([grid], encode, TOKENS, low)
    assert one == image_token_ids(grid, TOKENS, low)
    assert images_token_ids([grid, grid], encode, TOKENS, low) == [*encode("Image 1"), *one, *encode("Image 2"), *one]


def test_molmo2_writes_its_low_resolution_view_with_patch_tokens() -> None:
    assert low_resolution_id(CONFIG) == TOKENS.image_low
    assert low_resolution_id(replace(CONFIG, family="molmo2")) == TOKENS.image_patch


def test_a_whole_prompt() -> None:
    media = image_token_ids((1, 1, 1, 1), TOKENS, low_resolution_id(CONFIG))
    prompt = build_prompt(1, media, "Point to {x}", encode, TOKENS)
    question = "<|im_start|>user\nPoint to {x}<|im_end|>\n<|im_start|>assistant\n"
    assert prompt == [1, *media, *encode(question)]
    assert build_prompt(1, [], "a", encode, TOKENS)[1:] == encode(question.replace("Point to {x}", "a"))


def test_a_question_that_spells_a_media_token_is_refused() -> None:
    def spells(text: str) -> list[int]:
        return [TOKENS.image_patch if char == "#" else ord(char) for char in text]

    with pytest.raises(SampleError, match="stands for media"):
        build_prompt(1, [], "what is # here", spells, TOKENS)
