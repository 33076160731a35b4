"""Which frames of a clip a model is shown: the two rules of the release (allenai/molmo2 at f3cb108,
olmo/data/video_loader.py).

Both are asked with what a `Clip` knows of itself and answer with the times that the prompt states, in seconds from
the clip's start, and the frame that is on screen at each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from mpeval.video.clip import Clip

Sampling = Literal["even", "tracking"]
"""`even`: two frames a second and the last one while they fit, else evenly spread. `tracking`: from the start on, at
the highest of the video's rates that covers the clip."""

MAX_FRAMES = 128
"""For a model that does not say: the release's limit before its long-context training, which raised it to 384."""
EVEN_RATE = 2.0
TRACKING_RATES = 10
"""Frames a second that tracking is shown at most."""


class Sampled(NamedTuple):
    """Frames to show."""

    times: np.ndarray
    """float64 [n]: seconds from the clip's start, as the prompt states them."""
    indices: np.ndarray
    """int64 [n]: the frame on screen at each time, zero-based within the clip."""


def sample(clip: Clip, rule: Sampling, max_frames: int | None = None) -> Sampled:
    """The frames of a clip that a model is shown under a rule; frames in memory are shown as they are."""
    from mpeval.video.clip import MemoryFrames

    if isinstance(clip.video, MemoryFrames):
        return Sampled(clip.video.starts, clip.on_screen(clip.video.starts))
    most = max_frames or MAX_FRAMES
    if rule == "tracking":
        times = tracking_times(clip.duration, clip.stated_fps or clip.fps, most)
    else:
        times = even_times(clip.duration, most)
    return Sampled(times, clip.on_screen(times))


def even_times(duration: float, max_frames: int, rate: float = EVEN_RATE) -> np.ndarray:
    """0, 1/rate, 2/rate, ... and the end (`TimeSampler`, mode `uniform_last_frame`), float64 [n].

    Where they are more than max_frames: that many from 0 to the end, both included.
    """
    import numpy as np

    if (max_frames - 1) / rate < duration:
        return np.linspace(0, duration, max_frames)
    return np.append(np.arange(0.0, duration, 1 / rate), duration)


def tracking_rates(fps: float, asked: int = 1, most: int = TRACKING_RATES) -> list[int]:
    """Whole rates that divide the clip's and are multiples of the rate that answers are asked at.

    As olmo/data/academic_video_track_datasets.py, `get_candidate_sampling_fps`: the clip's rate is truncated to a
    whole number first. For a clip slower than `asked`, which the release refuses, that rate alone.
    """
    whole = int(fps)
    return [rate for rate in range(asked, min(whole, most) + 1, asked) if whole % rate == 0] or [asked]


def tracking_times(duration: float, fps: float, max_frames: int, asked: int = 1) -> np.ndarray:
    """0, 1/rate, 2/rate, ... before the clip's end, float64 [n], n <= max_frames (`TimeSampler`, mode `fps`).

    At the highest of the clip's rates at which max_frames cover it; where the lowest does not, the clip's beginning at
    that rate. The release's datasets ask for the mode `fps`, and its models sample by time (launch_scripts/sft.py,
    `time_sampling`), not by number of frame: the rates are tried in turn until one does not cover.
    """
    import numpy as np

    rate, *higher = tracking_rates(fps, asked)
    for each in higher:
        if max_frames / each < duration:
            break
        rate = each
    times = np.arange(max_frames) / rate
    return times[times < duration]
