"""How lmms-eval scores tracks (EvolvingLMMs-Lab/lmms-eval at 75571cf, lmms_eval/tasks/rvos/utils.py)."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from mpeval.metrics.detection import Detection
from mpeval.scorers.reading import BESIDE_THE_TEXT, Size, in_stated_size, sample_score, unreadable, wrong_target
from mpeval.scorers.tracks import FAILED_MASKS, mask_values, track_frames, true_frames
from mpeval.types import Metric, Prediction, SampleScore, Target, TrackTarget

if TYPE_CHECKING:
    from mpeval.parsing.paper import TrackFrame

_COORDS = re.compile(r"coords\s*=\s*['\"]([^'\"]*)(?:['\"]|$)")
_MOMENT = re.compile(r"(?:^|[\t:,;])\s*([0-9]+(?:\.[0-9]+)?)\s+([0-9.\s]+?)(?=[\t:,;]|$)")
_BLOCK = re.compile(r"time\s+([0-9]+\.?[0-9]*)[^\S\n]*\n\s*(\{[^}]+\})")
_POINT = re.compile(r"([0-9]+)(?:\.[0-9]+)?\s+([0-9]{1,4})(?:\.[0-9]+)?\s+([0-9]{1,4})(?:\.[0-9]+)?")


def read_tracks(text: str, size: Size, fps: float) -> list[TrackFrame]:
    """The points of an answer by frame in order of time: `coords="time id x y id x y; ..."` in thousandths with one
    to four digits, whose decimals are cut; else blocks of `time 0.50` and a dictionary in percent.

    Points off the picture are left out; of an object that stands twice at one time the first point counts. Where
    lmms-eval stops with an exception, nothing is read.
    """
    from mpeval.parsing.paper import TrackFrame

    by_time: dict[float, dict[str, tuple[float, float]]] = {}
    for coords in _COORDS.finditer(text):
        for moment in _MOMENT.finditer(coords[1]):
            for object_id, *thousandths in _POINT.findall(moment[2]):
                x, y = (float(value) / 1000 * full for value, full in zip(thousandths, size))
                if x <= size[0] and y <= size[1]:
                    by_time.setdefault(float(moment[1]), {}).setdefault(object_id, (x, y))
    if by_time:
        times = [time for time in sorted(by_time) if isfinite(time * fps)]
        return [TrackFrame(time, round(time * fps), by_time[time]) for time in times]
    return _time_blocks(text, size, fps)


def _time_blocks(text: str, size: Size, fps: float) -> list[TrackFrame]:
    """Blocks of `time 0.50` and, on a line below, `{0: [34.0, 63.0], 1: [72.0, 49.0]}` in percent."""
    from mpeval.parsing.paper import TrackFrame

    frames = []
    for block in _BLOCK.finditer(text):
        points = {}
        try:
            for object_id, (x, y, *_) in ast.literal_eval(block[2]).items():
                if max(x, y) <= 100 and isfinite(min(x, y)):
                    points[str(int(object_id))] = (float(x) / 100 * size[0], float(y) / 100 * size[1])
        except (ValueError, SyntaxError, TypeError, AttributeError, OverflowError, MemoryError, RecursionError):
            continue
        time = float(block[1])
        if points and isfinite(time * fps):
            frames.append(TrackFrame(time, round(time * fps), points))
    return frames


@dataclass(frozen=True)
class LmmsEvalTrackScore:
    """F1 and HOTA over frames with a true point alone: what is predicted elsewhere costs nothing.

    F1 goes by place in a list, as the release's does; HOTA takes each object's own mask.
    """

    name: str = "lmms-eval"
    headline: str = "f1"
    macros: tuple[str, ...] = ()

    def score(self, target: Target, prediction: Prediction, size: Size) -> SampleScore:
        """precision, recall, f1, HOTA; J&F, J, F and mask_HOTA where the answer was segmented."""
        if isinstance(target, TrackTarget) and not target.known:
            return sample_score({}, False, unreadable(prediction))
        if prediction.error is not None:
            failed = dict.fromkeys(("precision", "recall", "f1", "HOTA"), 0.0)
            return sample_score(failed if prediction.masks is None else failed | FAILED_MASKS, False, True)
        if not isinstance(target, TrackTarget):
            raise wrong_target(self.name, target)
        answer, stated = in_stated_size(prediction, size, target.size)
        predicted = read_tracks(answer.text, stated, target.fps)
        if not predicted and answer.form in BESIDE_THE_TEXT:
            predicted = track_frames(answer, stated, target.fps, "declared")
        detection, hota = _scores(predicted, target)
        values = {**detection._asdict(), "HOTA": hota, **mask_values(target, prediction, size)}
        return sample_score(values, detection.recall == hota == 1.0, not predicted and unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters, self.macros)


def _scores(predicted: Sequence[TrackFrame], target: TrackTarget) -> tuple[Detection, float]:
    from mpeval.metrics.tracks import paper_track_scores

    true = true_frames(target)
    numbers = {frame.frame for frame in true}
    counted = [frame for frame in predicted if frame.frame in numbers]
    detection, _ = paper_track_scores(counted, true, [each.masks for each in target.objects])
    return detection, _hota(counted, true, target)


def _hota(predicted: Sequence[TrackFrame], true: Sequence[TrackFrame], target: TrackTarget) -> float:
    """HOTA on points of the frames in `true`, each object with its own mask."""
    import numpy as np

    from mpeval.masks import points_in_mask
    from mpeval.metrics.hota import PAPER_EPSILON, FrameMatch, hota

    predicted_at = {frame.frame: frame.points for frame in predicted}
    true_ids = sorted({each for frame in true for each in frame.points})
    predicted_ids = sorted({each for points in predicted_at.values() for each in points})
    masks = {each.object_id: each.masks for each in target.objects}
    matches = []
    for frame in true:
        points = dict(sorted(predicted_at.get(frame.frame, {}).items()))
        present = sorted(frame.points)
        similarity = np.zeros((len(present), len(points)))
        for row, object_id in enumerate(present):
            mask = masks[object_id].get(frame.frame)
            if mask is not None and points:
                similarity[row] = points_in_mask(mask, list(points.values()), "nearest")
        rows = np.array([true_ids.index(each) for each in present], int)
        columns = np.array([predicted_ids.index(each) for each in points], int)
        matches.append(FrameMatch(rows, columns, similarity))
    return hota(matches, (len(true_ids), len(predicted_ids)), epsilon=PAPER_EPSILON).HOTA
