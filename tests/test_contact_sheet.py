"""Sheets are checked by the frames that they show, which tell their own number, and by what is drawn on them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mpeval.contact_sheet import contact_sheet
from mpeval.masks import encode
from mpeval.media import Media
from mpeval.types import Point, TimedMask, TrackedObject, TrackTarget, VideoPointsTarget
from tests.video.videos import number_of, write_video

SIDE, HEIGHT, CAPTION, GAP = 320, 128, 21, 6
"""Of a frame of 160 x 64 on the sheet, in pixels."""
RED, GREEN = (255, 45, 85), (60, 230, 110)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Media:
    """Four seconds at 10 frames a second, 160 x 64."""
    return Media.video(write_video(tmp_path_factory.mktemp("sheet") / "numbers.mp4", 40, rate=10))


def panels(
    media: Media, points: list[Point], target: VideoPointsTarget | TrackTarget | None = None
) -> list[np.ndarray]:
    """Each panel's drawn frame, [height, width, 3]; what is white throughout is no panel."""
    sheet = np.asarray(contact_sheet(media, points, target))
    places = product(range(0, sheet.shape[0], HEIGHT + CAPTION + GAP), range(0, sheet.shape[1], SIDE + GAP))
    found = [sheet[top : top + HEIGHT, left : left + SIDE] for top, left in places]
    return [panel for panel in found if (panel < 255).any()]


def numbers(drawn: list[np.ndarray]) -> list[int]:
    return [number_of(panel[::2, ::2]) for panel in drawn]


def has(panel: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((panel == colour).all(-1).any())


def square() -> np.ndarray:
    mask = np.zeros((64, 160), bool)
    mask[30:50, 100:120] = True
    return mask


def test_the_frames_with_points_are_shown_in_order_with_their_points(clip: Media) -> None:
    drawn = panels(clip, [Point(40, 40, time=2.05), Point(60, 45, time=0.3), Point(90, 50, time=0.39)])
    assert numbers(drawn) == [3, 20]
    assert tuple(drawn[0][80, 80]) != RED
    assert tuple(drawn[1][80, 80]) == RED
    assert tuple(drawn[0][90, 120]) == RED
    assert tuple(drawn[0][100, 180]) == RED


def test_a_time_past_the_end_is_shown_on_the_last_frame(clip: Media) -> None:
    assert numbers(panels(clip, [Point(40, 40, time=99.0)])) == [39]


def test_frames_of_the_target_are_shown_beside_those_with_points(clip: Media) -> None:
    masks = (TimedMask(1.0, encode(square())), TimedMask(3.0, encode(square())))
    drawn = panels(clip, [Point(40, 40, time=2.0)], VideoPointsTarget((), (masks,), duration=4.0))
    assert numbers(drawn) == [10, 20, 30]
    assert [has(panel, GREEN) for panel in drawn] == [True, False, True]
    assert [has(panel, RED) for panel in drawn] == [False, True, False]


def test_tracks_show_at_most_twelve_frames_with_their_masks(clip: Media) -> None:
    track = TrackedObject("7", {}, {number: encode(square()) for number in range(40)})
    drawn = panels(clip, [], TrackTarget((track,), fps=10.0))
    assert len(drawn) == 12
    assert numbers(drawn)[0] == 0
    assert numbers(drawn)[-1] == 39
    assert all(has(panel, GREEN) for panel in drawn)


def test_points_come_before_the_target_where_room_is_short(clip: Media) -> None:
    track = TrackedObject("7", {}, {number: encode(square()) for number in range(20)})
    points = [Point(40, 40, time=number / 10 + 0.01, object_id="7") for number in range(25, 37)]
    assert numbers(panels(clip, points, TrackTarget((track,), fps=10.0))) == list(range(25, 37))


def test_without_points_or_masks_the_clip_is_sampled(clip: Media) -> None:
    shown = numbers(panels(clip, []))
    assert len(shown) == 12
    assert (shown[0], shown[-1]) == (0, 39)


def test_a_clip_of_a_video_shows_its_own_frames(clip: Media) -> None:
    part = Media("video", clip.sources, span=(1.0, 2.0))
    assert numbers(panels(part, [Point(40, 40, time=0.5)])) == [15]


def test_an_objects_name_stands_beside_its_point(clip: Media) -> None:
    def drawn(name: str) -> np.ndarray:
        (panel,) = panels(clip, [Point(40, 40, time=1.0, object_id=name)])
        return panel

    assert (drawn("3") != drawn("8")).any()


def test_several_pictures_are_all_shown_each_with_its_own_points() -> None:
    pictures = tuple(np.full((64, 160, 3), value, np.uint8) for value in (40, 90, 140))
    drawn = panels(Media("images", frames=pictures), [Point(40, 40, image=1)])
    assert [tuple(panel[5, 5]) for panel in drawn] == [(40,) * 3, (90,) * 3, (140,) * 3]
    assert [has(panel, RED) for panel in drawn] == [False, True, False]


def test_a_large_frame_is_shrunk_and_its_points_stay_in_place() -> None:
    media = Media("images", frames=(np.full((1280, 3200, 3), 90, np.uint8),))
    (drawn,) = panels(media, [Point(1600, 640)])
    assert tuple(drawn[64, 160]) == RED


def test_the_caption_stands_below(clip: Media) -> None:
    plain, captioned = (contact_sheet(clip, [Point(1, 1, time=0.0)], caption=text) for text in ("", "Where?"))
    assert captioned.height > plain.height
