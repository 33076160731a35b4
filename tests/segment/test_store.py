from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from mpeval.errors import UserError
from mpeval.masks import encode
from mpeval.segment.store import FILE, MaskStore, answer_key, content_key
from mpeval.types import ObjectMasks, Point, PointPrompt

MASKS = (ObjectMasks("a", {3: encode(np.eye(5)), 0: encode(np.ones((2, 2)))}), ObjectMasks("b", {}))


def stored(folder) -> MaskStore:
    store = MaskStore.read(folder)
    assert store is not None
    return store


def test_masks_come_back(tmp_path):
    assert MaskStore.read(tmp_path) is None
    with MaskStore.write(tmp_path) as store:
        store.put("s1", "classical", "c1", "answer", MASKS)
        store.put("s2", "classical", "c2", "answer", ())
    with stored(tmp_path) as store:
        assert store.masks("s1", "classical", "answer") == MASKS
        assert store.masks("s2", "classical", "answer") == ()
        assert store.has("s1", "classical", "c1", "answer")
        assert not store.has("s1", "classical", "c2", "answer")
        assert not store.has("s1", "other", "c1", "answer")


def test_masks_of_another_answer_are_not_given(tmp_path):
    with MaskStore.write(tmp_path) as store:
        store.put("s1", "classical", "c1", answer_key([Point(1, 2)]), MASKS)
        assert store.masks("s1", "classical", answer_key([Point(1, 2)])) == MASKS
        assert store.masks("s1", "classical", answer_key([Point(1, 3)])) is None


def test_another_answer_that_prompts_the_same_has_the_same_masks(tmp_path):
    """Two points off the picture prompt the same pixel of its edge."""
    with MaskStore.write(tmp_path) as store:
        store.put("s1", "classical", "c1", answer_key([Point(-1, 2)]), MASKS)
        other = answer_key([Point(-5, 2)])
        assert store.masks("s1", "classical", other) is None
        assert store.has("s1", "classical", "c1", other)
        assert store.masks("s1", "classical", other) == MASKS


def test_masks_by_other_weights_under_one_name_go(tmp_path):
    with MaskStore.write(tmp_path) as store:
        store.begin("sam2", {"weights": "a"})
        store.put("s1", "sam2", "c1", "answer", MASKS)
        store.put("s1", "classical", "c1", "answer", MASKS)
    with MaskStore.write(tmp_path) as store:
        store.begin("sam2", {"weights": "a"})
        assert store.masks("s1", "sam2", "answer") == MASKS
        store.begin("sam2", {"weights": "b"})
        assert store.masks("s1", "sam2", "answer") is None
        assert store.masks("s1", "classical", "answer") == MASKS


def test_newer_masks_replace_older_ones_of_the_same_segmenter(tmp_path):
    with MaskStore.write(tmp_path) as store:
        store.put("s1", "sam2", "c1", "answer", MASKS)
        store.put("s1", "classical", "c1", "answer", MASKS)
        assert store.segmenters() == ["classical", "sam2"]
        store.put("s1", "sam2", "c2", "answer", ())
        assert store.masks("s1", "sam2", "answer") == ()
        assert store.segmenters() == ["sam2", "classical"]


def test_which_segmenter_is_meant(tmp_path):
    with MaskStore.write(tmp_path) as store:
        assert store.chosen(None) is None
        store.put("s1", "sam2", "c1", "answer", MASKS)
        store.put("s1", "classical", "c1", "answer", MASKS)
        assert store.chosen(None) == "classical"
        assert store.chosen("sam2") == "sam2"
        with pytest.raises(UserError, match="no masks by 'sam3': it has those by classical, sam2"):
            store.chosen("sam3")


def test_the_key_is_of_all_that_decides():
    prompts = [PointPrompt("a", 0, 1.0, 2.0)]
    one = content_key({"segmenter": "x"}, "ab", None, prompts)
    assert one == content_key({"segmenter": "x"}, "ab", None, list(prompts))
    others = [
        content_key({"segmenter": "y"}, "ab", None, prompts),
        content_key({"segmenter": "x"}, "ac", None, prompts),
        content_key({"segmenter": "x"}, "ab", (0.0, 1.0), prompts),
        content_key({"segmenter": "x"}, "ab", None, [PointPrompt("a", 1, 1.0, 2.0)]),
    ]
    assert len({one, *others}) == 5


def test_what_is_no_store_is_named(tmp_path):
    (tmp_path / FILE).write_text("something else, long enough to be looked at as a database header")
    for begin in (MaskStore.write, MaskStore.read):
        with pytest.raises(UserError, match=r"masks.sqlite is damaged .*remove it"):
            begin(tmp_path)


def test_a_damaged_row_is_named(tmp_path):
    with MaskStore.write(tmp_path) as store:
        store.put("s1", "classical", "c1", "answer", MASKS)
    with sqlite3.connect(tmp_path / FILE) as database:
        database.execute("update masks set masks = x'00'")
    with stored(tmp_path) as store, pytest.raises(UserError, match="damaged"):
        store.masks("s1", "classical", "answer")
