"""Ref-DAVIS17's official protocol: queries of one video and set of expressions scored together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mpeval.benchmarks.tracking.davis import DavisScore, groups
from mpeval.scoring import score
from mpeval.store import Row, Run
from mpeval.types import RLE, ObjectMasks, Prediction, Sample, TrackedObject, TrackTarget
from tests.test_store import manifest, row

from . import track_folders as folders
from .released import stored
from .test_tracking import results, samples

SETS = ("1", "2", "3", "4")


def rows_of_fixture() -> list[Row]:
    """A query for each expression of the fixture's videos, in no order of theirs, with the masks that it gives."""
    fixture = stored("davis_official")
    size = tuple(fixture["size"])

    def masks(frames: Sequence[str | None]) -> dict[int, RLE]:
        return {number: RLE(size[::-1], counts) for number, counts in enumerate(frames) if counts}

    named = [
        (video, int(expression), content)
        for video, content in fixture["videos"].items()
        for expression in content["predicted"]
    ]
    named.sort(key=lambda each: (each[1] % 3, each[0], -each[1]))
    raw = [{"video": video, "qid": str(number), "obj_id": [number // 4 + 1]} for video, number, _ in named]
    found = []
    for position, ((video, number, content), grouped) in enumerate(zip(named, groups(raw), strict=True)):
        assert grouped is not None
        group, of_set = grouped
        truth = TrackedObject("0", {}, masks(content["true"][number // 4]))
        target = TrackTarget((truth,), 6.0, tuple(range(fixture["frames"])), group=group)
        answer = Prediction("x", masks=(ObjectMasks("1", masks(content["predicted"][str(number)])),))
        changed = {"target": target, "prediction": answer, "size": size, "slices": {"set": of_set}}
        found.append(msgspec.structs.replace(row(position), media_sha256=video, **changed))
    return found


def scored(path: Path, rows: list[Row]) -> dict[str | None, dict[str, Any]]:
    """Slice -> metric -> value and number of samples."""
    with Run.write(path / "run", msgspec.structs.replace(manifest(), benchmark="ref-davis17")) as run:
        run.put(rows)
        (result,) = score(run, "official")
    found: dict[str | None, dict[str, Any]] = {}
    for each in result.metrics:
        found.setdefault(each.slice, {})[each.name] = each.value
        found[each.slice][f"{each.name} n"] = each.count
    return found


def test_as_the_public_scripts_score_it(tmp_path) -> None:
    """Expected: VideoLISA's post_process_davis.py (showlab/VideoLISA at 146f2bc, ReferFormer's rule for masks) and the
    toolkit, run on these masks as pictures."""
    found = scored(tmp_path, rows_of_fixture())
    expected = stored("davis_official")["sets"]
    for of_set, values in zip(SETS, expected, strict=True):
        assert {name: found[f"set={of_set}"][name] for name in values} == pytest.approx(values, abs=1e-12)
    means = {name: sum(each[name] for each in expected) / 4 for name in ("J&F", "J", "F")}
    assert {name: found[None][name] for name in means} == pytest.approx(means, abs=1e-12)


def test_a_failed_answer_has_no_masks_and_counts_0(tmp_path) -> None:
    rows = rows_of_fixture()
    failed = msgspec.structs.replace(rows[0], prediction=Prediction(error="no answer"), size=None, media_sha256=None)
    every, without = scored(tmp_path / "all", rows), scored(tmp_path / "failed", [failed, *rows[1:]])
    assert every[None]["J&F n"] == without[None]["J&F n"] == len(rows)
    assert without[None]["J&F"] < every[None]["J&F"]


def test_an_answer_without_masks_yet_leaves_its_group_out(tmp_path) -> None:
    rows = rows_of_fixture()
    index = next(i for i, each in enumerate(rows) if each.media_sha256 == "gold")
    rows[index] = msgspec.structs.replace(rows[index], prediction=Prediction("x"))
    assert scored(tmp_path, rows)[None]["J&F n"] == len(rows) - 3


def test_without_masks_there_is_no_score(tmp_path) -> None:
    rows = [msgspec.structs.replace(each, prediction=Prediction("x")) for each in rows_of_fixture()]
    rows[0] = msgspec.structs.replace(rows[0], prediction=Prediction(error="no answer"))
    assert set(scored(tmp_path, rows)[None]) == {"format_failures", "format_failures n"}


def test_part_of_a_run_is_scored_with_what_is_there(tmp_path) -> None:
    rows = rows_of_fixture()
    swan = [each for each in rows if each.media_sha256 == "blackswan"]
    assert scored(tmp_path, swan)[None]["J&F n"] == 4


def test_a_query_alone_is_a_group_of_one() -> None:
    (first, *_) = (each for each in rows_of_fixture() if each.media_sha256 == "blackswan")
    scorer = DavisScore()
    assert isinstance(first.target, TrackTarget)
    alone = scorer.score(first.target, first.prediction, (90, 60))
    assert scorer.score_group([(first.target, first.prediction, (90, 60))]) == [alone]


def test_sets_of_expressions() -> None:
    def row(video: str, number: int, *objects: int) -> dict[str, Any]:
        return {"video": video, "qid": str(number), "obj_id": list(objects)}

    rows = [row("b", 10, 2), *(row("a", i, 1 + i // 4) for i in range(8)), row("b", 9, 2), {"video": "c"}]
    found = groups(rows)
    assert [each and each[0].name for each in found[:-1]] == [
        "b/2", "a/1", "a/2", "a/3", "a/4", "a/1", "a/2", "a/3", "a/4", "b/1",
    ]  # fmt: skip
    assert found[-1] is None
    # Two that mean one object are never one prediction.
    assert [each and each[1] for each in groups([row("d", 0, 1, 2), row("d", 1, 2), row("d", 2, 3)])] == ["1", "2", "1"]


def four_sets(root: Path) -> Path:
    """Each of a video's two things by an expression in each of four sets."""
    root = folders.ref_davis17(root)
    rows = [
        folders.row(0, qid=str(4 * thing + of_set), obj_id=[thing + 1], id=f"t{4 * thing + of_set}", mask_id=["0"])
        for thing in (0, 1)
        for of_set in range(4)
    ]
    folders.write_rows(root / "ref-davis17/track/valid-00000-of-00001.parquet", rows)
    return root


def test_a_published_folder(tmp_path, mpeval) -> None:
    root = four_sets(tmp_path / "data")
    found: list[Sample] = samples("ref-davis17", root)
    assert [each.slices["set"] for each in found] == [*SETS, *SETS]
    targets = [each.target for each in found]
    assert [each.group and each.group.name for each in targets if isinstance(each, TrackTarget)] == [
        f"v0/{number}" for number in (*SETS, *SETS)
    ]
    ended = mpeval(
        "run", "--model", "oracle", "--benchmark", "ref-davis17", "--data-dir", root, "--out", tmp_path / "out",
        "--protocol", "official", "--json",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    values = results(ended.out)["official"]
    assert {name: values[name] for name in ("J&F", "J", "F")} == {"J&F": 1.0, "J": 1.0, "F": 1.0}
