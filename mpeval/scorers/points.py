"""F1 of a set of points against masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpeval.metrics.detection import PAPER_EPSILON, Detection
from mpeval.scorers.reading import Reading, read_points, sample_score, unreadable, wrong_target
from mpeval.types import Metric, PointsTarget, Prediction, SampleScore, Target

if TYPE_CHECKING:
    from mpeval.masks import Rounding


@dataclass(frozen=True)
class PointsF1:
    """Precision, recall and F1 of an image's points, as PixMo-Points defines them (`mpeval.metrics.points`).

    The defaults are the definition's own; `PointsF1.paper()` is the release's program.
    """

    name: str = "strict"
    reading: Reading = "declared"
    rounding: Rounding = "floor"
    epsilon: float = 0.0
    headline: str = "f1"
    macros: tuple[str, ...] = ()
    """Slices whose values are also averaged alike."""

    @classmethod
    def paper(cls) -> PointsF1:
        """The release's scorer (allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, `PointingEval`): it
        guesses the form, rounds to the nearest pixel, and its perfect F1 is 0.99999999995."""
        return cls("paper", "paper", "nearest", PAPER_EPSILON)

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        """precision, recall, f1. A hit is a perfect sample; a failed sample scores 0 even where silence is
        right."""
        from mpeval.metrics.points import point_set_scores

        if prediction.error is not None:
            return sample_score(Detection(0.0, 0.0, 0.0)._asdict(), False, True)
        if not isinstance(target, PointsTarget):
            raise wrong_target(self.name, target)
        points = read_points(prediction, size, self.reading)
        true = [(point.x, point.y) for point in target.points]
        result = point_set_scores(points, true, target.masks, self.rounding, self.epsilon)
        perfect = result.precision == result.recall == 1.0
        return sample_score(result._asdict(), perfect, not points and unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)
