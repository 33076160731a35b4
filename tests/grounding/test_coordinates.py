from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpeval.engine.config import ModelConfig
from mpeval.grounding.coordinates import (
    answer_text,
    generated_points,
    image_places,
    locate,
    pooled_at,
    video_places,
)

from ..engine.tiny_config import released_config

TOKENS = ModelConfig.from_json(released_config()).tokens
MAPPING = np.arange(36).reshape(6, 6)
POOLING = np.arange(36).reshape(3, 2, 3, 2).transpose(0, 2, 1, 3).reshape(9, 4)


def as_text(ids):
    return bytes(ids).decode()


def test_the_released_thirds():
    """Location l lies in column l // 3, row l % 3; a third is 0.33, so the last ends short of the patch."""
    place = image_places([MAPPING], [(60, 60)])[7]
    assert (place.row, place.column) == (1, 1)
    assert place.point(0).x == pytest.approx((1 + 0.165) / 6 * 60)
    assert place.point(8).x == pytest.approx((1 + 0.825) / 6 * 60)
    assert (place.point(3).x, place.point(3).y) == pytest.approx(((1 + 0.495) * 10, (1 + 0.165) * 10))


@given(
    st.floats(0, 0.9999), st.floats(0, 0.9999), st.integers(1, 4000), st.integers(1, 4000),
    st.integers(1, 40), st.integers(1, 40),
)  # fmt: skip
def test_a_pixel_survives_the_round_trip(u, v, width, height, rows, columns):
    mapping = np.arange(rows * columns).reshape(rows, columns)
    x, y = u * width, v * height
    patch, ninth = locate(x, y, mapping, (width, height))
    point = image_places([mapping], [(width, height)])[patch].point(ninth)
    # half a third, and what 0.33 lacks of a third
    assert abs(point.x - x) <= width / columns * 0.18 + 1e-6
    assert abs(point.y - y) <= height / rows * 0.18 + 1e-6


def test_answer_with_ids_after_each_point():
    patch, sub, loc = 264, 265, 266
    ids = [60, patch, sub, loc, 49, 32, patch, sub, loc, 49, 50, patch, 62]
    choices = [-1, 0, 3, 4, -1, -1, 5, 1, 0, -1, -1, 1_000_000, -1]
    points = generated_points(ids, choices, TOKENS, POOLING, image_places([MAPPING], [(600, 600)]), as_text)
    assert [p.object_id for p in points] == ["1", "12"]
    assert points[0].x == pytest.approx((POOLING[0, 3] % 6 + 0.495) * 100)
    text = answer_text(ids, choices, TOKENS, POOLING.shape, as_text)
    assert text == "<<POINT_0><POINT_13><POINT_18>1 <POINT_5><POINT_11><POINT_14>12<POINT_9>>"


def test_several_images_and_video_say_where():
    second = image_places([MAPPING, MAPPING + 36], [(60, 60), (120, 30)])[36 + 8]
    assert (second.image, second.size) == (1, (120, 30))
    frames = np.arange(3 * 36).reshape(3, 6, 6)
    assert video_places(frames, (60, 60), [0.0, 0.5, 1.0])[2 * 36].time == 1.0


def test_a_patch_id_that_stands_twice_points_nowhere():
    doubled = MAPPING.copy()
    doubled[0, 0] = 7
    assert 7 not in image_places([doubled], [(60, 60)])


def test_pooled_at_inverts_the_pooling():
    pooling = POOLING.copy()
    pooling[8, 3] = -1
    found = pooled_at(pooling)
    assert -1 not in found and len(found) == 35
    assert all(pooling[t, s] == patch for patch, (t, s) in found.items())
