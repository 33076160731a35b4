"""Media: what is no picture, and pictures that lie on their side."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpeval.errors import SampleError
from mpeval.media import Media


def png(width: int, height: int, data: bytes) -> bytes:
    """A PNG of 8-bit grey with these compressed bytes for pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def jpeg(pixels: np.ndarray, orientation: int) -> bytes:
    from PIL import Image

    picture, exif, stored = Image.fromarray(pixels), Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    picture.save(stored, "JPEG", exif=exif, quality=95)
    return stored.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        png(4, 4, zlib.compress(bytes(20)))[:40],
        png(4, 4, b"no deflated data"),
        png(100_000, 100_000, zlib.compress(bytes(20))),
    ],
    ids=["empty", "text", "cut", "spoiled", "bomb"],
)
def test_what_is_no_picture_is_a_sample_error(content: bytes) -> None:
    with pytest.raises(SampleError):
        Media.image(content).pixels()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"absent\.png"):
        Media.image(tmp_path / "absent.png").pixels()
    with pytest.raises(SampleError, match=r"absent\.png"):
        _ = Media.image(tmp_path / "absent.png").size


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_upright(orientation: int) -> None:
    from PIL import Image, ImageOps

    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :16] = 255
    media = Media.image(jpeg(pixels, orientation))
    with Image.open(io.BytesIO(jpeg(pixels, orientation))) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    (upright,) = media.pixels()
    assert np.array_equal(upright, expected)
    assert media.size == (upright.shape[1], upright.shape[0])


def test_the_size_of_a_png_needs_its_header_alone() -> None:
    assert Media.image(png(300, 200, b"no deflated data")).size == (300, 200)


@pytest.mark.filterwarnings("error")
def test_a_palette_with_transparent_colours_keeps_its_colours() -> None:
    from PIL import Image

    picture, stored = Image.new("P", (2, 1)), io.BytesIO()
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.putpixel((1, 0), 1)
    picture.save(stored, "PNG", transparency=bytes([0, 128]))
    assert Media.image(stored.getvalue()).pixels()[0].tolist() == [[[10, 20, 30], [40, 50, 60]]]


def test_a_large_screen_is_read_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """95 megapixels: more than Pillow reads without one."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89_478_485)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Media.image(png(10_000, 9_500, b"")).size == (10_000, 9_500)


def test_a_picture_above_the_limit_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpeval.media.MOST_PIXELS", 2_000_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    file = tmp_path / "huge.png"
    Image.new("1", (2_000, 1_001)).save(file)
    with pytest.raises(SampleError, match=r"huge.png is 2000x1001: pictures of more than 2 megapixels are not read"):
        Media.image(file).pixels()
