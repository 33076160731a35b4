"""Accuracy of one answer: a point in a box, a polygon or a mask, or a refusal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpeval.metrics.regions import point_in_box, point_in_polygon
from mpeval.scorers.reading import Reading, read_points, sample_score, unreadable, wrong_target
from mpeval.types import (
    AnyTarget,
    BoxTarget,
    MaskTarget,
    Metric,
    PolygonTarget,
    Prediction,
    RefusalTarget,
    SampleScore,
    Target,
)

if TYPE_CHECKING:
    from mpeval.masks import Rounding


@dataclass(frozen=True)
class PointAccuracy:
    """1 or 0 for each sample, by what its target is.

    Box and polygon: the first point lies inside, edges included (allenai/molmo2 at f3cb108,
    olmo/eval/evaluators.py, `ScreenSpotEvaluator`). Mask: there is a point and every point lies inside
    (there, `PointBenchEval`). Refusal: no point is given. The defaults are the definitions' own;
    `PointAccuracy.paper()` is the release's program.
    """

    name: str = "strict"
    reading: Reading = "declared"
    rounding: Rounding = "floor"
    headline: str = "accuracy"
    macros: tuple[str, ...] = ()
    """Slices whose values are also averaged alike."""

    @classmethod
    def paper(cls) -> PointAccuracy:
        """The release's scorers: they guess the form and truncate to the pixel."""
        return cls("paper", "paper", "truncate")

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        """accuracy. A failed sample scores 0 even where silence is right."""
        points = read_points(prediction, size, self.reading)
        hit = prediction.error is None and self._hit(target, points, size)
        return sample_score({"accuracy": float(hit)}, hit, not points and unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)

    def _hit(self, target: Target, points: list[tuple[float, float]], size: tuple[int, int]) -> bool:
        if isinstance(target, RefusalTarget):
            return not points
        if isinstance(target, BoxTarget):
            return bool(points) and point_in_box(*points[0], target.box)
        if isinstance(target, PolygonTarget):
            return bool(points) and point_in_polygon(*points[0], target.polygon)
        if isinstance(target, AnyTarget):
            return any(self._hit(place, points, size) for place in target.places)
        if isinstance(target, MaskTarget):
            from mpeval.metrics.points import all_in_mask

            return all_in_mask(points, target.mask, size, self.rounding)
        raise wrong_target(self.name, target)
