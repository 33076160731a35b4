"""A recording of the released program, made with transformers 4.57.6 on the small random checkpoint beside it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mpeval.errors import UserError
from mpeval.verify import verify_folder
from mpeval.verify.check import Check
from tests.conftest import Ended

RECORDED = Path(__file__).parent.parent / "data" / "recording"
"""A recording; model.safetensors beside it makes it the checkpoint too."""
CASES = {"shapes", "shapes_forced", "screen", "dots", "two"}
WITHOUT_WEIGHTS = {
    *("tokenizer", "chat template", "prompt", "pixels", "grid", "pooling", "mapping", "choices", "points"),
    *("written points", "scores are numbers"),
}
WITH_WEIGHTS = {
    *("prepared tokenizer", "prepared prompt", "prepared pooling", "prepared pixels"),
    *("logits", "pointing logits", "patch logits", "masked logits", "next tokens"),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """One case of it, to be spoiled; without weights."""
    folder = tmp_path / "recorded"
    shutil.copytree(RECORDED, folder, ignore=shutil.ignore_patterns("*.safetensors", "screen", "dots", "two"))
    change_json(folder, lambda content: [content["cases"].pop(name) for name in ("screen", "dots", "two")])
    return folder


def change_json(folder: Path, change: Callable[[dict], object]) -> None:
    content = json.loads((folder / "recording.json").read_text())
    change(content)
    (folder / "recording.json").write_text(json.dumps(content))


def change_array(folder: Path, name: str, change: Callable[[np.ndarray], object]) -> None:
    file = folder / "shapes" / "golden.npz"
    arrays = dict(np.load(file))
    change(arrays[name])
    np.savez(file, **arrays)


def checks_of(folder: Path, model: str | None = None) -> list[Check]:
    return [check for _, part in verify_folder(folder, model, "cpu") for check in part]


def failures(checks: list[Check]) -> set[str]:
    return {check.what for check in checks if not check.ok}


def test_all_that_was_recorded_is_matched() -> None:
    parts = dict(verify_folder(RECORDED, f"molmo:{RECORDED}", "cpu"))
    assert parts.keys() == {"recording"} | CASES
    checks = [check for part in parts.values() for check in part]
    assert [check for check in checks if not check.ok or check.skipped] == []
    assert {check.what for check in checks} >= WITHOUT_WEIGHTS | WITH_WEIGHTS | {"generated ids"}
    assert max(check.difference for check in checks if check.what == "logits") < 1e-4
    golden = np.load(RECORDED / "shapes_forced" / "golden.npz")
    assert len(golden["triples"]) > 0


def test_without_weights_the_model_is_said_to_be_unchecked(copy: Path, mpeval: Callable[..., Ended]) -> None:
    ended = mpeval("verify", copy)
    assert ended.status == 0
    left_out = "not compared: prepared prompt, prepared pixels, logits, next tokens, generated ids (needs the weights: "
    assert ended.out.count(left_out) == 2
    checks = checks_of(copy)
    assert failures(checks) == set()
    assert {check.what for check in checks if not check.skipped} >= WITHOUT_WEIGHTS


def test_the_command_loads_the_weights_from_where_they_are(copy: Path, mpeval: Callable[..., Ended]) -> None:
    ended = mpeval("verify", copy, "--model", f"molmo:{RECORDED}", "--device", "cpu")
    assert ended.status == 0
    assert "not compared" not in ended.out
    assert "generated ids 0" in ended.out.replace("\n", " ").replace("  ", " ")


@pytest.mark.parametrize(
    ("array", "change", "kind"),
    [
        ("logits", lambda each: each.__setitem__((0, 3), each[0, 3] + 0.1), "logits"),
        ("logits", lambda each: each.__setitem__((0, -1), 5.0), "pointing logits"),
        ("patch_logits", lambda each: each.__setitem__((0, -1), each[0, -1] + 0.1), "patch logits"),
        ("logits", lambda each: each.fill(np.nan), "scores are numbers"),
        ("processed", lambda each: each.__setitem__((0, 3), each[0, 3] + 0.1), "masked logits"),
        ("generated", lambda each: each.__setitem__(0, 1), "next tokens"),
        ("generated", lambda each: each.__setitem__(0, 1), "generated ids"),
        ("input_ids", lambda each: each.__setitem__(0, each[0] + 1), "prepared prompt"),
        ("input_ids", lambda each: each.__setitem__(-3, each[-3] + 1), "prompt"),
    ],
)
def test_a_number_that_is_off_fails(copy: Path, array: str, change, kind: str) -> None:
    change_array(copy, array, change)
    assert kind in failures(checks_of(copy, f"molmo:{RECORDED}"))


def test_a_choice_between_two_that_lie_close_is_not_held_against_anybody(copy: Path) -> None:
    def tie(rows: np.ndarray) -> None:
        for row in rows:
            row[np.argsort(row)[-2]] = row.max() - 1e-6

    change_array(copy, "processed", tie)
    change_array(copy, "generated", lambda each: each.__setitem__(slice(None), 1))
    checks = checks_of(copy, f"molmo:{RECORDED}")
    assert {"next tokens", "generated ids"}.isdisjoint(failures([c for c in checks if c.where.startswith("shapes/")]))
    assert any(check.note.startswith("0 of ") for check in checks)


@pytest.mark.parametrize(
    ("file", "change", "kind"),
    [
        ("tokenizer.json", lambda each: each["model"].update(merges=each["model"]["merges"][:9]), "prepared tokenizer"),
        ("preprocessor_config.json", lambda each: each.update(image_mean=[0.4] * 3), "prepared pixels"),
    ],
)
def test_small_files_of_the_checkpoint_that_differ_are_noticed(
    copy: Path, tmp_path: Path, file: str, change: Callable[[dict], object], kind: str
) -> None:
    """A run takes them from beside the weights, not from the recording."""
    shutil.copytree(RECORDED, tmp_path / "checkpoint")
    content = json.loads((tmp_path / "checkpoint" / file).read_text())
    change(content)
    (tmp_path / "checkpoint" / file).write_text(json.dumps(content))
    assert failures(checks_of(copy, f"molmo:{tmp_path / 'checkpoint'}")) == {kind}


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("logits", lambda each: each[0]),
        ("logits", lambda each: each[:-1]),
        ("processed", lambda each: each[:, :-1]),
        ("generated", lambda each: each[:-1]),
        ("generated", lambda each: each + 10**6),
        ("forced", lambda each: each[:-1]),
        ("patch_logits", lambda each: each[:, :-1]),
        ("pixel_values", lambda each: each[:, :-1]),
        ("token_pooling", lambda each: each[:-1]),
        ("token_pooling", lambda each: each + 10**6),
        ("input_ids", lambda each: each + 10**6),
        ("image", lambda each: each.astype(str)),
        ("text", lambda each: np.zeros(1)),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_named(copy: Path, mpeval, array: str, change) -> None:
    file = copy / "shapes" / "golden.npz"
    arrays = dict(np.load(file))
    np.savez(file, **arrays | {array: change(arrays[array])})
    ended = mpeval("verify", copy, "--model", f"molmo:{RECORDED}", "--device", "cpu")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "golden.npz: " in ended.err and "does not fit the other arrays: record it again" in ended.err


def test_another_chat_template_is_noticed(copy: Path) -> None:
    change_json(copy, lambda content: content["cases"]["shapes"].update(chat="User: Point to the red circle."))
    assert failures(checks_of(copy)) == {"chat template"}


def test_a_tokenizer_that_differs_is_named_by_its_text(copy: Path) -> None:
    change_json(copy, lambda content: content["tokenizer"][0]["ids"].append(5))
    (failed,) = [check for check in checks_of(copy) if not check.ok]
    assert (failed.what, failed.note) == ("tokenizer", "'Point to the red circle.'")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: change_json(folder, lambda each: each.pop("dtype")), "recording.json is damaged"),
        (lambda folder: change_json(folder, lambda each: each.update(format=9)), "is of another format"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
        (lambda folder: (folder / "shapes" / "golden.npz").unlink(), "golden.npz cannot be read"),
        (lambda folder: (folder / "recording.json").write_text("{"), "is not readable JSON"),
        (lambda folder: (folder / "recording.json").unlink(), "recording.json is missing above it"),
        (lambda folder: change_json(folder, lambda each: each.update(cases={})), "texts or cases are missing"),
        (lambda folder: change_json(folder, lambda each: each.update(tokenizer=[])), "texts or cases are missing"),
        (lambda folder: change_json(folder, lambda each: each["cases"].update({"../x": {}})), "is damaged"),
    ],
)
def test_a_damaged_recording_is_one_line(copy: Path, mpeval: Callable[..., Ended], spoil, said: str) -> None:
    spoil(copy)
    ended = mpeval("verify", copy)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert said in ended.err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("oracle", "is no checkpoint of this architecture"),
        ("molmopoint-tiny", "is not what was recorded"),
        ("molmo:absent", "absent"),
    ],
)
def test_another_model_is_refused(copy: Path, model: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        checks_of(copy, model)


def test_a_model_without_a_recording_is_a_mistake(mpeval: Callable[..., Ended]) -> None:
    ended = mpeval("verify", "--model", "molmopoint-tiny")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "--model is for recordings" in ended.err
