from __future__ import annotations

import pytest

from mpeval.parsing import pairs
from mpeval.parsing.grammars import GRAMMARS, read
from mpeval.types import Point

SIZES = [(640, 480)]


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("json_point", '```json\n[{"point_2d": [12, 34.5], "label": "a"},\n {"point_2d": [5, 6]', [(12, 34.5), (5, 6)]),
        ("json_point", "{'action': 'left_click', 'coordinate': (12, 34)}", [(12, 34)]),
        ("json_point", '[{"point_2d": [12, 34], "la', [(12, 34)]),
        ("json_point", '{"point_2d": [12, 34, 56]} {"bbox_2d": [1, 2, 3, 4]}', []),
        ("json_point_yx", '[{"point": [34, 12], "label": "a"}]', [(12, 34)]),
        ("json_box", '[{"bbox_2d": [10, 20, 30, 50]}]', [(20, 35)]),
        ("json_box_yx", '[{"box_2d": [20, 10, 50, 30]}]', [(20, 35)]),
        ("named", '{"x": 12, "y": "34"}', [(12, 34)]),
        ("named", "x=0.12, y=0.34", [(0.12, 0.34)]),
        ("named", '<points x1="1.5" y1="2.5" x2="3" y2="4" alt="a">', [(1.5, 2.5), (3, 4)]),
        ("named", "max=9, y=3", []),
        ("bracketed", "[(0.1, .2), [3,4], [ -1 , -1 ]]", [(0.1, 0.2), (3, 4), (-1, -1)]),
        ("bracketed", "[1, 2, 3, 4]", []),
        ("box_list", "[[100,200,300,400]]", [(200, 300)]),
        ("box_list", "(100,200),(300,400)", [(200, 300)]),
        ("box_list", "[1, 2, 3]", []),
        ("bare", " 0.12, 0.34.\n", [(0.12, 0.34)]),
        ("bare", "It is 12, 34", []),
        ("box_tag", "<ref>a</ref><box>(100,200),(300,400)</box>", [(200, 300)]),
        ("box_tag", "<|box_start|>(100,200),(300,400)<|box_end|>", [(200, 300)]),
        ("box_tag", "<|box_start|>(100,200)<|box_end|>", [(100, 200)]),
        ("box_tag", "<bbox>0.1 0.2 0.3 0.4</bbox> <boxer>1 2</box>", [(0.2, 0.30000000000000004)]),
        ("box_tag", "<box>1 2 3</box>", []),
        ("point_tag", "<point>12 34</point><points>(5, 6)</points><click>7,8</click>", [(12, 34), (5, 6), (7, 8)]),
        ("point_tag", "<point>12 34</click>", []),
        ("click_call", "click(12, 34)", [(12, 34)]),
        ("click_call", "pyautogui.click(x=12.5, y=34, clicks=2)", [(12.5, 34)]),
        ("click_call", "pyautogui.doubleClick(12, 34) pyautogui.moveTo(5, 6)", [(12, 34), (5, 6)]),
        ("click_call", "click(12)", []),
        ("box_argument", "click(start_box='(12,34)')", [(12, 34)]),
        ("box_argument", "CLICK(box=[[100,200,300,400]], element_info='a')", [(200, 300)]),
    ],
)
def test_forms(form, text, expected):
    assert getattr(pairs, form)(text) == expected


@pytest.mark.parametrize(
    ("coordinates", "text", "expected"),
    [
        ("thousandths", "[500, 250]", Point(320, 120)),
        ("percent", "(50 %, 25%)", Point(320, 120)),
        ("unit", "[0.5, 0.25]", Point(320, 120)),
        ("pixels", "[500, 250]", Point(500, 250)),
        ("unit", "[50%, 25%]", None),
    ],
)
def test_coordinate_spaces(coordinates, text, expected):
    form, points = read(text, "pairs", coordinates, SIZES)
    if expected is None:
        assert (form, points) == (None, [])
    else:
        assert (form, points) == ("pair", [expected])


def test_pixels_of_a_resized_picture():
    assert read("[100, 100]", "pairs", "pixels", SIZES, seen_size=(320, 120)) == ("pair", [Point(200, 400)])
    assert read("[500, 500]", "pairs", "thousandths", SIZES, seen_size=(320, 120)) == ("pair", [Point(320, 240)])


@pytest.mark.parametrize(
    ("grammar", "text", "form"),
    [
        ("json", '[{"point_2d": [1, 2]}, {"bbox_2d": [1, 2, 3, 4]}] [5, 6]', "json-point"),
        ("json", '{"bbox_2d": [1, 2, 3, 4]} [5, 6]', "json-box"),
        ("json", "The cup is at [5, 6]", "pair"),
        ("json-yx", '{"box_2d": [1, 2, 3, 4]}', "json-box-yx"),
        ("json-yx", "[5, 6]", None),
        ("boxes", "(1,2),(3,4)", "box-list"),
        ("pairs", "(1,2),(3,4)", "pair"),
        ("tags", '<point x="1" y="2">cup</point>', "named"),
        ("clicks", "click(start_box='<|box_start|>(1,2)<|box_end|>')", "box-tag"),
        ("clicks", "click(point='<point>1 2</point>')", "point-tag"),
        ("any", "Action: click(x=1, y=2)", "click-call"),
        ("any", "1, 2", "bare-pair"),
        ("any", "I cannot see a cup.", None),
        ("any", "There are none.", "none"),
        ("json", "```json\n[]\n```", "none"),
        ("json", "<think>[1, 2]? No.</think>There are none.", "none"),
        ("json", "<think>\nPerhaps [1, 2], or", None),
        ("json", "[1, 2] and no <think> tag", "pair"),
        ("molmo2-coords", '<points coords="1 1 123 456">cup</points>', "molmo2-coords"),
    ],
)
def test_the_form_that_matched_is_told(grammar, text, form):
    read_form, points = read(text, grammar, "thousandths", SIZES)
    assert read_form == form
    assert bool(points) == (form not in (None, "none"))


def test_several_pictures():
    sizes = [(640, 480), (100, 100)]
    text = '<points coords="2 1 500 500">cup</points>'
    assert read(text, "molmo2-coords", "thousandths", sizes, "images")[1] == [Point(50, 50, image=1, object_id="1")]
    assert read("[500, 500]", "pairs", "thousandths", sizes, "images")[1] == [Point(320, 240, image=0)]


def test_every_grammar_names_its_forms_once():
    for name, forms in GRAMMARS.items():
        assert len(set(forms.values())) == len(forms), name
