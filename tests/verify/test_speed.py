"""The comparison with the release, without it: what is asked, what is compared, what is printed."""

from __future__ import annotations

import ast
import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from mpeval.engine.config import ModelConfig
from mpeval.engine.prompt import is_media
from mpeval.errors import UserError
from mpeval.verify import rounding, speed, speed_ours, speed_release
from mpeval.verify.rounding import Answer
from mpeval.verify.speed_release import times_of
from mpeval.verify.speed_work import QUERIES, SIZES, configuration, write_checkpoint, write_queries

SMALL = replace(SIZES["parity"], crops=1, question=3, tokens=4)


def test_the_release_s_side_needs_nothing_of_mpeval() -> None:
    roots = set()
    for node in ast.walk(ast.parse(Path(speed_release.__file__).read_text())):
        if isinstance(node, ast.Import):
            roots |= {each.name.split(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or "").split(".")[0])
    assert roots - set(sys.stdlib_module_names) == {"numpy", "torch", "transformers"}


def test_the_half_billion_has_a_quarter_of_the_released_widths() -> None:
    decoder = ModelConfig.from_json(configuration(SIZES["0.5b"])).decoder
    assert (decoder.layers, 4 * decoder.width, 4 * decoder.mlp_width, decoder.head_dim) == (36, 4096, 12288, 128)
    assert (4 * decoder.heads, 4 * decoder.kv_heads, 4 * decoder.vocabulary) == (32, 8, 151936)


def test_queries_are_prompts_that_differ(tmp_path: Path) -> None:
    length = write_queries(tmp_path / "queries.npz", SMALL)
    tokens = ModelConfig.from_json(configuration(SMALL)).tokens
    with np.load(tmp_path / "queries.npz") as file:
        ids, types, pixels, pooling = (file[name] for name in ("ids", "types", "pixels", "pooling"))
    assert ids.shape == types.shape == (2 * QUERIES, length)
    assert len({row.tobytes() for row in ids}) == 2 * QUERIES
    assert len({row.tobytes() for row in pixels[:QUERIES]}) == QUERIES
    assert (pixels[QUERIES:] == pixels[0]).all(), "as many questions on the first picture"
    for row, kinds in zip(ids, types, strict=True):
        assert np.array_equal(is_media(row, tokens), kinds == 1)
        assert np.isin(row, [tokens.image_patch, tokens.image_low]).sum() == pooling.shape[1]
    assert sorted(pooling[0].ravel()) == list(range(2 * 16)), "each patch is pooled once"


def test_our_side_gives_the_same_ids_alone_and_together(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, SMALL)
    write_queries(tmp_path / "queries.npz", SMALL)
    files = [str(tmp_path), str(tmp_path / "queries.npz"), str(tmp_path / "out.json")]
    words = ["--tokens", "4", "--threads", "1", "--alone", "2", "--alone", "17"]
    result = CliRunner().invoke(speed_ours.main, [*files, *words], catch_exceptions=False)
    assert result.exit_code == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["alone"]["ids"] == [found["apart"]["ids"][2], found["together"]["ids"][1]]
    assert all(len(ids) == 4 for ids in found["apart"]["ids"])
    assert 0 < found["apart"]["times"]["first"] < found["apart"]["times"]["all"]


def ours(ids: list[int]) -> dict:
    times = times_of((0.0, 0.0), [(1.0, 1.0), (3.0, 2.0)], (3.5, 2.5))
    batch = {"ids": [ids] * QUERIES, "times": times}
    return {"alone": {"ids": [ids], "times": [times]}, "apart": batch, "together": batch}


def test_answers_that_differ_end_the_comparison() -> None:
    assert speed.compare({"ids": [[1, 2, 3]]}, ours([1, 2, 3]), [4]) == 6
    with pytest.raises(UserError, match="query 4 alone is answered differently from token 1 on"):
        speed.compare({"ids": [[1, 9, 3]]}, ours([1, 2, 3]), [4])
    with pytest.raises(UserError, match="from token 2 on"):
        speed.compare({"ids": [[1, 2, 3]]}, ours([1, 2]), [4])
    spoilt = ours([1, 2, 3])
    spoilt["together"] = {"ids": [[1, 2, 4]] * QUERIES}
    with pytest.raises(UserError, match="query 17 in a batch"):
        speed.compare({"ids": [[1, 2, 3]]}, spoilt, [17])


def test_ratios_are_of_medians() -> None:
    slow = times_of((0.0, 0.0), [(2.0, 2.0), (12.0, 6.0)], (14.0, 8.0))
    lines = speed.ratios([{"times": [slow]}] * 3, [ours([1])] * 3, tokens=11)
    assert "first token 2.000 s, 1.0 tokens/s in decoding, 0.071 samples/s" in lines[0]
    assert "5.0 tokens/s in decoding" in lines[1] and "5.00 (4.00 by processor time) times the tokens/s" in lines[1]
    assert "64.00 (51.20 by processor time) times the release's; 29 % of the time is prefill" in lines[2]


def test_a_process_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^the release ended with status 1: ValueError: no$"):
        speed.run([sys.executable, "-c", "raise ValueError('no')"], tmp_path / "out", "the release")


def test_modules_that_are_absent_are_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    speed_release.stand_in("json", "no_such_module", "no_such_module.part")
    try:
        part = importlib.import_module("no_such_module.part")
        assert sys.modules["json"] is json
        with pytest.raises(AttributeError, match="was not expected to be needed"):
            _ = part.resize
    finally:
        del sys.modules["no_such_module.part"], sys.modules["no_such_module"]


def test_rounding_counts_answers_and_where_they_part() -> None:
    same, other = Answer(("a", "b", "c", "d")), Answer(("a", "b", "x", "d"))
    assert rounding.report([same] * 4, [same, other, same, same], "words") == [
        "1 of 4 answers differ (25.0 %)",
        "an answer's first difference comes once in 15 words",
    ]
    here, there = Answer(("a",), ((10.0, 20.0),)), Answer(("a",), ((10.0, 23.0),))
    assert rounding.report([here], [there], "words")[1:] == [
        "1 points moved in answers with as many points: by 3.0 pixels (median), 3.0 at most"
    ]


def test_rounding_asks_a_model_in_both_types() -> None:
    asked = ["--model", "molmopoint-tiny", "--benchmark", "demo-points", "--limit", "2", "--device", "cpu"]
    result = CliRunner().invoke(rounding.main, asked, catch_exceptions=False)
    assert result.output.startswith("molmopoint-tiny, demo-points\n") and " of 2 answers differ" in result.output
