"""Scoring a stored run: what cannot be scored is named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mpeval.benchmarks.demo_points import benchmark
from mpeval.errors import UserError
from mpeval.scoring import protocol_of, score
from mpeval.store import Run
from mpeval.types import RLE, Point, PointsTarget

from .test_store import manifest, row


def test_a_target_that_cannot_be_read_is_named_with_its_sample(tmp_path: Path) -> None:
    corrupt = PointsTarget((Point(1, 2),), (RLE((4, 5), "!"),))
    with Run.write(tmp_path / "run", msgspec.structs.replace(manifest(), benchmark="demo-points")) as run:
        run.put([row(0, target=corrupt)])
        with pytest.raises(UserError, match=r"sample 's0' cannot be scored .*run lengths"):
            score(run, benchmark, protocol_of(benchmark, "strict"))
