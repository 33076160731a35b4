"""How a scorer reads points from a stored answer."""

from __future__ import annotations

from typing import Literal

from msgspec import structs

from mpeval.errors import UserError
from mpeval.types import Prediction, SampleScore, Target

Reading = Literal["declared", "paper"]
"""`declared`: the points that the adapter read in its own grammar. `paper`: the release's guessing parser
over the text; where it finds nothing in an answer whose points do not stand there (`BESIDE_THE_TEXT`), the adapter's
points (the release's PointBench and GUI scorers take them so, and without that step no grounding token could be scored
by its other ones)."""

BESIDE_THE_TEXT = ("grounding-tokens", "points")
"""Forms whose points do not stand in the text: grounding tokens, and what a replay file gives as points."""

Size = tuple[int, int]


def in_stated_size(prediction: Prediction, size: Size, stated: Size | None) -> tuple[Prediction, Size]:
    """The answer with its points, which are in pixels of a video of width, height, in those of the size that the
    dataset states; and that size, by which a text is read. The programs that publish these datasets know no other."""
    if stated is None or stated == size or 0 in size:
        return prediction, stated or size
    across, down = stated[0] / size[0], stated[1] / size[1]
    points = tuple(structs.replace(each, x=each.x * across, y=each.y * down) for each in prediction.points)
    return structs.replace(prediction, points=points), stated


def read_points(prediction: Prediction, size: Size, reading: Reading) -> list[tuple[float, float]]:
    """x, y in pixels of an image of width, height, in the order of the answer; none where the sample
    failed."""
    from mpeval.parsing import paper

    if prediction.error is not None:
        return []
    if reading == "paper":
        points = paper.image_points(prediction.text, size)[1]
        if points or prediction.form not in BESIDE_THE_TEXT:
            return points
    return [(point.x, point.y) for point in prediction.points]


def unreadable(prediction: Prediction) -> bool:
    """Whether the answer neither follows a grammar nor says that there is nothing; a failed sample does not
    either."""
    from mpeval.parsing.counts import states_none

    return prediction.error is not None or (prediction.form is None and not states_none(prediction.text))


def sample_score(values: dict[str, float], hit: bool, missing: bool) -> SampleScore:
    """missing: nothing could be read from the answer; a hit is a hit all the same (silence where nothing is
    there)."""
    return SampleScore(values, "hit" if hit else "format" if missing else "miss")


def wrong_target(scorer: str, target: Target) -> UserError:
    kind = type(target).__name__
    return UserError(f"the scorer {scorer!r} cannot score a {kind}; choose another protocol for this benchmark")
