from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpeval.video.clip import Clip, FrameFolder
from mpeval.video.sampling import even_times, sample, tracking_rates, tracking_times

RELEASED = json.loads((Path(__file__).parents[1] / "data/video/sampling.json").read_text())
"""The release's own samplers on durations, rates and limits: how many times, the second, the last."""


@pytest.mark.parametrize("rule", ["even", "tracking"])
def test_the_times_are_the_release_s(rule: str) -> None:
    for case in RELEASED:
        if rule == "even":
            times = even_times(case["duration"], case["max_frames"])
        else:
            times = tracking_times(case["duration"], case["fps"], case["max_frames"])
        assert [len(times), *times[1:2], *times[-1:]] == case[rule], case


def test_two_a_second_and_the_end():
    assert even_times(1.3, 128).tolist() == [0, 0.5, 1.0, 1.3]
    assert even_times(1.0, 128).tolist() == [0, 0.5, 1.0]


def test_evenly_where_they_do_not_fit():
    assert even_times(8, 5) == pytest.approx([0, 2, 4, 6, 8])
    # 63.5 s is what 128 frames reach at two a second
    assert len(even_times(63.5, 128)) == 128
    assert even_times(63.5, 128)[1] == 0.5
    assert even_times(64, 128)[1] == pytest.approx(64 / 127)


@given(st.floats(0.01, 10_000), st.integers(2, 400))
def test_times_ascend_within_the_clip(duration, most):
    times = even_times(duration, most)
    assert times[0] == 0
    assert times[-1] == duration
    assert len(times) <= most
    assert (np.diff(times) > 0).all()


def test_rates_divide_the_clips():
    assert tracking_rates(6) == [1, 2, 3, 6]
    assert tracking_rates(30) == [1, 2, 3, 5, 6, 10]
    assert tracking_rates(29.97) == [1]  # 29 is prime: the release truncates
    assert tracking_rates(24, asked=2) == [2, 4, 6, 8]
    assert tracking_rates(0.5) == [1]  # the release refuses it


@pytest.mark.parametrize(
    ("fps", "frames", "most", "rate"),
    [(6, 60, 128, 6), (6, 300, 128, 2), (6, 300, 100, 2), (6, 300, 99, 1), (30, 300, 128, 10), (6, 6000, 128, 1)],
)
def test_the_highest_rate_that_covers_the_clip(fps, frames, most, rate):
    times = tracking_times(frames / fps, fps, most)
    assert times == pytest.approx([k / rate for k in range(min(most, frames * rate // fps))])


@given(st.floats(0.01, 5000), st.floats(0.3, 60), st.integers(1, 400))
def test_times_are_within_the_clip(duration, fps, most):
    times = tracking_times(duration, fps, most)
    assert 1 <= len(times) <= most
    assert times[0] == 0
    assert (np.diff(times) > 0).all()
    assert times[-1] < duration


def test_the_dataset_s_rate_chooses_the_frames_to_track():
    """29.97 counts as 29, which nothing divides; the dataset may say 30 of the same file."""
    video = FrameFolder(tuple(b"" for _ in range(60)), fps=30000 / 1001)
    assert sample(Clip(video), "tracking").times.tolist() == [0, 1, 2]
    assert len(sample(Clip(video, stated_fps=30), "tracking").times) == 21
