from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpeval.parsing.counts import stated_count, states_none
from mpeval.parsing.molmo2 import render_points
from mpeval.types import Point


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("3", 3),
        (" 12. ", 12),
        ("There are none.", 0),
        ("There is none", 0),
        ("None.", 0),
        ("Counting the <points ...> shows a total of 7.", 7),
        ("The total number of red cars is: 12.", 12),
        ('There are 2 <points coords="1 1 123 456 2 123 456">cats</points>.', 2),
        ('<points coords="1 1 123 456">cats</points>', None),
        ('<points coords="total of 9">cats</points>', None),
        ("", None),
        ("nonesuch", None),
        ("-3", None),
        ("1,234", 1234),
        ("There are 1,234 birds.", 1234),
        ("There are 3, 4 at most.", 3),
        ("There are 2.5 on average.", None),
        ("1,23", None),
        ("9" * 5000, None),
    ],
)
def test_stated_count(text, count):
    assert stated_count(text) == count
    assert states_none(text) == (count == 0)


@given(st.integers(0, 30))
def test_what_is_rendered_is_read(count):
    points = [Point(float(i), 5.0) for i in range(count)]
    rendered = render_points(points, "cats", [(100, 100)])
    assert stated_count(f"Counting the {rendered} shows a total of {count}." if count else rendered) == count


@given(st.text())
def test_no_text_raises(text):
    stated_count(text)
