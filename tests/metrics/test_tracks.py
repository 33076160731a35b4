from __future__ import annotations

import numpy as np

from mpeval.masks import encode
from mpeval.metrics.tracks import paper_track_scores
from mpeval.metrics.video_points import timed_point_scores
from mpeval.parsing.paper import TrackFrame


def square(x, y):
    mask = np.zeros((50, 50), bool)
    mask[y - 2 : y + 3, x - 2 : x + 3] = True
    return encode(mask)


def test_a_perfect_track():
    frames = [TrackFrame(t, t * 6, {"1": (10.0 + t, 10.0), "2": (30.0, 30.0)}) for t in range(3)]
    masks = [{t * 6: square(10 + t, 10) for t in range(3)}, {t * 6: square(30, 30) for t in range(3)}]
    f1, hota = paper_track_scores(frames, frames, masks)
    assert f1.precision == f1.recall == 1
    assert hota == (1, 1, 1)
    assert paper_track_scores([], [], []) == ((1, 1, 1), (1, 1, 1))


def test_an_absent_object_shifts_the_masks():
    """The release tests the points of a frame against the masks by place, and counts every object in recall."""
    only_second = [TrackFrame(0.0, 0, {"2": (30.0, 30.0)})]
    f1, hota = paper_track_scores(only_second, only_second, [{}, {0: square(30, 30)}])
    assert f1.recall == 0
    assert hota.HOTA == 0


def test_the_last_entry_of_a_frame_counts():
    true = [TrackFrame(0.0, 0, {"1": (10.0, 10.0)})]
    twice = [TrackFrame(0.0, 0, {"1": (40.0, 40.0)}), TrackFrame(0.05, 0, {"1": (10.0, 10.0)})]
    assert paper_track_scores(twice, true, [{0: square(10, 10)}])[0].recall == 1
    assert paper_track_scores(twice[::-1], true, [{0: square(10, 10)}])[0].recall == 0


def test_timed_points_are_assigned_in_tenths_of_a_percent():
    wide, none = np.ones((50, 1000), bool), np.zeros((50, 1000), bool)
    masks = [{0.0: encode(none)}, {0.0: encode(wide)}]
    true = [(0.0, 101.0, 10.0), (0.0, 108.0, 10.0)]  # 10.1 and 10.8 percent; 10.5 is nearer to the second
    assert timed_point_scores([(0.0, 104.9, 10.0)], true, masks, 2.0, (1000, 50)).precision == 1


def test_timed_points_need_the_exact_time():
    masks = [{0.0: square(10, 10), 0.5: square(12, 10)}]
    right = timed_point_scores([(0.5, 12, 10)], [(0.0, 10, 10)], masks, 2.0, (50, 50))
    late = timed_point_scores([(0.6, 12, 10)], [(0.0, 10, 10)], masks, 2.0, (50, 50))
    assert (right.f1, late.f1) == (1, 0)
    assert timed_point_scores([], [], [], 2.0, (50, 50)).f1 == 1
    assert timed_point_scores([(0.0, 1, 1)], [], [], 2.0, (50, 50)).f1 == 0
