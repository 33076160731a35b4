"""Accuracy of a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpeval.metrics.counts import close_count, overcounted
from mpeval.scorers.reading import Reading, sample_score, unreadable, wrong_target
from mpeval.types import CountTarget, Metric, Prediction, SampleScore, Target


@dataclass(frozen=True)
class CountAccuracy:
    """How often a count is right (`accuracy`) or nearly so (`close`).

    `declared`: the number that the text states, else the number of points. `paper`: what the release reads
    from the text of a video counting answer (`mpeval.parsing.paper.count`), "There are none." unread as it is
    there.
    """

    name: str = "strict"
    reading: Reading = "declared"
    headline: str = "accuracy"
    macros: tuple[str, ...] = ()
    """Slices whose values are also averaged alike."""
    overcount_floor: int | None = None
    """Tell `overcounted` too: whether an answer has more than twice as many points as there are things, and more than
    this (paper, Table 9). None: do not."""

    @classmethod
    def paper(cls, name: str = "paper", overcount_floor: int | None = None) -> CountAccuracy:
        """The release's scorer (allenai/molmo2 at f3cb108, olmo/eval/evaluators.py,
        `VixMoPointCountEval`)."""
        return cls(name, "paper", overcount_floor=overcount_floor)

    def read(self, prediction: Prediction) -> int | None:
        """The count that the answer gives, None where it gives none."""
        from mpeval.parsing import paper
        from mpeval.parsing.counts import stated_count

        if prediction.error is not None:
            return None
        if self.reading == "paper":
            return paper.count(prediction.text)
        stated = stated_count(prediction.text)
        if stated is None and not unreadable(prediction):
            return len(prediction.points)
        return stated

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        """accuracy and close; both 0 where no count could be read. overcounted where it is asked for."""
        count = self.read(prediction)
        if count is None and prediction.error is not None:
            return sample_score({"accuracy": 0.0, "close": 0.0, **self._overcounted(0, 0)}, False, True)
        if not isinstance(target, CountTarget):
            raise wrong_target(self.name, target)
        more = self._overcounted(len(prediction.points), target.count)
        if count is None:
            return sample_score({"accuracy": 0.0, "close": 0.0, **more}, False, True)
        right, close = count == target.count, close_count(count, target.count)
        return sample_score({"accuracy": float(right), "close": float(close), **more}, right, False)

    def _overcounted(self, points: int, true: int) -> dict[str, float]:
        if self.overcount_floor is None:
            return {}
        return {"overcounted": float(overcounted(points, true, self.overcount_floor))}

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)
