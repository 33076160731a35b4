"""Protocols of the tracking benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mpeval.scorers import TrackScore
from mpeval.scorers.reading import Size, sample_score, unreadable, wrong_target
from mpeval.scorers.tracks import mask_values
from mpeval.types import Metric, Prediction, ProtocolSpec, SampleScore, Scorer, Target, TrackTarget

_J_AND_F = "J&F ('mpeval segment') as lmms-eval computes it, of the union of objects: the paper's code is not public"

PAPER = ProtocolSpec(
    "paper",
    elicitation="paper",
    scorer="paper",
    source="paper, Tables 5 to 7; allenai/molmo2 at f3cb108, olmo/eval/object_tracking_utils.py and evaluators.py, "
    "VideoObjectTrackingEval",
    differs="guesses the form of tracks in the text; goes by an object's place in a list, so that with one absent it "
    "tests a point against another's mask; recall is of all objects, those absent too; a frame without a true point "
    "scores 0 for any point; rounds to the nearest pixel, never quite reaches 1 (0.99999999995); "
    + _J_AND_F,
    verified=True,
)

STRICT = ProtocolSpec(
    "strict",
    elicitation="paper",
    scorer="strict",
    source="the metrics' definitions: F1 by frame and HOTA on points (arXiv 2009.07736) by object: a point counts for "
    "the object whose mask covers it, in frames where that object is there",
)

DAVIS = ProtocolSpec(
    "official",
    elicitation="paper",
    scorer="official",
    source="davisvideochallenge/davis2017-evaluation at ac7c43f, task 'unsupervised', as wjn922/ReferFormer at 06fc218 "
    "runs it (eval_davis.py, inference_davis.py; issue 30: the mean of four sets of expressions)",
    differs="J and F alone, by object over all frames. All objects of a video that one set of expressions means are "
    "one prediction: a pixel of several is the first one's, and masks are paired with objects so that J&F is largest, "
    "whichever expression they answer. True masks are the rows' (DAVIS/Annotations); the scripts take those drawn anew "
    "for that task (DAVIS/Annotations_unsupervised; arXiv 1905.00737): numbers published so are not quite these. Needs "
    "masks ('mpeval segment')",
    verified=True,
)

LMMS_EVAL = ProtocolSpec(
    "lmms-eval",
    elicitation="lmms-eval",
    scorer="lmms-eval",
    source="EvolvingLMMs-Lab/lmms-eval at 75571cf, lmms_eval/tasks/rvos/utils.py",
    differs="looks at frames with a true point alone, so that points elsewhere cost nothing; J&F is of each expression "
    "on its own, its objects united; F1 goes by place as the paper's does, HOTA by object; reads coordinates of one to "
    "four digits and cuts their decimals; a second step makes the masks with sam2.1-hiera-large and tells a mask HOTA "
    "of the union of objects, which mask_HOTA is not",
    verified=True,
)


def scorers(*more: Scorer) -> dict[str, Scorer]:
    """The paper's scorer and the definition's, and between them those that a benchmark has besides."""
    known: tuple[Scorer, ...] = (TrackScore.paper(), *more, TrackScore())
    return {each.name: each for each in known}


@dataclass(frozen=True)
class MaskScore:
    """J, F and J&F of the union of objects, of the masks that a segmenter made."""

    name: str = "official"
    headline: str = "J&F"

    def score(self, target: Target, prediction: Prediction, size: Size) -> SampleScore:
        """J&F, J, F. A failed answer has 0 in a run that was segmented; a run without masks has none of them."""
        if prediction.error is not None:
            values = {} if prediction.masks is None else dict.fromkeys(("J&F", "J", "F"), 0.0)
            return sample_score(values, False, True)
        if not isinstance(target, TrackTarget):
            raise wrong_target(self.name, target)
        values = mask_values(target, prediction, size)
        values.pop("mask_HOTA", None)
        return sample_score(values, values.get("J&F") == 1.0, unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters)


@dataclass(frozen=True)
class ServerScore:
    """Nothing: the truth is not public, and a challenge's server scores what is submitted."""

    name: str = "server"
    headline: str = "J&F"

    def score(self, target: Target, prediction: Prediction, size: Size) -> SampleScore:
        return sample_score({}, False, unreadable(prediction))

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        from mpeval.metrics.averages import summarize

        return summarize(scores, slices, clusters)
