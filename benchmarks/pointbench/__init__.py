"""PointBench: point at what a request names, in photographs of five categories; one mask holds all right answers.

The dataset is PointArena/pointarena-data on the Hub: `data.json`, and two zips whose members lie in
`selected_images/<category>/` and `selected_masks/<category>/`. Facts: Cheng et al., arXiv 2505.09990;
pointarena/pointarena at dcd82f2; allenai/molmo2 at f3cb108, olmo/data/academic_image_datasets.py (`PointBench`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from mpeval.data.files import Files
from mpeval.data.rows import json_rows, to_samples
from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import SampleError
from mpeval.media import Media
from mpeval.parsing import lmms_eval, pointarena
from mpeval.scorers import PointAccuracy
from mpeval.types import Card, Elicitation, ProtocolSpec, Sample, UnreadableTarget

from . import official
from .official import BLOCK
from .scorers import LmmsEvalAccuracy, PointBenchAccuracy
from .target import read_target

ARCHIVES = {"selected_images.zip": "selected_images", "selected_masks.zip": "selected_masks"}


class Row(msgspec.Struct):
    """A row of data.json; its pictures are named without their category's folder."""

    image_filename: str
    mask_filename: str
    category: str
    user_input: str
    """The prompt, as it stands."""
    count: float | None = None
    """How many points are wanted; it counts in the category `counting` alone."""


def _read(folder: Path) -> Iterable[Sample]:
    files = Files(folder, tuple(ARCHIVES))

    def make(sample_id: str, row: Row) -> Sample:
        media = Media.image(files.find(f"selected_images/{row.category}/{row.image_filename}"))
        slices = {"category": row.category}
        try:
            mask = files.find(f"selected_masks/{row.category}/{row.mask_filename}")
            target = read_target(mask, row.category, row.count)
        except SampleError as error:
            # Not raised: the sample shall count as a failure in its category's mean.
            return Sample(sample_id, media, row.user_input, UnreadableTarget(str(error)), slices)
        return Sample(sample_id, media, row.user_input, target, slices, _wordings(row))

    return to_samples(_rows_with_a_mask(folder), Row, make, on_threads=True, slices=("category",))


def _rows_with_a_mask(folder: Path) -> Iterable[tuple[str, Any]]:
    """Rows of which nobody drew a mask are no part of the benchmark; the others keep their index."""
    for index, row in enumerate(json_rows(folder / "data.json")):
        if not isinstance(row, dict) or "mask_filename" in row:
            yield str(index), row


def _wordings(row: Row) -> dict[str, str]:
    """What lmms-eval asks: the request without blanks around it, and that in Qwen's words; and what the benchmark's own
    script wants of a family of models."""
    asked, counting = row.user_input.strip(), row.category == "counting"
    every = ", You should point to all the objects in the image that are mentioned in the question."
    return {
        "stripped": asked,
        "pointing": f"pointing: {asked}{every if counting else ''}",
        **official.wordings(counting),
    }


_TUPLES = (
    "{stripped} Your answer should be formatted as a list of tuples, i.e. [(x1, y1), (x2, y2), ...], where each tuple "
    "contains the x and y coordinates of a point satisfying the conditions above. The coordinates should be integers "
    "between 0 and 999, representing the pixel locations scaled to a 1000x1000 grid. "
    "Return only list of tuples, do not add anything else."
)
_JSON = "{pointing}\nReturn points in JSON format and normalized to the range [0, 1000]."
_LMMS_EVAL = "EvolvingLMMs-Lab/lmms-eval at 75571cf, lmms_eval/tasks/pointbench/utils.py"
_LMMS_EVAL_DIFFERS = (
    "the mean over points of those inside, so that a wrong point costs a share and a wrong count nothing; "
    "binary_accuracy is its other metric, much like official; no macro average; a point is scaled to the mask's own "
    "size; a mask is read in grey, so that one drawn in a dark colour is empty and nothing can hit it; there, rows "
    "without a mask count as failures"
)
_MASK_DIFFERS = (
    "a point is looked up unscaled in a mask of another size than its picture; a mask stored in single bits is empty "
    "to it, and nothing can hit it"
)

benchmark = DatasetBenchmark(
    card=Card(
        name="pointbench",
        title="PointBench",
        description=(
            "Point at what a request names, in photographs: affordable (what can be used for what), counting, "
            "reasoning, spatial, steerable (relative to a mark). Rows without a mask are no part of it."
        ),
        source="PointArena/pointarena-data",
        revision="main",
        license="not stated by its publishers",
        redistribution=False,
        size=982,
        suites=("image",),
        citation=(
            "@article{cheng2025pointarena, title={PointArena: Probing Multimodal Grounding Through Language-Guided "
            "Pointing}, author={Cheng, Long and Duan, Jiafei and Wang, Yi Ru and Fang, Haoquan and Li, Boyang and "
            "others}, journal={arXiv preprint arXiv:2505.09990}, year={2025}}"
        ),
    ),
    source=DataSource("PointArena/pointarena-data", files=("data.json", *ARCHIVES), archives=ARCHIVES),
    elicitations={
        "paper": Elicitation("paper", max_new_tokens=256),
        "official": Elicitation("official", f"\n{BLOCK}pointing: {{query}}\n{BLOCK}\n{BLOCK}", 200),
        **official.ELICITATIONS,
        "lmms-eval": Elicitation("lmms-eval", _TUPLES, 256),
        "lmms-eval-json": Elicitation("lmms-eval-json", _JSON, 256),
    },
    scorers={
        "paper": replace(PointAccuracy.paper(), headline="macro_accuracy_by_category", macros=("category",)),
        "official": PointBenchAccuracy("official", pointarena.points, "truncate", first_alone=True),
        **official.SCORERS,
        "lmms-eval": LmmsEvalAccuracy("lmms-eval", lmms_eval.tuple_points),
        "lmms-eval-json": LmmsEvalAccuracy("lmms-eval-json", lmms_eval.json_points),
        "strict": PointBenchAccuracy(),
    },
    protocols={
        "paper": ProtocolSpec(
            "paper",
            "paper",
            "paper",
            "MolmoPoint, Table 1; allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, PointBenchEval",
            differs=f"never looks at the count; the plain mean of the five categories' means; {_MASK_DIFFERS}",
            verified=True,
        ),
        "official": ProtocolSpec(
            "official",
            "official",
            "official",
            "pointarena/pointarena at dcd82f2, molmo_evaluator.py",
            differs=(
                "outside of counting only the first point counts; one mean over all samples; reads the first Molmo's "
                "percentages, else pairs in brackets as pixels, so that Molmo2's coords are no points to it; for the "
                "category steerable it also tells the marked point, from a file that was not published: left out here; "
                f"{_MASK_DIFFERS}"
            ),
            verified=True,
        ),
        **official.protocols(_MASK_DIFFERS),
        "lmms-eval": ProtocolSpec(
            "lmms-eval",
            "lmms-eval",
            "lmms-eval",
            f"{_LMMS_EVAL}, pointbench",
            differs=f"reads tuples (x, y) alone and guesses the space of each; {_LMMS_EVAL_DIFFERS}",
            verified=True,
        ),
        "lmms-eval-json": ProtocolSpec(
            "lmms-eval-json",
            "lmms-eval-json",
            "lmms-eval-json",
            f"{_LMMS_EVAL}, pointbench_json",
            differs=f"reads pairs [x, y]: a decimal point makes fractions, none thousandths; {_LMMS_EVAL_DIFFERS}",
            verified=True,
        ),
        "strict": ProtocolSpec(
            "strict",
            "paper",
            "strict",
            "arXiv 2505.09990: the definition, as mpeval reads it",
            differs="every point must lie in the mask, and in counting there must be as many as things",
        ),
    },
    read=_read,
)
