from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.metrics.regions import point_in_box, point_in_polygon, polygon_interior_point

SQUARE = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))
NOTCH = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (2.0, 1.0), (0.0, 4.0))


@pytest.mark.parametrize(
    ("x", "y", "inside"), [(1, 2, True), (3, 4, True), (2, 3, True), (0.99, 3, False), (2, 4.01, False)]
)
def test_box_includes_its_edges(x, y, inside):
    assert point_in_box(x, y, (1, 2, 3, 4)) is inside


@pytest.mark.parametrize(
    ("x", "y", "inside"),
    [
        (1, 1, True),
        (2, 2, False),
        (2, 1, True),
        (0, 0, True),
        (4, 4, True),
        (4, 2, True),
        (2, 0, True),
        (5, 0, False),
        (-1, 4, False),
    ],
)
def test_polygon_includes_its_edges_and_not_its_notch(x, y, inside):
    assert point_in_polygon(x, y, NOTCH) is inside


@given(st.floats(-1, 5), st.floats(-1, 5))
def test_square_polygon_is_a_box(x, y):
    assert point_in_polygon(x, y, SQUARE) == point_in_box(x, y, (0, 0, 4, 4))


@settings(deadline=None)
@given(st.lists(st.integers(2, 50), min_size=3, max_size=12), st.floats(0, 6.28))
def test_interior_point_of_a_star_is_inside(radii, turn):
    corners = [(2 * math.pi * i / len(radii) + turn, radius) for i, radius in enumerate(radii)]
    star = [(radius * math.cos(angle), radius * math.sin(angle)) for angle, radius in corners]
    assert point_in_polygon(*polygon_interior_point(star), star)


def test_a_polygon_without_area_gives_its_middle():
    assert polygon_interior_point([(0, 1), (4, 1), (2, 1)]) == (2, 1)
