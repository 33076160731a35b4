"""Ref-DAVIS17 as its public scripts score it: all objects of a video that one set of expressions means are one
prediction to the DAVIS toolkit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpeval.scorers.reading import Size, sample_score, unreadable
from mpeval.types import RLE, Group, Metric, ObjectMasks, Prediction, SampleScore, Target, TrackedObject, TrackTarget

from .protocols import MaskScore

Member = tuple[TrackTarget, Prediction, Size]


@dataclass(frozen=True)
class DavisScore:
    """J, F and J&F of the masks of a group's queries (`GroupScorer`)."""

    name: str = "official"
    headline: str = "J&F"

    def score(self, target: Target, prediction: Prediction, size: Size) -> SampleScore:
        """As if it were alone: J&F, J and F; nothing of a run without masks."""
        if not isinstance(target, TrackTarget) or prediction.error is not None:
            return MaskScore().score(target, prediction, size)
        return self.score_group([(target, prediction, size)])[0]

    def score_group(self, members: Sequence[Member]) -> list[SampleScore]:
        """J&F, J and F of the true object that a query's masks are paired with: 0 for a failed answer, nothing at all
        where an answer of the group has no masks yet."""
        if any(prediction.masks is None for _, prediction, _ in members):
            return [_scored({}, prediction) for _, prediction, _ in members]
        return [
            _scored(dict.fromkeys(("J&F", "J", "F"), 0.0) if prediction.error else values, prediction)
            for values, (_, prediction, _) in zip(_qualities(members), members)
        ]

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters)


def groups(rows: Sequence[Mapping[str, Any]]) -> list[tuple[Group, str] | None]:
    """Each raw row's group and the number of its set of expressions, from 1; None for one that cannot be in any.

    Each object of a video has one expression in every set, in the order of their numbers (wjn922/ReferFormer at
    06fc218, tools/data/convert_davis_to_ytvos.py: number = 4 * object + set).
    """
    found: list[tuple[Group, str] | None] = [None] * len(rows)
    members: dict[str, list[set[str]]] = {}
    for place, index in enumerate(sorted(range(len(rows)), key=lambda index: _number(rows[index]))):
        row = rows[index]
        own = {str(each) for each in row.get("obj_id") or row.get("mask_id") or row.get("mask_ids") or ()}
        if not own or not isinstance(row.get("video"), str):
            continue
        taken = members.setdefault(row["video"], [])
        number = next((i for i, there in enumerate(taken) if not there & own), len(taken))
        if number == len(taken):
            taken.append(set())
        taken[number] |= own
        found[index] = Group(f"{row['video']}/{number + 1}", place), str(number + 1)
    return found


def _number(row: Mapping[str, Any]) -> tuple[int, str]:
    """Of a row's expression within its video."""
    name = str(row.get("qid", ""))
    return (int(name), "") if name.isdecimal() else (-1, name)


def _qualities(members: Sequence[Member]) -> list[dict[str, float]]:
    """J&F, J and F of each member's masks and the true object that they are paired with."""
    from mpeval.metrics.mask_proposals import paired_quality

    targets = [target for target, _, _ in members]
    frames = sorted({number for target in targets for number in target.annotated or _seen(target)})
    size = _size(members)
    if not frames or size is None:
        return [{} for _ in members]
    predicted = [_united(prediction.masks or (), size) for _, prediction, _ in members]
    true = [_united(target.objects, size) for target in targets]
    return [{"J&F": each.mean, "J": each.J, "F": each.F} for each in paired_quality(predicted, true, frames, size)]


def _seen(target: TrackTarget) -> set[int]:
    return {number for each in target.objects for number in each.masks}


def _size(members: Sequence[Member]) -> Size | None:
    """Height, width of the video; those of its true masks where none of its answers knows."""
    known = [(height, width) for _, _, (width, height) in members if width]
    drawn = (mask.size for target, _, _ in members for each in target.objects for mask in each.masks.values())
    return known[0] if known else next(drawn, None)


def _united(objects: Sequence[ObjectMasks] | Sequence[TrackedObject], size: Size) -> dict[int, RLE]:
    """A query's objects as one: frame -> mask. size: height, width, to which masks of another are brought."""
    from mpeval.masks import fitted, union

    frames: dict[int, list[RLE]] = {}
    for each in objects:
        for number, mask in each.masks.items():
            frames.setdefault(number, []).append(fitted(mask, size))
    return {number: union(masks) for number, masks in frames.items()}


def _scored(values: dict[str, float], prediction: Prediction) -> SampleScore:
    return sample_score(values, values.get("J&F") == 1.0, unreadable(prediction))
