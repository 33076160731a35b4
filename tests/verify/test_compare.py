from __future__ import annotations

import numpy as np
import pytest

from mpeval.errors import UserError
from mpeval.verify.compare import close, equal, load_arrays, load_json

INFINITY, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.5], 0.5),
        ([1.0, NAN], [1.0, NAN], 0.0),  # the release computes none there
        ([1.0, -INFINITY], [1.0, -1e5], 0.0),  # two ways to write a mask
        ([1.0, 0.0], [1.0, -1e5], INFINITY),
        ([1.0, -1e8], [1.0, 0.0], INFINITY),
        ([1.0], [1.0, 2.0], INFINITY),
        ([], [], 0.0),
    ],
)
def test_the_largest_difference(ours: list[float], theirs: list[float], difference: float) -> None:
    assert close("file", "logits", ours, theirs, 1e-4).difference == difference


def test_a_nan_of_ours_is_never_within_tolerance() -> None:
    assert not close("file", "logits", [NAN], [1.0], 1e-4).ok


def test_equal_counts_what_differs() -> None:
    assert equal("file", "ids", [1, 2, 3], [1, 0, 0]).difference == 2
    assert equal("file", "ids", [1, 2], [1, 2]).ok
    assert not equal("file", "ids", [1, 2], [1, 2, 3]).ok
    assert not equal("file", "ids", [], [1]).ok


def test_nothing_agrees_with_nothing_in_any_shape() -> None:
    assert close("file", "points", np.zeros((0, 4)), np.zeros(0), 1e-6).ok
    assert not close("file", "points", np.zeros((0, 4)), np.zeros((1, 4)), 1e-6).ok


def test_damaged_files_are_named(tmp_path) -> None:
    (tmp_path / "golden.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(UserError, match=r"golden\.npz cannot be read"):
        load_arrays(tmp_path / "golden.npz")
    np.savez(tmp_path / "pickled.npz", bad=np.array([{}], dtype=object))
    with pytest.raises(UserError, match=r"pickled\.npz cannot be read"):
        load_arrays(tmp_path / "pickled.npz")
    (tmp_path / "cases.json").write_text("{")
    with pytest.raises(UserError, match=r"cases\.json is not readable JSON"):
        load_json(tmp_path / "cases.json")
