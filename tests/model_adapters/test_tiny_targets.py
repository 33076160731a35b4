"""The miniatures' tokenizer and targets: nothing is lost on the way from a pixel to ids and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.benchmarks.scenes import generate
from mpeval.engine.config import ModelConfig
from mpeval.engine.model import NO_MORE_POINTS
from mpeval.engine.tiling import TilingSpec, tile_image
from mpeval.grounding.coordinates import generated_points, image_places
from mpeval.model_adapters.tiny.config import CROP, PATCH, model_config, preprocessor_config
from mpeval.model_adapters.tiny.targets import PointLocator, answer
from mpeval.model_adapters.tiny.tokenizer import PHRASES, SPECIAL, base_vocabulary, build_tokenizer
from mpeval.parsing.molmo2 import parse_points

TOKENIZER = build_tokenizer()
CONFIG = ModelConfig.from_json(model_config("grounding"))
TILES = tile_image(np.zeros((CROP, CROP, 3), np.uint8), TilingSpec.from_config(preprocessor_config()))
LOCATOR = PointLocator(TILES)

sizes = st.tuples(st.integers(60, 300), st.integers(60, 300))
shares = st.tuples(st.floats(0, 0.999), st.floats(0, 0.999))


def encode(text: str) -> list[int]:
    return TOKENIZER.encode(text, add_special_tokens=False).ids


def decode(ids: list[int]) -> str:
    return TOKENIZER.decode(ids, skip_special_tokens=False)


@given(st.text())
def test_any_text_survives_the_tokenizer(text: str) -> None:
    assert decode(encode(text)) == text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@pytest.mark.parametrize("kind", ["shapes", "screen"])
def test_a_scene_word_is_one_token(kind: str) -> None:
    for seed in range(5):
        scene = generate(kind, seed, "train")  # type: ignore[arg-type]
        for text in [scene.caption, *(query.prompt for query in scene.queries)]:
            assert len(encode(text)) == len(text.split())


def test_special_tokens_follow_the_base_vocabulary_in_the_released_order() -> None:
    base = len(base_vocabulary())
    assert base <= 512
    assert [TOKENIZER.token_to_id(token) for token in SPECIAL] == list(range(base, base + len(SPECIAL)))
    assert all(len(encode(phrase)) == 1 for phrase in PHRASES)


@given(sizes, shares)
def test_a_triple_lies_within_a_third_of_a_patch(size: tuple[int, int], share: tuple[float, float]) -> None:
    x, y = share[0] * size[0], share[1] * size[1]
    token, subpatch, ninth = LOCATOR.triple(x, y, size)
    assert token >= TILES.grid[0] * TILES.grid[1]  # never the low-resolution view
    place = image_places([TILES.mapping], [size])[int(TILES.token_pooling[token, subpatch])]
    point = place.point(ninth)
    side = CROP // PATCH
    assert abs(point.x - x) <= size[0] / side / 3
    assert abs(point.y - y) <= size[1] / side / 3


@settings(max_examples=30)
@given(sizes, st.lists(shares, min_size=1, max_size=8), st.booleans())
def test_both_formats_read_back_the_same_points(
    size: tuple[int, int], at: list[tuple[float, float]], counting: bool
) -> None:
    points = [(x * size[0], y * size[1]) for x, y in at]
    text, grounding = (
        answer(points, "red circles", counting, size, written, LOCATOR, encode, CONFIG.tokens)
        for written in ("text", "grounding")
    )
    form, read = parse_points(decode(text.ids), [size])
    assert form == "molmo2-coords"
    places = image_places([TILES.mapping], [size])
    chosen = generated_points(grounding.ids, grounding.points, CONFIG.tokens, TILES.token_pooling, places, decode)
    assert [p.object_id for p in chosen] == [p.object_id for p in read] == [str(i + 1) for i in range(len(points))]
    for own, other in zip(read, chosen, strict=True):
        assert abs(own.x - other.x) <= size[0] * (1 / 42 + 0.001)
        assert abs(own.y - other.y) <= size[1] * (1 / 42 + 0.001)
    assert decode(text.ids).endswith(f"total of {len(points)}.") == counting


def test_grounding_points_end_with_no_more_points_and_never_go_back() -> None:
    reply = answer([(100, 100), (5, 5), (60, 5)], "x", False, (112, 112), "grounding", LOCATOR, encode, CONFIG.tokens)
    patches = [p for i, p in zip(reply.ids, reply.points, strict=True) if i == CONFIG.tokens.patch]
    assert patches == sorted(patches)
    assert patches[-1] == NO_MORE_POINTS and patches.count(NO_MORE_POINTS) == 1
    assert decode(reply.ids).endswith('<|token_index|>">x</point>')


@pytest.mark.parametrize("written", ["text", "grounding"])
def test_nothing_to_point_at_is_said(written: str) -> None:
    reply = answer([], "x", True, (112, 112), written, LOCATOR, encode, CONFIG.tokens)  # type: ignore[arg-type]
    assert decode(reply.ids) == "There are none."
