"""What a cell may be trusted for: published, measured, reproduced or differs.

- published: printed in a paper.
- measured: by a run of ours; nothing was shown about the published number.
- reproduced: the same model on the full split, every sample answered, asked and counted as the published number
  declares (a field that nobody declares cannot differ), and the 90 % interval of the difference lies within 1.5 points.
  The same model: weights and data fetched from where they are published, since a folder or a server may hold others
  under the same name; of numbers of masks, all of them by SAM 2.
- differs: the same, but that interval lies wholly beyond 1.5 points.

The published number is taken as it is printed, with its rounding: papers give no interval. So the interval of the
difference is that of the run, shifted. That errs on the side of `measured`: both were asked the same questions, and
what they share would narrow the difference.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from mpeval.types import Metric

from .measured import MeasuredRun
from .printed import Range, range_of
from .published import UNKNOWN, Number, Protocol, PublishedModel

Status = Literal["published", "measured", "reproduced", "differs"]

MARGIN = 1.5
"""Points within which a number counts as reproduced."""
_TO_90 = 1.6448536269514722 / 1.959963984540054
"""From the half width of a 95 % interval to that of a 90 % one, for a normal error."""

OF_MASKS = ("J&F", "J", "F", "mask_HOTA")
SEGMENTER = "sam2"
"""Metrics of masks, and the segmenters whose masks can be held against the paper's (section 5.4)."""

FIELD_NAMES = {
    "prompt": "prompt",
    "max_new_tokens": "token limit",
    "max_crops": "crops",
    "max_frames": "frames",
    "force_single_point": "forced single point",
    "scorer": "scorer",
    "average": "average",
}


class Comparison(NamedTuple):
    """A run's protocol against a declared one."""

    differs: tuple[str, ...]
    """`crops: here 8, there 24`."""
    unknown: tuple[str, ...]
    """Fields that are not declared."""

    def __str__(self) -> str:
        parts = [f"differs in {'; '.join(self.differs)}"] if self.differs else []
        parts += [f"not declared: {', '.join(self.unknown)}"] if self.unknown else []
        return ". ".join(parts)


class Verdict(NamedTuple):
    status: Status
    why: str


def compare(run: MeasuredRun, metric: Metric, declared: Protocol) -> Comparison:
    """In what the run was asked and counted differently than declared, and what is not declared."""
    differs, unknown = [], []
    for field, here in _as_declared(run, metric).items():
        there = getattr(declared, field)
        if there == UNKNOWN:
            unknown.append(FIELD_NAMES[field])
        elif there != here:
            differs.append(f"{FIELD_NAMES[field]}: here {here}, there {there}")
    return Comparison(tuple(differs), tuple(unknown))


def judge(
    run: MeasuredRun, metric: Metric, number: Number | None, declared: Protocol, model: PublishedModel | None
) -> Verdict:
    """The mark of a measured cell beside the published number of the same model, if there is one."""
    if model is None or number is None or number.value is None:
        return Verdict("measured", "no number of this model is published")
    lacks = _lacks(run, metric, compare(run, metric, declared), model)
    if lacks:
        return Verdict("measured", f"not compared with {number.text}: {lacks}")
    difference = _interval_90(metric) - range_of(number.text)
    text = f"90 % interval of the difference to {number.text}: {difference.low:+.1f} to {difference.high:+.1f}"
    if difference.low >= -MARGIN and difference.high <= MARGIN:
        return Verdict("reproduced", text)
    if difference.low > MARGIN or difference.high < -MARGIN:
        return Verdict("differs", text)
    return Verdict("measured", f"{text}, neither within nor beyond {MARGIN} points")


def _as_declared(run: MeasuredRun, metric: Metric) -> dict[str, str]:
    """The run's protocol in the words of `protocols.toml`."""

    def limit(value: int | None) -> str:
        return "as the model is configured" if value is None else str(value)

    elicitation = run.elicitation
    frames, crops = {"max_frames": limit(elicitation.max_frames)}, {"max_crops": limit(elicitation.max_crops)}
    return {
        "prompt": elicitation.template,
        "max_new_tokens": str(elicitation.max_new_tokens),
        **(frames if run.video else crops),
        "force_single_point": "yes" if elicitation.force_single_point else "no",
        "scorer": run.result.protocol,
        # A category's own mean has nothing to average over.
        **({} if metric.slice else {"average": "macro" if metric.name.startswith("macro_") else "micro"}),
    }


def _lacks(run: MeasuredRun, metric: Metric, comparison: Comparison, model: PublishedModel) -> str:
    """Why the run cannot be held against the published number; empty where it can."""
    if not run.full:
        return f"not the full split ({run.part})"
    if run.doubts:
        return "; ".join(run.doubts)
    if run.served and model.kind != "api":
        return "a server answered, and which weights it holds is not known"
    if comparison.differs:
        return f"differs in {'; '.join(comparison.differs)}"
    if metric.name in OF_MASKS:
        masks_by, segmented = run.result.masks_by, run.result.segmented
        if not (masks_by or "").startswith(SEGMENTER):
            return f"its masks are by {masks_by or 'the model itself'}, the published ones by SAM 2"
        if segmented < run.result.samples:
            return f"masks of {segmented} of {run.result.samples} samples"
    if metric.interval is None:
        return "it has no interval"
    return ""


def _interval_90(metric: Metric) -> Range:
    """In points. Raises ValueError for a metric without an interval."""
    if metric.interval is None:
        raise ValueError(f"{metric.name} has no interval")
    low, high = metric.interval
    value = metric.value
    return Range(100 * (value - _TO_90 * (value - low)), 100 * (value + _TO_90 * (high - value)))
