"""Pictures are checked by their pixels."""

from __future__ import annotations

import numpy as np
import pytest

from mpeval.drawing import draw
from mpeval.masks import encode
from mpeval.types import BoxTarget, MaskTarget, Point, PointsTarget, PolygonTarget

RED, GREEN = (255, 45, 85), (60, 230, 110)


def plain(width: int, height: int, value: int = 128) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def colours(image: np.ndarray) -> set[tuple[int, ...]]:
    packed = np.unique(image.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32))
    return {(int(c) >> 16, int(c) >> 8 & 255, int(c) & 255) for c in packed}


@pytest.mark.parametrize(("width", "height"), [(7, 5), (112, 98), (640, 640), (2000, 900)])
@pytest.mark.parametrize("value", [0, 255])
def test_a_point_is_seen_at_its_place_at_any_size_on_any_ground(width: int, height: int, value: int) -> None:
    image = np.asarray(draw(plain(width, height, value), [Point(width / 2, height / 2)]))
    factor = image.shape[1] // width
    assert image.shape == (height * factor, width * factor, 3)
    assert max(image.shape) >= 640
    assert tuple(image[image.shape[0] // 2, image.shape[1] // 2]) == RED
    opposite = (255 - value,) * 3
    assert opposite in colours(image)


def test_a_point_outside_is_left_out_and_the_rest_keep_their_numbers() -> None:
    ground = plain(700, 700)
    assert (np.asarray(draw(ground, [Point(-50, 10)])) == ground).all()
    second = np.asarray(draw(ground, [Point(-50, 10), Point(350, 350)]))
    first = np.asarray(draw(ground, [Point(350, 350)]))
    assert (second != first).any()  # it says 2, not 1


def test_a_number_at_the_right_edge_stays_inside() -> None:
    image = np.asarray(draw(plain(700, 700), [Point(699, 350)]))
    left_of_the_ring = image[330:370, 640:680]
    assert RED in colours(left_of_the_ring)


@pytest.mark.parametrize(
    "target", [BoxTarget((100, 200, 300, 400)), PolygonTarget(((100, 200), (300, 200), (300, 400), (100, 400)))]
)
def test_an_outline_lies_on_its_edges(target: BoxTarget | PolygonTarget) -> None:
    image = np.asarray(draw(plain(700, 700), target=target))
    for x, y in ((100, 300), (300, 300), (200, 200), (200, 400)):
        assert tuple(image[y, x]) == GREEN
    assert tuple(image[300, 200]) == (128, 128, 128)


def test_a_rim_leaves_what_its_mask_covers_as_it_is() -> None:
    inside = np.zeros((700, 700), bool)
    inside[200:400, 100:300] = True
    image = np.asarray(draw(plain(700, 700), target=MaskTarget(encode(inside))))
    assert colours(image[inside]) == {(128, 128, 128)}
    assert tuple(image[300, 99]) == GREEN
    assert tuple(image[300, 300]) == GREEN


def test_a_mask_of_another_size_is_scaled() -> None:
    inside = np.zeros((350, 350), bool)
    inside[100:200, 50:150] = True
    image = np.asarray(draw(plain(700, 700), target=MaskTarget(encode(inside))))
    assert tuple(image[300, 99]) == GREEN


def test_target_points_are_crossed() -> None:
    mask = encode(np.zeros((700, 700), bool))
    image = np.asarray(draw(plain(700, 700), target=PointsTarget((Point(350, 350),), (mask,))))
    assert tuple(image[350, 350]) == GREEN


def test_a_caption_stands_under_the_picture() -> None:
    ground = plain(700, 300)
    short = np.asarray(draw(ground, caption="one line"))
    long = np.asarray(draw(ground, caption="a word " * 60))
    assert (short[:300] == ground).all()
    assert 300 < short.shape[0] < long.shape[0]
    assert short[300:].min() < 60


def test_a_word_wider_than_the_picture_is_broken() -> None:
    ground = plain(700, 300)
    long = np.asarray(draw(ground, caption="<POINT_31>" * 30))
    assert long.shape[0] > np.asarray(draw(ground, caption="one line")).shape[0] + 30
    assert long[300:, -6:].min() == 255
