"""A third party's package: a benchmark and models, found through entry points alone.

`FAKE_LOG` names a file that gets one line for each sample that a model generates; `FAKE_SECONDS` makes each
batch slow; `FAKE_FAIL` holds ids of samples that fail in generation; `FAKE_REVISION` is the model's revision.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import (
    BoxTarget,
    Capabilities,
    Card,
    Elicitation,
    Metric,
    Point,
    Prediction,
    ProtocolSpec,
    Query,
    Sample,
    SampleScore,
    Target,
)

COUNT = 40


def picture(shade: int, size: tuple[int, int] = (8, 6)) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", size, (shade, shade, shade)).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class InBox:
    """1 where the first point lies in the box."""

    name: str = "in-box"
    headline: str = "accuracy"

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        assert isinstance(target, BoxTarget)
        if not prediction.points:
            return SampleScore({"accuracy": 0.0}, "format")
        (left, top, right, bottom), point = target.box, prediction.points[0]
        hit = left <= point.x <= right and top <= point.y <= bottom
        return SampleScore({"accuracy": float(hit)}, "hit" if hit else "miss")

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        values = [score.values["accuracy"] for score in scores]
        return [Metric("accuracy", sum(values) / len(values), len(values), (0.0, 1.0))]


@dataclass
class FakeBenchmark:
    name: str = "fake"
    suites: tuple[str, ...] = ("fakes",)
    broken_samples: tuple[int, ...] = ()
    elicitations: Mapping[str, Elicitation] = field(
        default_factory=lambda: {
            "plain": Elicitation("plain", "Point to {query}"),
            "find": Elicitation("find", "Find {query}"),
        }
    )
    scorers: Mapping[str, InBox] = field(default_factory=lambda: {"in-box": InBox()})
    protocols: Mapping[str, ProtocolSpec] = field(
        default_factory=lambda: {
            "strict": ProtocolSpec("strict", "plain", "in-box", "the tests", verified=True),
            "other": ProtocolSpec("other", "find", "in-box", "the tests", differs="it says find"),
        }
    )

    @property
    def card(self) -> Card:
        return Card(self.name, "Fake", "Boxes", "the tests", "r1", "CC0-1.0", True, COUNT, suites=self.suites)

    def samples(self, data_dir: str | None = None) -> Iterator[Sample]:
        for index in range(COUNT):
            data = b"no picture" if index in self.broken_samples else picture(index % 7)
            yield Sample(
                f"s{index}",
                Media.image(data),
                f"thing {index}",
                BoxTarget((0, 0, 4, 6)),
                {"kind": "even" if index % 4 else "rare"},
            )


@dataclass(frozen=True)
class Ready:
    query: Query
    length: int
    nbytes: int = 1000


@dataclass
class FakeModel:
    """Points at a place drawn by the query's seed."""

    name: str
    revision: str = "1"
    capabilities: Capabilities = field(default_factory=Capabilities)

    def identity(self) -> dict[str, Any]:
        return {"revision": os.environ.get("FAKE_REVISION", self.revision)}

    def prepare(self, query: Query) -> Ready:
        query.media.pixels()
        return Ready(query, length=query.seed % 50)

    def generate(self, batch: Sequence[Any]) -> list[Prediction]:
        time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
        ids = [ready.query.sample_id for ready in batch]
        for each in os.environ.get("FAKE_FAIL", "").split(","):
            if each in ids:
                raise SampleError(f"{each} cannot be answered")
        if log := os.environ.get("FAKE_LOG"):
            with open(log, "a") as file:
                file.writelines(f"{each}\n" for each in ids)
        return [self._answer(ready.query) for ready in batch]

    def _answer(self, query: Query) -> Prediction:
        point = Point(query.seed % 8, query.seed // 8 % 6)
        return Prediction(f"{point.x} {point.y}", (point,), "fake", generated_tokens=3)


def _load(argument: str | None, options: ModelOptions) -> FakeModel:
    return FakeModel("fake-model")


benchmark = FakeBenchmark()
spoilt = FakeBenchmark("fake-spoilt", broken_samples=(3, 17))
model = ModelEntry("fake-model", "Points anywhere", _load, weight_bytes=lambda argument, options: 5_000_000)
no_model = "a string is no ModelEntry"
