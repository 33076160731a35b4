"""Precision, recall and F1 from counts of hits."""

from __future__ import annotations

from typing import NamedTuple

PAPER_EPSILON = 1e-10
"""The release adds it to P + R, so that its perfect F1 is 0.99999999995 (allenai/molmo2,
olmo/eval/evaluators.py, `f1_score`)."""


class Detection(NamedTuple):
    """Precision, recall and F1, each in 0..1."""

    precision: float
    recall: float
    f1: float


def detection(hits: int, predicted: int, true: int, epsilon: float = 0.0) -> Detection:
    """P = hits / predicted, R = hits / true and their harmonic mean; all 0 where there are no hits."""
    if hits == 0:
        return Detection(0.0, 0.0, 0.0)
    precision, recall = hits / predicted, hits / true
    return Detection(precision, recall, 2 * precision * recall / (precision + recall + epsilon))


def absent(predicted: int) -> Detection:
    """The score where there is nothing to point at: 1 for silence, else 0."""
    return Detection(*[float(predicted == 0)] * 3)
