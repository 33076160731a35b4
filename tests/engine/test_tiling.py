from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.engine.resize import resize
from mpeval.engine.tiling import TilingSpec, normalize, select_tiling, tile_image, tile_images, tile_video
from mpeval.errors import UserError

SMALL = TilingSpec(crop_size=20, patch_size=4, pooling=(2, 2), margins=(1, 1), max_crops=6)

SPECS = st.builds(
    lambda window, left, right, rows, columns, crops: TilingSpec(
        crop_size=(window + left + right) * 2,
        patch_size=2,
        pooling=(rows, columns),
        margins=(left, right),
        max_crops=crops,
    ),
    window=st.integers(1, 4),
    left=st.integers(0, 2),
    right=st.integers(0, 2),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    crops=st.integers(1, 12),
)


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(st.integers(1, 3000), st.integers(1, 3000), SPECS)
@settings(max_examples=60, deadline=None)
def test_every_cell_lies_in_one_crop_and_one_token(height: int, width: int, spec: TilingSpec) -> None:
    tiles = tile_image(np.zeros((height, width, 3), dtype=np.uint8), spec)
    crops, patches = tiles.pixels.shape[:2]
    assert crops <= 1 + spec.max_crops
    assert patches == spec.patches**2
    low_rows, low_columns, rows, columns = tiles.grid
    assert len(tiles.token_pooling) == low_rows * low_columns + rows * columns
    low, high = np.split(tiles.token_pooling, [low_rows * low_columns])
    cells = tiles.mapping.ravel()
    # Each high-resolution cell is one patch of one crop, none of the low-resolution view, and pooled once.
    assert len(np.unique(cells)) == len(cells)
    assert cells.min() >= patches
    assert cells.max() < crops * patches
    assert sorted(high[high >= 0]) == sorted(cells)
    assert sorted(low[low >= 0]) == list(range(patches))
    assert (tiles.token_pooling >= 0).any(axis=1).all()


@given(st.integers(1, 120), st.integers(1, 120), SPECS)
@settings(max_examples=40, deadline=None)
def test_the_mapped_patch_shows_the_cell(height: int, width: int, spec: TilingSpec) -> None:
    image = picture(height, width)
    tiles = tile_image(image, spec)
    rows, columns = tiles.mapping.shape
    whole = resize(image, rows * spec.patch_size, columns * spec.patch_size)
    cells = whole.reshape(rows, spec.patch_size, columns, spec.patch_size, 3).swapaxes(1, 2)
    patches = tiles.pixels.reshape(-1, tiles.pixels.shape[-1])
    assert np.array_equal(patches[tiles.mapping], cells.reshape(rows, columns, -1))


def test_margins_are_dropped_but_at_the_border() -> None:
    spec = TilingSpec(crop_size=10, patch_size=2, margins=(1, 2), max_crops=3)  # 5 patches, shifted by 2
    tiles = tile_image(picture(10, 34), spec)
    assert len(tiles.pixels) == 4
    low = 25
    # The first crop keeps its left margin, the last its right one.
    assert (tiles.mapping[0] - low).tolist() == [0, 1, 2, 26, 27, 51, 52, 53, 54]


def test_the_low_resolution_view_comes_first() -> None:
    image = picture(70, 50)
    low = resize(image, 20, 20).reshape(5, 4, 5, 4, 3).swapaxes(1, 2).reshape(25, -1)
    assert np.array_equal(tile_image(image, SMALL).pixels[0], low)


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["native", "hf"]))
@settings(max_examples=60, deadline=None)
def test_no_other_tiling_scales_less(height: int, width: int, semantics: str) -> None:
    spec = TilingSpec(semantics=semantics)  # type: ignore[arg-type]
    margin = 2 * 4 * 14
    if semantics == "hf" and min(height, width) <= margin:
        return  # the Hub port's scale is negative there
    inner = [max(height - margin, 1), max(width - margin, 1)]

    def scale(rows: int, columns: int) -> float:
        return min(rows * 266 / inner[0], columns * 266 / inner[1])

    scales = [scale(r, c) for r in range(1, 9) for c in range(1, 9) if r * c <= 8]
    enlarging = [each for each in scales if each >= 1 - 1e-6]
    chosen = scale(*select_tiling(height, width, spec, 8))
    assert chosen == pytest.approx(min(enlarging) if enlarging else max(scales), rel=1e-6)


def test_the_two_programs_differ_for_a_strip_thinner_than_the_margins() -> None:
    assert select_tiling(40, 1000, TilingSpec(semantics="native"), 8) == (1, 4)
    assert select_tiling(40, 1000, TilingSpec(semantics="hf"), 8) == (1, 1)


def test_a_ragged_view_is_padded_at_its_end_first() -> None:
    tiles = tile_video(np.zeros((1, 9, 9, 3), dtype=np.uint8), SMALL)
    assert tiles.grid == (1, 3, 3)
    assert tiles.token_pooling.tolist()[2] == [4, -1, 9, -1]
    assert tiles.token_pooling.tolist()[8] == [24, -1, -1, -1]


def test_pictures_are_numbered_through() -> None:
    images = [picture(30, 60), picture(80, 20, seed=1)]
    first, second = tile_images(images, SMALL)
    alone = tile_image(images[1], SMALL)
    offset = first.pixels.shape[0] * first.pixels.shape[1]
    assert np.array_equal(second.mapping, alone.mapping + offset)
    assert np.array_equal(second.token_pooling >= 0, alone.token_pooling >= 0)
    assert second.token_pooling.max() == alone.token_pooling.max() + offset
    assert np.array_equal(second.pixels, alone.pixels)
    assert second.size == (20, 80)


def test_frames_follow_each_other() -> None:
    frames = np.stack([picture(30, 40, seed) for seed in range(3)])
    spec = TilingSpec(crop_size=24, patch_size=4, pooling=(3, 3), margins=(0, 0))
    tiles = tile_video(frames, spec)
    assert tiles.grid == (3, 2, 2)
    assert tiles.mapping.tolist() == np.arange(3 * 36).reshape(3, 6, 6).tolist()
    assert tiles.token_pooling.shape == (12, 9)
    assert np.array_equal(tiles.pixels[2], tile_video(frames[2:], spec).pixels[0])


def test_normalize_is_minus_one_to_one() -> None:
    import torch

    levels = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    assert normalize(levels, SMALL).tolist() == [[-1.0, pytest.approx(-0.6), 1.0]]
    spec = TilingSpec(mean=(0.0, 0.2, 0.0), std=(1.0, 1.0, 0.5))
    assert normalize(levels, spec).tolist() == [[0.0, pytest.approx(0.0), 2.0]]


def test_a_large_screenshot_stays_small_in_memory() -> None:
    tiles = tile_image(np.zeros((3384, 6016, 3), dtype=np.uint8), TilingSpec(), max_crops=64)
    assert tiles.pixels.dtype == np.uint8
    assert tiles.nbytes < 32 * 2**20


def test_the_released_configuration_is_read() -> None:
    config = {
        "size": {"height": 378, "width": 378},
        "patch_size": 14,
        "pooling_size": [2, 2],
        "overlap_margins": [4, 4],
        "max_crops": 48,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": 0.5,
    }
    assert TilingSpec.from_config(config) == TilingSpec(max_crops=48)
    video = {key: config[key] for key in ("size", "patch_size")} | {"pooling_size": [3, 3]}
    assert TilingSpec.from_config(video).pooling == (3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": None}, "cannot be read"),
        ({"size": {"height": 378}}, "lacks the key 'width'"),
        ({"size": {"height": 378, "width": 336}}, "only squares"),
        ({"size": {"height": 380, "width": 380}}, "no multiple of its patches"),
        ({"pooling_size": [0, 2]}, "at least 1"),
        ({"pooling_size": 2}, "cannot be read"),
        ({"overlap_margins": [14, 13]}, "leave nothing"),
    ],
)
def test_a_bad_configuration_is_one_line(change: dict, message: str) -> None:
    config = {"size": {"height": 378, "width": 378}, "patch_size": 14, "pooling_size": [2, 2]}
    with pytest.raises(UserError, match=message):
        TilingSpec.from_config(config | change)
