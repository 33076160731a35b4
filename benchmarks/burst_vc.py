"""burst-vc: how many objects of a category are there in a clip? Questions rebuilt from the annotations of BURST.

The paper's BURST-VideoCount is not public: neither its questions nor which clips it takes. What stands here follows a
rule of our own (`QUESTIONS`), so that its numbers are not the paper's. Facts: Athar et al., WACV 2023;
Ali2500/BURST-benchmark at c143198, ANNOTATION_FORMAT.md; the release's task is called `burst_count_clip_63s`
(allenai/molmo2 at f3cb108, olmo/eval/eval_utils.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from mpeval.data.names import is_inside
from mpeval.data.rows import to_samples
from mpeval.data.source import DatasetBenchmark, DataSource
from mpeval.errors import UserError
from mpeval.media import Media
from mpeval.scorers import CountAccuracy
from mpeval.types import Card, CountTarget, Elicitation, ProtocolSpec, Sample

from .molmo2_vc import OVERCOUNT_FLOOR, count_bin
from .tracking.rows import Fps

QUESTIONS = (
    "each test sequence and each category with a track in it makes one question, 'How many {category} are there in the "
    "video?'; categories that the sequence's annotators did not mark everywhere (not_exhaustive_category_ids) make "
    "none; the clip runs from the first annotated frame to the last, at most 63 s; the count is the number of the "
    "category's tracks with a mask in it, and where there is none there is no question"
)
LONGEST = 63.0
"""Seconds of a clip: from the name of the release's task."""
ANNOTATIONS = (
    "annotations/test/all_classes.json",
    "test/all_classes.json",
    "BURST_annotations/test/all_classes_visibility.json",
)
FRAMES = ("frames/test", "test/frames", "images/test")
VIDEOS = ("test/videos", "videos/test")
"""The release encodes every n-th picture, so that there are six a second: times stay what they are."""
BY_HAND = (
    "fetch https://omnomnom.vision.rwth-aachen.de/data/BURST/annotations.zip and unpack it as annotations/ (test/"
    "all_classes.json is needed); fetch the test frames of TAO from https://motchallenge.net/tao_download.php, after "
    "its terms, into frames/test/<dataset>/<sequence>/"
)


PLACES = (*(f"{place}/*/*" for place in FRAMES), *(f"{place}/*/*.mp4" for place in VIDEOS))


class Sequence(msgspec.Struct):
    dataset: str
    seq_name: str
    fps: Fps
    """Of all_image_paths; a frame a second is annotated."""
    all_image_paths: list[str]
    annotated_image_paths: list[str]
    track_category_ids: dict[str, int]
    segmentations: list[dict[str, Any]]
    """For each annotated frame, track -> its mask."""
    not_exhaustive_category_ids: list[int] = []


class Category(msgspec.Struct):
    id: int
    name: str


class Question(msgspec.Struct):
    """A sequence and one of its categories."""

    sequence: Sequence
    category: Category


class Annotations(msgspec.Struct):
    sequences: list[Any]
    categories: list[Category]


def _read(folder: Path) -> Iterable[Sample]:
    file = next((folder / place for place in ANNOTATIONS if (folder / place).is_file()), folder / ANNOTATIONS[0])
    try:
        content = msgspec.convert(json.loads(file.read_bytes()), Annotations)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}; by hand: {BY_HAND}") from error
    except (ValueError, msgspec.ValidationError) as error:
        raise UserError(f"{file} is no file of BURST's annotations ({error}): unpack it again") from error
    return to_samples(_questions(content), Question, lambda sample_id, each: _sample(folder, sample_id, each))


def _questions(content: Annotations) -> Iterator[tuple[str, Any]]:
    """By sequence in the file's order, then by category's number."""
    categories = {each.id: each for each in content.categories}
    for index, raw in enumerate(content.sequences):
        try:
            sequence = msgspec.convert(raw, Sequence)
        except msgspec.ValidationError:
            yield str(index), {"sequence": raw}
            continue
        for number in sorted(set(sequence.track_category_ids.values()) - set(sequence.not_exhaustive_category_ids)):
            if _count(sequence, number):
                name = f"{sequence.dataset}/{sequence.seq_name}/{number}"
                category = categories.get(number)
                yield name, {"sequence": raw, "category": None if category is None else msgspec.to_builtins(category)}


def _sample(folder: Path, sample_id: str, question: Question) -> Sample:
    sequence, category = question.sequence, question.category
    count = _count(sequence, category.id)
    slices = {"dataset": sequence.dataset, "count": count_bin(count)}
    return Sample(sample_id, _media(folder, sequence), _plain(category.name), CountTarget(count), slices)


def _plain(name: str) -> str:
    """A category's name as LVIS spells it (`car_(automobile)`), in plain words."""
    return name.partition("_(")[0].replace("_", " ")


def _span(sequence: Sequence) -> tuple[float, float]:
    """Start and end of the clip in seconds of the sequence: its annotated part, cut to `LONGEST`."""
    place = {path: number for number, path in enumerate(sequence.all_image_paths)}
    annotated = [place[path] for path in sequence.annotated_image_paths if path in place] or [0]
    start, end = annotated[0] / sequence.fps, (annotated[-1] + 1) / sequence.fps
    return start, min(end, start + LONGEST)


def _count(sequence: Sequence, category: int) -> int:
    """Tracks of the category with a mask in the clip."""
    place = {path: number for number, path in enumerate(sequence.all_image_paths)}
    _, end = _span(sequence)
    seen = {
        track
        for path, masks in zip(sequence.annotated_image_paths, sequence.segmentations)
        if place.get(path, 0) / sequence.fps < end
        for track in masks
    }
    return sum(sequence.track_category_ids.get(track) == category for track in seen)


def _media(folder: Path, sequence: Sequence) -> Media:
    """The sequence's pictures at their own rate, or the video that the release encodes."""
    name = f"{sequence.dataset}/{sequence.seq_name}"
    if not is_inside(name) or not all(map(is_inside, sequence.all_image_paths)):
        return Media.video(folder / "outside of the dataset")
    for place in VIDEOS:
        if (file := folder / place / f"{name}.mp4").is_file():
            return Media.video(file, _span(sequence))
    for place in FRAMES:
        if (pictures := folder / place / name).is_dir():
            frames = tuple(pictures / each for each in sequence.all_image_paths)
            return Media("video", frames, span=_span(sequence), rate=sequence.fps)
    return Media.video(folder / VIDEOS[0] / f"{name}.mp4")


benchmark = DatasetBenchmark(
    card=Card(
        name="burst-vc",
        title="BURST-VC (rebuilt)",
        description=(
            "How many objects of a category are in a clip. The paper's questions are not public; these are rebuilt "
            f"from BURST's test annotations, and their numbers are not the paper's: {QUESTIONS}. overcounted is the "
            "share of answers with more than twice as many points as there are objects, and more than "
            f"{OVERCOUNT_FLOOR}."
        ),
        source="BURST annotations (Ali2500/BURST-benchmark) and the frames of TAO",
        revision="rebuilt-1",
        license="MIT for the annotations; each video under its owner's terms",
        redistribution=False,
        size=None,
        suites=("video",),
        media="video",
        citation=(
            "@inproceedings{athar2023burst, title={BURST: A Benchmark for Unifying Object Recognition, Segmentation "
            "and Tracking in Video}, author={Athar, Ali and Luiten, Jonathon and Voigtlaender, Paul and Khurana, "
            "Tarasha and Dave, Achal and Leibe, Bastian and Ramanan, Deva}, booktitle={WACV}, year={2023}}"
        ),
    ),
    source=DataSource("chengyenhsieh/TAO-Amodal", files=("**/test/all_classes*.json",), by_hand=BY_HAND, videos=PLACES),
    elicitations={"rebuilt": Elicitation("rebuilt", "How many {query} are there in the video?", max_new_tokens=2048)},
    scorers={
        "rebuilt": CountAccuracy.paper("rebuilt", OVERCOUNT_FLOOR),
        "strict": CountAccuracy(overcount_floor=OVERCOUNT_FLOOR),
    },
    protocols={
        "rebuilt": ProtocolSpec(
            "rebuilt",
            "rebuilt",
            "rebuilt",
            "questions: a rule of mpeval's own over the BURST annotations; scoring: allenai/molmo2 at f3cb108, "
            "olmo/eval/evaluators.py, VixMoPointCountEval",
            differs="not the paper's BURST-VideoCount, whose questions are not public: never compare the two; reads a "
            "number or a stated total from the text alone, and never reads 'There are none.' as 0",
        ),
        "strict": ProtocolSpec(
            "strict",
            "rebuilt",
            "strict",
            "questions: a rule of mpeval's own over the BURST annotations; the count that the answer states, else how "
            "many points it has",
            differs="not the paper's BURST-VideoCount, whose questions are not public: never compare the two",
        ),
    },
    read=_read,
)
