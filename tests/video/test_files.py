from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest

from mpeval.errors import SampleError
from mpeval.video.cache import FrameCache
from mpeval.video.clip import Clip, FrameFolder, MemoryFrames
from mpeval.video.files import VideoFile
from mpeval.video.sampling import sample
from tests.video.videos import number_of, numbered_frame, turn_upright_from_clockwise, write_video

RATES = {"24": Fraction(24), "25": Fraction(25), "29.97": Fraction(30000, 1001)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


@pytest.mark.parametrize("rate", RATES)
def test_every_frame_is_the_one_asked_for(folder, rate):
    file = write_video(folder / f"{rate}.mp4", 60, RATES[rate])
    video = VideoFile(file)
    assert len(video.starts) == 60
    assert video.fps == pytest.approx(float(RATES[rate]))
    assert video.end == pytest.approx(60 / float(RATES[rate]))
    assert [number_of(frame) for frame in video.pixels([0, 11, 12, 13, 40, 40, 59])] == [0, 11, 12, 13, 40, 40, 59]
    assert [number_of(frame) for frame in VideoFile(file).pixels(range(60))] == list(range(60))


def test_a_variable_rate_shows_what_is_on_screen(folder):
    pts = list(accumulate([0, *[40, 80, 20, 100] * 10]))
    video = VideoFile(write_video(folder / "variable.mkv", len(pts), pts=pts))
    assert video.starts * 1000 == pytest.approx(np.array(pts))
    times = np.arange(0, video.end, 0.033)
    expected = [max(i for i, at in enumerate(pts) if at <= 1000 * t + 1e-3) for t in times]
    clip = Clip(video)
    assert clip.on_screen(times).tolist() == expected
    assert [number_of(frame) for frame in clip.pixels(clip.on_screen(times))] == expected


def test_a_clip_counts_from_its_start(folder):
    video = VideoFile(write_video(folder / "clip.mp4", 60, 25))
    clip = Clip(video, (0.5, 1.5))
    assert (clip.duration, clip.frame_count) == (1.0, 26)  # the frame at 0.48 s is on screen at the start
    times, indices = sample(clip, "even")
    assert times.tolist() == [0, 0.5, 1.0]
    assert [number_of(frame) for frame in clip.pixels(indices)] == [12, 25, 37]
    assert clip.starts(indices) == pytest.approx([-0.02, 0.5, 0.98])


def test_at_its_end_a_clip_shows_the_frame_that_begins_there(folder):
    """As in the release: a clip from 2 to 4 s of a video at two frames a second ends with the frame at 4 s."""
    clip = Clip(VideoFile(write_video(folder / "slow.mp4", 20, 2)), (2.0, 4.0))
    times, indices = sample(clip, "even")
    assert times.tolist() == [0, 0.5, 1, 1.5, 2]
    assert [number_of(frame) for frame in clip.pixels(indices)] == [4, 5, 6, 7, 8]
    assert clip.frame_count == 4
    whole = Clip(clip.video)
    assert [number_of(frame) for frame in whole.pixels(sample(whole, "even").indices)][-2:] == [19, 19]


def test_a_frame_begins_when_its_packet_says(folder):
    """Thirds and sixths of a second are no round numbers; the frame at each is the one that begins there."""
    clip = Clip(VideoFile(write_video(folder / "six.mp4", 60, 6)))
    assert (clip.video.starts == np.arange(60) / 6).all()
    times, indices = sample(clip, "tracking", 59)
    assert times.tolist() == [k / 3 for k in range(30)]
    assert indices.tolist() == list(range(0, 60, 2))


def test_a_clip_ends_with_the_video(folder):
    clip = Clip(VideoFile(write_video(folder / "end.mp4", 50, 25)), (1.0, 9.0))
    assert clip.duration == pytest.approx(1.0)
    assert sample(clip, "even").times.tolist() == [0, 0.5, 1.0]


def test_a_clip_outside_of_the_video_is_named(folder):
    file = write_video(folder / "short.mp4", 10, 25)
    with pytest.raises(SampleError, match=r"from 2 to 3 s is not in .*short.mp4, which lasts 0.40 s"):
        Clip(VideoFile(file), (2.0, 3.0))


def test_odd_sizes(folder):
    video = VideoFile(write_video(folder / "odd.mp4", 5, size=(161, 65)))
    assert video.size == (161, 65)
    assert next(iter(video.pixels([3]))).shape == (65, 161, 3)


def test_frames_are_turned_as_the_file_asks(folder):
    file = write_video(folder / "turned.mp4", 5)
    turn_upright_from_clockwise(file)
    video = VideoFile(file)
    assert video.size == (64, 160)
    (frame,) = video.pixels([3])
    assert frame.shape == (160, 64, 3)
    assert number_of(np.rot90(frame)) == 3  # a quarter back, anticlockwise


def test_a_file_cut_short_is_named(folder):
    import av

    whole = write_video(folder / "whole.mp4", 120, 25, size=(320, 240))
    # The index at the front, as for streaming: the file still opens when its end is gone.
    front = folder / "front.mp4"
    with av.open(str(whole)) as source, av.open(str(front), "w", options={"movflags": "faststart"}) as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    data = front.read_bytes()
    cut = folder / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(SampleError, match=r"cut.mp4"):
        list(VideoFile(cut).pixels([0, 60, 119]))
    no_index = folder / "no-index.mp4"
    no_index.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(SampleError, match=r"cannot open .*no-index.mp4 as video"):
        list(VideoFile(no_index).pixels([0]))


def test_a_matroska_file_cut_short_is_named(folder):
    whole = write_video(folder / "whole.mkv", 120, 25, size=(320, 240))
    assert len(VideoFile(whole).starts) == 120
    cut = folder / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with pytest.raises(SampleError, match=r"cut.mkv breaks off at \d\.\d\d of 4.80 s"):
        VideoFile(cut).size  # noqa: B018


def test_what_an_edit_leaves_out_is_not_missing(folder):
    """Cut without encoding it anew, a file begins at a key frame before its beginning, and says what not to show."""
    import av

    whole, edited = write_video(folder / "before.mp4", 60, 25), folder / "edited.mp4"
    with av.open(str(whole)) as source, av.open(str(edited), "w") as sink:
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.pts, packet.dts = (packet.pts or 0) - 20 * 512, packet.dts - 20 * 512
                packet.stream = stream
                sink.mux(packet)
    video = VideoFile(edited)
    assert len(video.starts) == 40
    assert [number_of(frame) for frame in video.pixels(range(40))] == list(range(20, 60))


def test_a_tilt_between_quarter_turns_is_left(folder):
    file = write_video(folder / "tilted.mp4", 3)
    tilt = round(0.5**0.5 * 65536)
    turn_upright_from_clockwise(file, (tilt, tilt, 0, -tilt, tilt, 0, 0, 0, 1 << 30))
    video = VideoFile(file)
    assert video.size == (160, 64)
    assert next(iter(video.pixels([0]))).shape == (64, 160, 3)


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p", "yuv444p", "gray"])
def test_other_pixel_formats(folder, pixels):
    video = VideoFile(write_video(folder / f"{pixels}.mp4", 30, pixels=pixels))
    assert [number_of(frame) for frame in video.pixels(range(30))] == list(range(30))


def test_a_damaged_middle_is_named_by_what_needs_it(folder):
    file = write_video(folder / "damaged.mp4", 120, size=(320, 240))
    data = bytearray(file.read_bytes())
    begin = data.index(b"mdat")
    half = begin + (data.index(b"moov") - begin) // 2
    data[half : half + 2000] = bytes(2000)
    file.write_bytes(data)
    video = VideoFile(file)
    assert number_of(next(iter(video.pixels([0])))) == 0
    with pytest.raises(SampleError, match=r"cannot decode .*damaged.mp4: Invalid data found when processing input$"):
        list(video.pixels(range(120)))


def test_a_header_without_frames_is_named(folder):
    import av

    file = folder / "header.mp4"
    with av.open(str(file), "w", options={"movflags": "empty_moov+frag_keyframe"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        frame = av.VideoFrame.from_ndarray(numbered_frame(0, (64, 64))[:, :64], format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode()])
    data = file.read_bytes()
    file.write_bytes(data[: data.index(b"moof") - 4])
    with pytest.raises(SampleError, match=r"header.mp4 has no frames"):
        VideoFile(file).size  # noqa: B018


def test_what_is_no_video_is_named(tmp_path):
    text = tmp_path / "notes.mp4"
    text.write_text("no video")
    with pytest.raises(SampleError, match=r"notes.mp4"):
        VideoFile(text).size  # noqa: B018
    with pytest.raises(SampleError, match=r"gone.mp4"):
        VideoFile(tmp_path / "gone.mp4").size  # noqa: B018


def test_frames_of_a_folder(tmp_path):
    from PIL import Image

    files = []
    for number in range(6):
        files.append(tmp_path / f"{number:05d}.png")
        Image.fromarray(numbered_frame(number)).save(files[-1])
    clip = Clip(FrameFolder(tuple(files), fps=6))
    assert (clip.size, clip.duration, clip.frame_count) == ((160, 64), 1.0, 6)
    times, indices = sample(clip, "tracking")
    assert times == pytest.approx(np.arange(6) / 6)
    assert [number_of(frame) for frame in clip.pixels(indices)] == list(range(6))
    Image.fromarray(numbered_frame(3, (170, 64))).save(files[3])
    with pytest.raises(SampleError, match=r"00003.png is 170x64, the first frame 160x64"):
        list(clip.pixels([2, 3]))


def test_an_empty_video_is_named():
    with pytest.raises(SampleError, match="no frames"):
        Clip(MemoryFrames((), ()))


def test_the_cache_keeps_to_its_bytes():
    cache = FrameCache(3 * 300)
    frames = [np.zeros((10, 10, 3), np.uint8) for _ in range(5)]
    for number, frame in enumerate(frames[:3]):
        cache.put(number, frame)
    assert cache.get(0) is frames[0]
    cache.put(3, frames[3])  # the one used longest ago goes
    assert cache.get(1) is None
    assert cache.get(0) is frames[0]
    assert cache.get(3) is frames[3]


def test_a_clip_tells_that_its_end_is_missing(tmp_path):
    video = VideoFile(write_video(tmp_path / "v.mp4", 50, 25))
    assert Clip(video, (0.5, 2.0)).fault is None
    assert Clip(video, (0.5, 2.03)).fault is None  # durations are rounded: less than a frame
    assert Clip(video).fault is None
    assert "ends at 2.5 s, its video at 2.00 s" in (Clip(video, (0.5, 2.5)).fault or "")
