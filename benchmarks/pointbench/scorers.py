"""How PointBench's own script and lmms-eval score it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpeval.scorers.reading import BESIDE_THE_TEXT, Size, sample_score, wrong_target
from mpeval.types import MaskTarget, Metric, Prediction, SampleScore, Target

if TYPE_CHECKING:
    from mpeval.masks import Rounding

Reader = Callable[[str, Size], Sequence[tuple[float, float]]]
"""Text and a width and height -> points in pixels of that size."""


MOLMO_FORMS = ("attributes-percent", "molmo2-coords", *BESIDE_THE_TEXT)
"""How no model of another family writes points."""


@dataclass(frozen=True)
class PointBenchAccuracy:
    """1 where there is a point, all points lie in the mask and, in `counting`, there are as many as things; else 0.

    As the benchmark's own script scores (pointarena/pointarena at dcd82f2, molmo_evaluator.py, `evaluate_model`)
    with its reader, `truncate` and `first_alone`.
    """

    name: str = "strict"
    read: Reader | None = None
    """None: the points that the adapter read in its own grammar."""
    rounding: Rounding = "floor"
    first_alone: bool = False
    """Outside of `counting` further points are not looked at."""
    not_read: tuple[str, ...] = ()
    """Forms of which the adapter's points count, since the source's reader is for models that write otherwise."""
    headline: str = "accuracy"
    macros: tuple[str, ...] = ("category",)

    def score(self, target: Target, prediction: Prediction, size: Size) -> SampleScore:
        """accuracy."""
        from mpeval.masks import area
        from mpeval.metrics.points import all_in_mask

        if prediction.error is not None:
            return sample_score({"accuracy": 0.0}, False, True)
        if not isinstance(target, MaskTarget):
            raise wrong_target(self.name, target)
        # Bits and dark palettes are empty to the sources that look at stored values; here white is inside.
        mask = target.grey if self.read is None and target.grey and area(target.mask) == 0 else target.mask
        points = _points(prediction, None if prediction.form in self.not_read else self.read, size, size)
        wanted = points[:1] if self.first_alone and target.count is None else points
        hit = all_in_mask(wanted, mask, size, self.rounding) and target.count in (None, len(wanted))
        return sample_score({"accuracy": float(hit)}, hit, _unread(points, prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)


@dataclass(frozen=True)
class LmmsEvalAccuracy:
    """lmms-eval's two metrics (EvolvingLMMs-Lab/lmms-eval at 75571cf, lmms_eval/tasks/pointbench/utils.py).

    accuracy (there: pointbench_acc) is the share of points that lie in the mask; binary_accuracy
    (pointbench_binary_acc) is 1 where the first one does, and in `counting` where all do and are as many as things.
    """

    name: str
    read: Reader
    headline: str = "accuracy"

    def score(self, target: Target, prediction: Prediction, size: Size) -> SampleScore:
        """accuracy, binary_accuracy."""
        from mpeval.masks import point_in_mask

        if prediction.error is not None:
            return sample_score({"accuracy": 0.0, "binary_accuracy": 0.0}, False, True)
        if not isinstance(target, MaskTarget):
            raise wrong_target(self.name, target)
        mask = target.grey or target.mask
        height, width = mask.size
        points = _points(prediction, self.read, size, (width, height))
        inside = [point_in_mask(mask, x, y, "nearest") for x, y in points]
        share = sum(inside) / len(inside) if inside else 0.0
        if target.count is None:
            binary = inside[:1] == [True]
        else:
            binary = bool(inside) and all(inside) and len(inside) == target.count
        values = {"accuracy": share, "binary_accuracy": float(binary)}
        return sample_score(values, share == 1.0, _unread(points, prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters)


def _points(prediction: Prediction, read: Reader | None, size: Size, scaled: Size) -> list[tuple[float, float]]:
    """The answer's points in pixels of the size `scaled`. size: of the picture, width, height.

    Where nothing is read in an answer whose points do not stand in its text, the adapter's count.
    """
    points = list(read(prediction.text, scaled)) if read else []
    if points or (read and prediction.form not in BESIDE_THE_TEXT):
        return points
    x_scale, y_scale = scaled[0] / size[0], scaled[1] / size[1]
    return [(point.x * x_scale, point.y * y_scale) for point in prediction.points]


def _unread(points: Sequence[object], prediction: Prediction) -> bool:
    from mpeval.parsing.counts import states_none

    return not points and not states_none(prediction.text)
