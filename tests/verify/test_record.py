"""The recorder's own parts. It is run whole in an environment of the release: `tests/data/recording` came of that."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mpeval.verify import record
from mpeval.verify.record import Case, Steps, arguments_of, copy_settings, drawn_cases, file_cases, triples_of


def test_it_needs_nothing_of_mpeval() -> None:
    tree = ast.parse(Path(record.__file__).read_text())
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            roots.add((node.module or "").split(".")[0])
    assert roots - set(sys.stdlib_module_names) == {"numpy", "PIL", "torch", "transformers", "huggingface_hub"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "read it, then give --trust-remote-code"),
        (["--trust-remote-code", "--no-drawn"], "nothing to record"),
        (["--trust-remote-code", "--image", "absent.png"], "absent.png is missing"),
        (["--trust-remote-code", "--image", __file__], "test_record.py is no picture that can be read"),
        (["--trust-remote-code", "--max-new-tokens", "0"], "'0' is no number from 1 on"),
        (["--trust-remote-code", "--max-crops", "-1"], "'-1' is no number from 1 on"),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(tmp_path, capsys, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments_of(["owner/name", str(tmp_path / "out"), *words])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("checkpoint", ["checkpoint", "./MolmoPoint-8B", "/absent/MolmoPoint-8B", "~/MolmoPoint-8B"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(tmp_path, capsys, checkpoint: str) -> None:
    with pytest.raises(SystemExit):
        arguments_of([checkpoint, str(tmp_path / "out"), "--trust-remote-code"])
    assert f"{checkpoint} is neither a folder nor OWNER/NAME of the Hub" in capsys.readouterr().err


def test_a_folder_that_holds_something_is_refused(tmp_path, capsys) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit):
        arguments_of(["owner/name", str(tmp_path), "--trust-remote-code"])
    assert "is not empty" in capsys.readouterr().err


def test_cases(tmp_path) -> None:
    drawn = drawn_cases()
    assert len({case.name for case in drawn}) == len(drawn)
    assert [len(case.pictures) for case in drawn].count(2) == 1
    assert [case.force_point for case in drawn].count(True) == 1
    assert all(each.dtype == np.uint8 and each.shape[2] == 3 for case in drawn for each in case.pictures)
    Image.new("L", (7, 5), 9).save(tmp_path / "grey.png")
    cases = file_cases([tmp_path / "grey.png"], ["a", "b"])
    assert [(case.name, case.prompt, case.pictures[0].shape) for case in cases] == [
        ("file0_0", "a", (5, 7, 3)),
        ("file0_1", "b", (5, 7, 3)),
    ]


def test_steps_keep_scores_before_and_after_the_release_s_processor() -> None:
    def forbid_the_first(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores[:, 0] = -torch.inf  # in place, as the release does
        return scores

    steps = Steps(forbid_the_first, prompt_length=2, best_patch=lambda: 1)
    scores = torch.tensor([[3.0, 1.0, 2.0]])
    assert steps(torch.tensor([[7, 7]]), scores.clone()).argmax() == 2
    assert steps(torch.tensor([[7, 7, 2]]), scores.clone()).argmax() == 1  # the second token is forced
    assert steps(torch.tensor([[7, 7, 2, 1]]), scores.clone()).argmax() == 2
    assert steps.ids == [2, 1]
    assert [row.tolist() for row in steps.raw] == [[3, 1, 2]] * 3
    assert [row.tolist() for row in steps.processed] == [[-np.inf, 1, 2]] * 3


def test_points_in_the_release_s_text() -> None:
    # 10 image tokens and no-more-points, 4 patches in each: patches from 11, ninths from 15.
    text = "<POINT_3><POINT_12><POINT_19>1 <POINT_9> <POINT_11> <POINT_15> 2<POINT_4><POINT_14><POINT_23><POINT_10>"
    assert triples_of(text, 10, 4).tolist() == [[3, 1, 4, 1], [9, 0, 0, 2], [4, 3, 8, -1]]
    assert triples_of("there are none", 10, 4).shape == (0, 4)


def test_arrays_of_several_pictures_and_of_a_run_that_was_cut() -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    inputs = {
        "pixel_values": np.zeros((2, 3, 6)),
        "image_grids": np.ones((2, 4), int),
        "image_num_crops": np.ones(2, int),
        "input_ids": np.array([[1, 2]]),
        "token_type_ids": np.array([[0, 1]]),
    }
    metadata = {"subpatch_mapping": [np.zeros((1, 1)), np.ones((1, 1))], "token_pooling": np.zeros((2, 4), int)}
    steps = Steps(None, 2, raw=[np.arange(5.0)] * 3, processed=[np.arange(5.0)] * 2)
    arrays = record.golden_arrays(Case("two", (picture, picture), "q"), inputs, metadata, steps, [4, 4])
    assert {"image_0", "image_1", "subpatch_mapping_0", "subpatch_mapping_1"} <= arrays.keys()
    assert arrays["forced"].tolist() == [4]
    assert arrays["logits"].shape == arrays["processed"].shape == (2, 5)
    assert arrays["input_ids"].tolist() == [1, 2]


def test_small_files_are_copied_and_code_is_not(tmp_path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in ("config.json", "modeling.py", "model.safetensors", "tokenizer.json"):
        (tmp_path / "in" / name).write_text(name)
    assert copy_settings(tmp_path / "in", tmp_path / "out") == ["config.json", "tokenizer.json"]
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["config.json", "tokenizer.json"]
