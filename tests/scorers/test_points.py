from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mpeval.errors import UserError
from mpeval.masks import encode
from mpeval.scorers import PointsF1
from mpeval.types import RLE, BoxTarget, Point, PointsTarget, Prediction, Scorer

SIZE = (100, 50)
CASES = json.loads((Path(__file__).parents[1] / "data/parity/metrics/image_pointing.json").read_text())
GROUNDED = "grounding-tokens"


def square(x, y):
    mask = np.zeros((50, 100), bool)
    mask[y - 3 : y + 4, x - 3 : x + 4] = True
    return encode(mask)


TARGET = PointsTarget((Point(20, 20), Point(60, 30)), (square(20, 20), square(60, 30)))
NOTHING = PointsTarget((), ())


def test_is_a_scorer():
    assert isinstance(PointsF1(), Scorer)


@pytest.mark.parametrize("case", CASES)
def test_paper_equals_the_release(case):
    target = PointsTarget(
        tuple(Point(x, y) for x, y in case["gt_points"]),
        tuple(RLE(tuple(mask["size"]), mask["counts"]) for mask in case["masks"]),
    )
    prediction = Prediction(points=tuple(Point(x, y) for x, y in case["pred_points"]), form=GROUNDED)
    score = PointsF1.paper().score(target, prediction, (case["width"], case["height"]))
    assert score.values == pytest.approx(case["expected"], abs=1e-12)


def test_strict_takes_the_declared_grammar_alone():
    declared = Prediction(text='<points coords="1 1 200 400">x</points>', points=(Point(60, 30),), form=GROUNDED)
    strict = PointsF1().score(TARGET, declared, SIZE)
    assert strict.values == {"precision": 1, "recall": 0.5, "f1": pytest.approx(2 / 3)}
    guessed = Prediction(text='<points coords="1 1 200 400 2 600 600">x')
    assert PointsF1().score(TARGET, guessed, SIZE).outcome == "format"


def test_paper_guesses_and_falls_back_on_grounding_tokens():
    guessed = Prediction(text="1 1 200 400 2 600 600")
    score = PointsF1.paper().score(TARGET, guessed, SIZE)
    assert score.outcome == "hit"
    assert score.values["f1"] == 0.99999999995
    grounded = Prediction(text="<points", points=(Point(20, 20), Point(60, 30)), form=GROUNDED)
    assert PointsF1.paper().score(TARGET, grounded, SIZE).outcome == "hit"
    other = Prediction(text="<points", points=(Point(20, 20), Point(60, 30)), form="molmo2-coords")
    assert PointsF1.paper().score(TARGET, other, SIZE).values["f1"] == 0


@pytest.mark.parametrize("scorer", [PointsF1(), PointsF1.paper()])
def test_empty_target(scorer):
    assert scorer.score(NOTHING, Prediction(text="There are none.", form="none"), SIZE).values["f1"] == 1
    assert scorer.score(NOTHING, Prediction(points=(Point(1, 1),), form=GROUNDED), SIZE).values["f1"] == 0
    failed = scorer.score(NOTHING, Prediction(error="cannot decode x.png"), SIZE)
    assert (failed.values["f1"], failed.outcome) == (0, "format")


def test_outcomes():
    miss = Prediction(text="There are none.", form="none")
    assert PointsF1().score(TARGET, miss, SIZE).outcome == "miss"
    assert PointsF1().score(TARGET, Prediction(text="I see a cat"), SIZE).outcome == "format"


def test_wrong_target_is_named():
    with pytest.raises(UserError, match="cannot score a BoxTarget"):
        PointsF1().score(BoxTarget((0, 0, 1, 1)), Prediction(), SIZE)


def test_summary_names_the_headline():
    scores = [PointsF1().score(TARGET, Prediction(points=TARGET.points, form=GROUNDED), SIZE)] * 3
    metrics = PointsF1().summarize(scores, [{"kind": "a"}] * 3, ["x", "y", "z"])
    headline = next(metric for metric in metrics if metric.name == PointsF1().headline and metric.slice is None)
    assert (headline.value, headline.count) == (1.0, 3)
