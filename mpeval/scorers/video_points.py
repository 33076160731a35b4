"""F1 of points in space and time against objects of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpeval.metrics.detection import PAPER_EPSILON, Detection
from mpeval.scorers.reading import BESIDE_THE_TEXT, Reading, in_stated_size, sample_score, unreadable, wrong_target
from mpeval.types import Metric, Prediction, SampleScore, Target, VideoPointsTarget

if TYPE_CHECKING:
    from mpeval.masks import Rounding

TimedPoint = tuple[float, float, float]


@dataclass(frozen=True)
class VideoPointsF1:
    """Precision, recall and F1 of a video's points, as Molmo2-VP defines them (`mpeval.metrics.video_points`).

    The defaults are the definition's own; `VideoPointsF1.paper()` is the release's program.
    """

    name: str = "strict"
    reading: Reading = "declared"
    rounding: Rounding = "floor"
    epsilon: float = 0.0
    headline: str = "f1"
    macros: tuple[str, ...] = ()
    """Slices whose values are also averaged alike."""

    @classmethod
    def paper(cls) -> VideoPointsF1:
        """The release's scorer (allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, `VixMoPointEval`)."""
        return cls("paper", "paper", "nearest", PAPER_EPSILON)

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        """precision, recall, f1. A hit is a perfect sample; a failed sample scores 0 even where silence is right."""
        from mpeval.metrics.video_points import timed_point_scores

        if prediction.error is not None:
            return sample_score(Detection(0.0, 0.0, 0.0)._asdict(), False, True)
        if not isinstance(target, VideoPointsTarget):
            raise wrong_target(self.name, target)
        prediction, size = in_stated_size(prediction, size, target.size)
        points = timed_points(prediction, size, self.reading)
        result = timed_point_scores(
            points,
            [(point.time or 0.0, point.x, point.y) for point in target.points],
            [{each.time: each.mask for each in masks} for masks in target.masks],
            target.duration,
            size,
            self.rounding,
            self.epsilon,
        )
        perfect = result.precision == result.recall == 1.0
        return sample_score(result._asdict(), perfect, not points and unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)


def timed_points(prediction: Prediction, size: tuple[int, int], reading: Reading) -> list[TimedPoint]:
    """Time in seconds, x, y in pixels of a video of width, height, in the order of the answer.

    Times are those that the model was shown in its prompt, to a tenth of a second.
    """
    if reading == "paper":
        from mpeval.parsing import paper

        points = paper.timed_points(prediction.text, size)[1]
        if points or prediction.form not in BESIDE_THE_TEXT:
            return points
    return [(round(point.time or 0.0, 1), point.x, point.y) for point in prediction.points]
