"""The shipped parity data: the model, its preprocessing, and that a wrong number is noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mpeval.errors import UserError
from mpeval.verify import SHIPPED, verify_folder
from mpeval.verify.check import Check
from mpeval.verify.model import verify_model
from mpeval.verify.preprocess import verify_preprocess


def failures(checks: list[Check]) -> set[str]:
    return {check.what for check in checks if not check.ok}


def change(file: Path, name: str, by: float) -> None:
    """Add to the first entry of an array."""
    arrays = dict(np.load(file))
    arrays[name] = arrays[name].copy()
    arrays[name].reshape(-1)[0] += by
    np.savez(file, **arrays)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A copy of the video folder without native.npz, to be spoiled."""
    folder = tmp_path / "video"
    shutil.copytree(SHIPPED / "video", folder, ignore=shutil.ignore_patterns("native.npz"))
    return folder


@pytest.fixture
def preprocess(tmp_path: Path) -> Path:
    """The smaller cases: `mpeval verify` checks them all."""
    folder = tmp_path / "preprocess"
    shutil.copytree(SHIPPED / "preprocess", folder)
    cases = [case for case in json.loads((folder / "cases.json").read_text()) if case["height"] <= 480]
    (folder / "cases.json").write_text(json.dumps(cases))
    return folder


@pytest.mark.parametrize("name", ["image_tied", "video"])
def test_both_programs_are_matched(name: str) -> None:
    checks = verify_model(SHIPPED / name)
    assert [check for check in checks if not check.ok] == []
    assert {check.where for check in checks} == {"golden.npz", "native.npz"}
    assert {"logits", "patch logits", "points", "ids", "choices", "training losses", "hf ids"} <= {
        c.what for c in checks
    }


def test_tiling_is_matched_to_the_last_bit(preprocess: Path) -> None:
    checks = verify_preprocess(preprocess)
    assert failures(checks) == set()
    assert max(check.difference for check in checks if check.what == "pixels") == 0


@pytest.mark.parametrize(
    ("array", "by", "kind"),
    [
        ("pixel_values_videos", 2 / 255, "pixels"),
        ("token_pooling", -1, "pooling"),
        ("subpatch_mapping", 1, "mapping"),
        ("token_type_ids", 1, "token types"),
        ("logits", 1e-3, "logits"),
        ("patch_logits", 1e-3, "patch logits"),
        ("points", 1e-5, "points"),
    ],
)
def test_a_number_that_is_off_fails(video: Path, array: str, by: float, kind: str) -> None:
    change(video / "golden.npz", array, by)
    assert kind in failures(verify_model(video))


def test_a_folder_without_points_and_with_fewer_arrays_is_checked(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "image_tied", folder := tmp_path / "image_g")
    golden, native = dict(np.load(folder / "golden.npz")), dict(np.load(folder / "native.npz"))
    text_alone = golden | dict(
        forced=golden["forced"][:0], triples=np.zeros(0), points=np.zeros(0), text="",
        logits=golden["logits"][:1], patch_logits=golden["patch_logits"][:0], processed=golden["processed"][:1],
    )  # fmt: skip
    np.savez(folder / "golden.npz", **text_alone)
    kept = ("logits", "hidden", "forced_ids", "forced_targets", "train/logits")
    np.savez(folder / "native.npz", **{name: native[name] for name in kept})
    ((name, checks),) = verify_folder(folder)
    assert name == "image_g"
    assert failures(checks) == set()
    assert {"logits", "points", "hidden", "training logits"} <= {check.what for check in checks}


def test_folders_are_found_at_any_depth(video: Path, preprocess: Path, tmp_path: Path) -> None:
    shutil.copytree(preprocess, tmp_path / "deep" / "er")
    shutil.rmtree(preprocess)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.json").write_text("[]")
    parts = dict(verify_folder(tmp_path))
    assert list(parts) == ["deep/er", "video"]
    assert parts["deep/er"][0].where == "deep/er/case_0.npz"


def test_what_is_missing_is_named(video: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(video / "golden.npz"))
    del arrays["forced"]
    np.savez(video / "golden.npz", **arrays)
    with pytest.raises(UserError, match="'forced' is missing"):
        list(verify_folder(video))
    (video / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors"):
        list(verify_folder(video))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="nothing to verify"):
        list(verify_folder(tmp_path / "empty"))
    with pytest.raises(UserError, match="is no folder"):
        list(verify_folder(tmp_path / "absent"))
