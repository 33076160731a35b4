"""Tracks of points through a video against each object's masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from msgspec import structs

from mpeval.scorers.reading import BESIDE_THE_TEXT, Reading, in_stated_size, sample_score, unreadable, wrong_target
from mpeval.types import RLE, Metric, Prediction, SampleScore, Target, TrackTarget

if TYPE_CHECKING:
    from mpeval.parsing.paper import TrackFrame

FAILED = dict.fromkeys(("precision", "recall", "f1", "HOTA", "DetA", "AssA"), 0.0)
FAILED_MASKS = dict.fromkeys(("J&F", "J", "F", "mask_HOTA"), 0.0)


@dataclass(frozen=True)
class TrackScore:
    """F1 by frame, and HOTA, DetA and AssA on points, a mean over queries (`mpeval.metrics.tracks`).

    `strict` goes by object: a point is tested against the mask of the object that it was matched with, in frames
    where that object is there. `TrackScore.paper()` is the release's program, which goes by place in a list.
    """

    name: str = "strict"
    reading: Reading = "declared"
    headline: str = "f1"
    macros: tuple[str, ...] = ()
    """Slices whose values are also averaged alike."""

    @classmethod
    def paper(cls) -> TrackScore:
        """The release's scorer (allenai/molmo2 at f3cb108, olmo/eval/object_tracking_utils.py)."""
        return cls("paper", "paper")

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        """precision, recall, f1, HOTA, DetA, AssA; J&F, J, F and mask_HOTA where the answer was segmented; nothing
        where the truth is not public.

        A hit is a perfect F1 and HOTA on points.
        """
        from mpeval.metrics.tracks import paper_track_scores, strict_track_scores

        if isinstance(target, TrackTarget) and not target.known:
            return sample_score({}, False, unreadable(prediction))
        if prediction.error is not None:
            # In a run that was segmented the failed answers count among its masks too.
            return sample_score(FAILED if prediction.masks is None else FAILED | FAILED_MASKS, False, True)
        if not isinstance(target, TrackTarget):
            raise wrong_target(self.name, target)
        predicted = track_frames(*in_stated_size(prediction, size, target.size), target.fps, self.reading)
        if self.reading == "paper":
            masks = [each.masks for each in target.objects]
            detection, hota = paper_track_scores(predicted, true_frames(target), masks)
        else:
            detection, hota = strict_track_scores(predicted, target.objects, target.asked)
        perfect = detection.precision == detection.recall == hota.HOTA == 1.0
        values = {**detection._asdict(), **hota._asdict(), **mask_values(target, prediction, size)}
        return sample_score(values, perfect, not predicted and unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)


def mask_values(target: TrackTarget, prediction: Prediction, size: tuple[int, int]) -> dict[str, float]:
    """J&F, J, F and mask_HOTA of a segmented answer; nothing of one that was not. size: width, height.

    Masks of another size are brought to the video's, as lmms-eval does.
    """
    from mpeval.metrics.mask_tracks import mask_track_scores

    if prediction.masks is None:
        return {}
    frames = target.annotated or sorted({number for each in target.objects for number in each.masks})
    ours = [structs.replace(each, masks=_fitted(each.masks, size)) for each in prediction.masks]
    theirs = [structs.replace(each, masks=_fitted(each.masks, size)) for each in target.objects]
    return mask_track_scores(ours, theirs, frames, size)


def _fitted(masks: dict[int, RLE], size: tuple[int, int]) -> dict[int, RLE]:
    from mpeval.masks import fitted

    width, height = size
    return {number: fitted(mask, (height, width)) for number, mask in masks.items()}


def track_frames(prediction: Prediction, size: tuple[int, int], fps: float, reading: Reading) -> list[TrackFrame]:
    """The answer's points by frame, in order of time; a frame is its time * fps, rounded half to even.

    Of an object that stands twice in a frame the first point counts.
    """
    from mpeval.parsing.paper import TrackFrame, tracks

    if reading == "paper":
        frames = tracks(prediction.text, size, fps)[1]
        if frames or prediction.form not in BESIDE_THE_TEXT:
            return frames
    by_frame: dict[int, TrackFrame] = {}
    for point in sorted(prediction.points, key=lambda point: point.time or 0.0):
        time = round(point.time or 0.0, 1)
        frame = by_frame.setdefault(round(time * fps), TrackFrame(time, round(time * fps), {}))
        frame.points.setdefault(point.object_id or "", (point.x, point.y))
    return list(by_frame.values())


def true_frames(target: TrackTarget) -> list[TrackFrame]:
    """The frames that the dataset lists, in order; within each, objects as it lists them."""
    from mpeval.parsing.paper import TrackFrame

    frames: dict[int, dict[str, tuple[float, float]]] = {}
    for each in target.objects:
        for number, xy in each.points.items():
            frames.setdefault(number, {})[each.object_id] = xy
    for number, names in target.listed.items():
        frames[number] = {name: frames[number][name] for name in names}  # none: nothing is looked up
    return [TrackFrame(number / target.fps, number, frames[number]) for number in sorted(frames)]
