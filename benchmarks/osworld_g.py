"""osworld-g: click what an instruction asks for on a desktop screenshot, or decline where it is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mpeval.data.rows import parquet_rows, to_samples
from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import SampleError, UserError
from mpeval.media import Media
from mpeval.metrics.regions import point_in_box
from mpeval.parsing.lmms_eval import click_point
from mpeval.scorers import PointAccuracy
from mpeval.scorers.reading import BESIDE_THE_TEXT, Size, wrong_target
from mpeval.types import BoxTarget, Card, PolygonTarget, Prediction, ProtocolSpec, RefusalTarget, Sample, Target

from . import gui

ORIGINAL = "xlang-ai/OSWorld-G at daa6bd8"
"""The benchmark's own repository, from which two more files may be put into the folder, at the same place."""
REFINED, CAPABILITIES = "benchmark/OSWorld-G_refined.json", "benchmark/classification_result.json"

source = DataSource(repository="MMInstruction/OSWorld-G", files=("**/test*.parquet",), split="test")

card = Card(
    name="osworld-g",
    title="OSWorld-G",
    description="Click what an instruction asks for on a desktop screenshot. The Hub's copy, which the paper and "
    "lmms-eval read, is said (allenai/olmo-eval, os_world_g.py) to hold 510 of the 564 rows: no refusals, and of "
    f"polygons two corners; all are scored where they are. For refined instructions and capabilities put {REFINED} and "
    f"{CAPABILITIES} of github.com/xlang-ai/OSWorld-G into the folder.",
    source=f"Hub dataset {source.repository}",
    revision=source.revision,
    license="the Hub's copy states none that could be read; github.com/xlang-ai/OSWorld-G: Apache-2.0",
    redistribution=False,
    size=510,
    suites=("gui",),
    citation="Xie et al., Scaling Computer-Use Grounding via User Interface Decomposition and Synthesis, NeurIPS 2025, "
    "arXiv:2505.13227",
)


class Row(msgspec.Struct):
    image: Any
    instruction: str
    box_type: str
    """bbox, polygon or refusal."""
    box_coordinates: list[float]
    """bbox: x, y, width, height. polygon: x, y of each vertex, or two corners (the Hub's copy). refusal: anything."""


def read(folder: Path) -> Iterable[Sample]:
    """All samples; with refined instructions and capabilities where their files are there."""
    files = sorted(folder.glob("**/test*.parquet"))
    refined = {each.id: each.instruction for each in _optional(folder / REFINED, list[Refined]) or ()}
    classified = _optional(folder / CAPABILITIES, Classification)
    capabilities = _by_sample(classified.classified) if classified else None

    def sample(sample_id: str, row: Row) -> Sample:
        slices = {"box_type": row.box_type.lower()}
        if capabilities is not None:
            slices |= dict.fromkeys(capabilities.get(sample_id, ["unclassified"]), "yes")
        wordings = {"refined": refined[sample_id]} if sample_id in refined else {}
        return Sample(sample_id, Media.image(row.image), row.instruction, target(row), slices, wordings)

    return to_samples(_rows(files), Row, sample, slices=("box_type",))


def _rows(files: Sequence[Path]) -> Iterator[tuple[str, Any]]:
    """Each row with its `id`, or its index where it has none."""
    for index, row in enumerate(parquet_rows(files)):
        yield str(row["id"]) if row.get("id") is not None else str(index), row


def target(row: Row) -> BoxTarget | PolygonTarget | RefusalTarget:
    """Where to click. Raises `SampleError` for numbers that are no place."""
    kind, numbers = row.box_type.lower(), tuple(row.box_coordinates)
    if not all(map(isfinite, numbers)):
        raise SampleError(f"box_coordinates {numbers} are not all numbers")
    if kind == "bbox" and len(numbers) == 4:
        x, y, width, height = numbers
        return gui.box_target(x, y, x + width, y + height)
    if kind == "polygon" and len(numbers) >= 4 and len(numbers) % 2 == 0:
        return PolygonTarget(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    if kind == "refusal":
        return RefusalTarget(numbers)
    raise SampleError(f"a {row.box_type!r} of {len(numbers)} numbers is neither a bbox, a polygon nor a refusal")


# --- files of the benchmark's own repository -----------------------------------------------------


class Refined(msgspec.Struct):
    id: str
    instruction: str


class Classified(msgspec.Struct):
    id: str


class Classification(msgspec.Struct):
    classified: dict[str, list[Classified]]
    """Capability -> the samples that need it; a sample may need several."""


T = TypeVar("T")


def _optional(file: Path, kind: type[T]) -> T | None:
    """What a file holds, None where it is not there. Raises `UserError` for one that holds something else."""
    if not file.is_file():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (msgspec.MsgspecError, OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not the file of that name in {ORIGINAL} ({error}): put it there again") from error


def _by_sample(classified: Mapping[str, Sequence[Classified]]) -> dict[str, list[str]]:
    capabilities: dict[str, list[str]] = {}
    for capability, members in classified.items():
        for member in members:
            capabilities.setdefault(member.id, []).append(capability)
    return capabilities


# --- scorers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Strict(PointAccuracy):
    """What the target is decides; a polygon of two vertices is the box between these corners."""

    def _hit(self, target: Target, points: list[gui.XY], size: Size) -> bool:
        corners = _corners(target)
        return super()._hit(BoxTarget(corners) if corners else target, points, size)


@dataclass(frozen=True)
class Paper(PointAccuracy):
    """The release's `OsWorldGEvaluator`: the first four numbers are x, y, width, height, whatever they are."""

    def _hit(self, target: Target, points: list[gui.XY], size: Size) -> bool:
        if isinstance(target, BoxTarget):
            return bool(points) and point_in_box(*points[0], target.box)
        if isinstance(target, PolygonTarget):
            numbers = [number for vertex in target.polygon for number in vertex]
        elif isinstance(target, RefusalTarget):
            numbers = list(target.numbers)
        else:
            raise wrong_target(self.name, target)
        if len(numbers) < 4 or not points:
            return False
        x, y, width, height = numbers[:4]
        return point_in_box(*points[0], (x, y, x + width, y + height))


def lmms_eval_pixels(prediction: Prediction, size: Size) -> gui.XY | None:
    """lmms-eval's guess: fractions where both coordinates are in 0..1, else pixels; the adapter's first point where
    points do not stand in the text (grounding tokens)."""
    if prediction.form in BESIDE_THE_TEXT:
        return (prediction.points[0].x, prediction.points[0].y) if prediction.points else None
    click = click_point(prediction.text)
    if click is not None and 0 <= click[0] <= 1 and 0 <= click[1] <= 1:
        return click[0] * size[0], click[1] * size[1]
    return click


def in_lmms_eval_place(target: Target, click: gui.XY, size: Size) -> bool:
    """Box: edges included. Polygon: by ray casting, the edges as they fall; two vertices are corners. Refusal: both
    coordinates are negative."""
    x, y = click
    if isinstance(target, RefusalTarget):
        return x < 0 and y < 0
    box = target.box if isinstance(target, BoxTarget) else _corners(target)
    if box is not None:
        return point_in_box(x, y, box)
    if not isinstance(target, PolygonTarget):
        raise wrong_target("lmms-eval", target)
    inside = False
    for index, (x1, y1) in enumerate(target.polygon):
        x0, y0 = target.polygon[index - 1]
        if (y1 > y) != (y0 > y) and x < (x0 - x1) * (y - y1) / (y0 - y1) + x1:
            inside = not inside
    return inside


def _corners(target: Target) -> tuple[float, float, float, float] | None:
    """The box that a polygon of two vertices stands for."""
    if not isinstance(target, PolygonTarget) or len(target.polygon) != 2:
        return None
    (x1, y1), (x2, y2) = target.polygon
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


# --- protocols ------------------------------------------------------------------------------------

DEFINITION = (
    "the benchmark's definition (arXiv:2505.13227): the first point, in the model's own form, lies in the box or "
    "polygon, edges included; a refusal is no point, however it is said; two corners are the box between them"
)

benchmark = DatasetBenchmark(
    card=card,
    source=source,
    elicitations=gui.elicitations(
        lmms_eval="Identify the UI target for the instruction and output exactly one click point as [x, y]. You may "
        "use either normalized coordinates in [0, 1] or absolute pixel coordinates. If the target does not exist, "
        "output [-1, -1].\nInstruction: {query}",
        refined="{refined}",
    ),
    scorers={
        "paper": Paper("paper", "paper", "truncate"),
        "lmms-eval": gui.ClickAccuracy("lmms-eval", lmms_eval_pixels, in_lmms_eval_place),
        "strict": Strict(),
    },
    protocols={
        "paper": gui.paper_protocol(
            "OsWorldGEvaluator",
            "takes the first four numbers for x, y, width, height whatever box_type says: polygons are scored against "
            "another box (that of two corners x1, y1, x2, y2 reaches on to x1 + x2, y1 + y2), and to decline is always "
            "wrong, so that the oracle cannot reach 1 where there are refusals and need not where there are whole "
            "polygons; the Hub's copy is said to hold neither",
        ),
        "lmms-eval": ProtocolSpec(
            "lmms-eval",
            elicitation="lmms-eval",
            scorer="lmms-eval",
            source="EvolvingLMMs-Lab/lmms-eval at 75571cf, lmms_eval/tasks/osworld_g/utils.py",
            differs=f"{gui.LMMS_EVAL_GUESS} and its space (fractions where both are in 0..1, else pixels), so that an "
            "answer in thousandths or percent is taken for pixels; a refusal is two negative coordinates, one in words "
            "is wrong; a polygon has some of its edges",
            verified=True,
        ),
        "strict": ProtocolSpec("strict", elicitation=gui.PAPER_PROMPT, scorer="strict", source=DEFINITION),
        "strict-refined": ProtocolSpec(
            "strict-refined",
            elicitation="refined",
            scorer="strict",
            source=DEFINITION,
            differs=f"asks with the refined instructions: {REFINED} of {ORIGINAL} must lie in the folder",
        ),
    },
    read=read,
)
