"""Small real videos whose frames tell their own number."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

CELL = 16
"""Pixels of a square that is one bit of a frame's number: more than a codec smears."""
BITS = 8


def numbered_frame(number: int, size: tuple[int, int] = (160, 64)) -> np.ndarray:
    """uint8 [height, width, 3]; the top row of squares spells the number, its lowest bit first."""
    width, height = size
    frame = np.full((height, width, 3), 90, np.uint8)
    for bit in range(BITS):
        frame[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if number >> bit & 1 else 0
    return frame


def number_of(frame: np.ndarray) -> int:
    """The number that a decoded frame spells."""
    centers = frame[CELL // 2, CELL // 2 : BITS * CELL : CELL].mean(1)
    return sum(1 << bit for bit, level in enumerate(centers) if level > 128)


def write_video(
    path: Path,
    count: int,
    rate: Fraction | int = 25,
    size: tuple[int, int] = (160, 64),
    codec: str = "libx264",
    pts: Sequence[int] | None = None,
    key_every: int = 12,
    pixels: str | None = None,
) -> Path:
    """`count` numbered frames. pts: presentation times in thousandths of a second, for a variable rate."""
    import av

    with av.open(str(path), "w") as container:
        stream = cast(av.VideoStream, container.add_stream(codec, rate=rate, options={"crf": "18", "bf": "2"}))
        stream.width, stream.height = size
        stream.pix_fmt = pixels or ("yuv420p" if not (size[0] % 2 or size[1] % 2) else "yuv444p")
        stream.codec_context.gop_size = key_every
        if pts is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, size), format="rgb24")
            if pts is not None:
                frame.pts, frame.time_base = pts[number], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


CLOCKWISE = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


def turn_upright_from_clockwise(path: Path, turn: tuple[int, ...] = CLOCKWISE) -> None:
    """Say in an mp4's track header that players must turn its frames, by 90 degrees clockwise if not otherwise."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = struct.pack(">9i", *turn)
    path.write_bytes(data)
