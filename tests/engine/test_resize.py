from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.engine.resize import resize

SIDES = st.integers(1, 90)


def exact(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation in float64, pixel centres at half-integers, edges repeated."""

    def weights(old: int, new: int) -> np.ndarray:
        place = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(old)[None]))

    down = np.tensordot(weights(image.shape[0], height), image, 1)
    return np.moveaxis(np.tensordot(weights(image.shape[1], width), down, (1, 1)), 0, 1)


@pytest.mark.parametrize("least", [1, 65])  # small outputs are computed in another way
@given(rows=SIDES, columns=SIDES, height=SIDES, width=SIDES, seed=st.integers(0, 2**16))
@settings(max_examples=40, deadline=None)
def test_every_level_is_the_nearest_one(
    rows: int, columns: int, height: int, width: int, seed: int, least: int
) -> None:
    """Close to half-way between two levels either will do: float32 decides there."""
    image = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    height, width = max(height, least), max(width, least)
    resized = resize(image, height, width)
    assert resized.shape == (height, width, 3)
    assert resized.dtype == np.uint8
    assert np.abs(resized - exact(image, height, width)).max() <= 0.51


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    image = np.arange(75, dtype=np.uint8).reshape(5, 5, 3)
    assert np.array_equal(resize(image, 5, 5), image)


@pytest.mark.parametrize(("height", "width"), [(40, 50), (130, 90)])
def test_one_pixel_fills_the_picture(height: int, width: int) -> None:
    resized = resize(np.array([[[3, 200, 77]]], dtype=np.uint8), height, width)
    assert (resized == (3, 200, 77)).all()


def test_bands_leave_no_seam() -> None:
    """A ramp down the picture stays monotone over the bands in which it is computed."""
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None, None], (200, 30, 3))
    resized = resize(ramp, 333, 100)
    assert (np.diff(resized[:, 0, 0].astype(int)) >= 0).all()
    assert (resized == resized[:, :1, :1]).all()
