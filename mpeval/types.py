"""The nouns of mpeval.

Data flows one way: `Sample` -> `Query` -> `Prediction` -> score -> table.

Pixels everywhere: x right, y down, origin top left, floats, of the original media before any resize.
Times are in seconds. Masks stay COCO run-length encodings until a pixel is needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, runtime_checkable
from typing import Protocol as Interface

import msgspec

from mpeval.errors import SampleError

if TYPE_CHECKING:
    from mpeval.media import Media
    from mpeval.video.clip import Clip


class Struct(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of the stored nouns: immutable, JSON both ways, checked on reading."""


# --- points and targets --------------------------------------------------------------------------


class Point(Struct, frozen=True):
    """One point: pixels of the original media, and where and when it lies."""

    x: float
    y: float
    time: float | None = None
    """Seconds from the start of the clip (video only)."""
    image: int | None = None
    """Zero-based index of the image (several images only)."""
    object_id: str | None = None


class RLE(Struct, frozen=True):
    """A mask in COCO's compressed run-length encoding (column-major)."""

    size: tuple[int, int]
    """Height, width."""
    counts: str


class BoxTarget(Struct, frozen=True, tag="box"):
    box: tuple[float, float, float, float]
    """x1, y1, x2, y2."""


class PolygonTarget(Struct, frozen=True, tag="polygon"):
    polygon: tuple[tuple[float, float], ...]


class AnyTarget(Struct, frozen=True, tag="any"):
    """Several places, each of them right: two buttons that do the same."""

    places: tuple[BoxTarget | PolygonTarget, ...]


class MaskTarget(Struct, frozen=True, tag="mask"):
    """One mask for the whole answer, however many things it covers (PointBench)."""

    mask: RLE
    count: int | None = None
    """How many points are wanted, where that is asked for."""
    grey: RLE | None = None
    """The mask that a program sees which looks at a picture's grey, where it is another: one drawn in colour."""


class PointsTarget(Struct, frozen=True, tag="points"):
    """Points with one mask each; both empty where the right answer is that there is none."""

    points: tuple[Point, ...]
    masks: tuple[RLE, ...]


class TimedMask(Struct, frozen=True):
    time: float
    """Seconds from the start of the clip."""
    mask: RLE


class VideoPointsTarget(Struct, frozen=True, tag="video-points"):
    """A point with its time for each object, and its masks at some times; both empty where there is none."""

    points: tuple[Point, ...]
    masks: tuple[tuple[TimedMask, ...], ...]
    """For each object."""
    duration: float
    """Of the clip, in seconds."""
    size: tuple[int, int] | None = None
    """Width, height that the dataset states, to which points and masks belong; None: the video's own."""


class CountTarget(Struct, frozen=True, tag="count"):
    count: int


class TrackedObject(Struct, frozen=True):
    object_id: str
    points: dict[int, tuple[float, float]]
    """Frame -> x, y; frames in which the object is not seen are absent."""
    masks: dict[int, RLE]


class Group(Struct, frozen=True):
    """Queries whose answers are one prediction to some scorers (`GroupScorer`): all objects of one video."""

    name: str
    place: int
    """Those of a group are ordered by it."""


class TrackTarget(Struct, frozen=True, tag="track"):
    objects: tuple[TrackedObject, ...]
    fps: float
    """Of the clip: an answer's time * fps, rounded, is its frame."""
    annotated: tuple[int, ...] = ()
    """Frames that were looked at, whether an object is there or not; none given: those with a mask."""
    asked: tuple[int, ...] = ()
    """Frames in which points are wanted, where masks are denser; none given: those with a mask."""
    listed: dict[int, tuple[str, ...]] = {}
    """Frame -> ids of the objects with a point as the dataset lists them there, where that is not the objects' own
    order or where it lists none: the release's scorer goes by place, and counts each frame listed."""
    known: bool = True
    """False: the truth is not public; a server scores what is submitted, and nothing can be scored here."""
    group: Group | None = None
    """Where its answer is part of one prediction with those of other queries."""
    size: tuple[int, int] | None = None
    """Width, height that the dataset states, to which points and masks belong; None: the video's own."""


class RefusalTarget(Struct, frozen=True, tag="refusal"):
    """The right answer is to decline: what is asked for is not there."""

    numbers: tuple[float, ...] = ()
    """What the dataset writes in place of a target all the same, for scorers that do not know refusals."""


class UnreadableTarget(Struct, frozen=True, tag="unreadable"):
    """The dataset's row lacks what is needed (a field, a mask). Its sample fails and counts as a missing answer."""

    reason: str


Target = (
    BoxTarget
    | PolygonTarget
    | AnyTarget
    | MaskTarget
    | PointsTarget
    | VideoPointsTarget
    | CountTarget
    | TrackTarget
    | RefusalTarget
    | UnreadableTarget
)


# --- samples, queries, predictions ---------------------------------------------------------------


class Sample(msgspec.Struct, frozen=True):
    """One query on one piece of media with its target."""

    id: str
    """The dataset's own id, else the row's index in the published order (`file/index` over several files)."""
    media: Media
    query: str
    """What the dataset asks: a label, an instruction or a whole prompt. An elicitation makes the prompt of it."""
    target: Target
    slices: Mapping[str, str] = {}
    """Slice name -> value, such as category -> counting."""
    wordings: Mapping[str, str] = {}
    """Other wordings of the query by name, for elicitations whose template names one: a translation, a prompt drawn
    for this row."""


class Elicitation(Struct, frozen=True):
    """How the model is asked. Every field belongs to a run's identity."""

    name: str
    template: str = "{query}"
    """The user's text; `{query}` is the sample's query, `{width}` and `{height}` are its media's, `{name}` is the
    sample's wording of that name."""
    max_new_tokens: int = 256
    force_single_point: bool = False
    """Decode exactly one point by force (paper, section 5.2)."""
    max_crops: int | None = None
    """Image tiles at most; None: what the model's configuration says."""
    max_frames: int | None = None
    """Frames of a video at most; None: what the model's configuration says."""
    sampling: Literal["even", "tracking"] = "even"
    """Which frames of a video are shown (`mpeval.video.sampling`)."""

    def prompt(self, sample: Sample) -> str:
        """The user's text for a sample. Raises `SampleError` where it lacks a wording that the template names."""
        wordings = {**sample.wordings, "query": sample.query}

        def fill(name: re.Match[str]) -> str:
            if name[1] in ("width", "height"):
                return str(sample.media.size[name[1] == "height"])
            if name[1] not in wordings:
                raise SampleError(f"the row has no wording '{name[1]}', which the elicitation '{self.name}' asks with")
            return wordings[name[1]]

        # In one pass: a query may hold braces of its own.
        return re.sub(r"\{([a-z_]+)\}", fill, self.template)


class Query(msgspec.Struct, frozen=True):
    """What an adapter is given: the media and the question; the target only for those that declare they need it."""

    sample_id: str
    media: Media
    prompt: str
    elicitation: Elicitation
    seed: int = 0
    """Differs from sample to sample, fixed by the run's seed."""
    target: Target | None = None


class ObjectMasks(Struct, frozen=True):
    """One object's masks through a clip."""

    object_id: str
    masks: dict[int, RLE]
    """Frame -> mask; frames in which it is not seen are absent."""


class Prediction(Struct, frozen=True):
    """What came back for one sample, raw enough to be scored again under any protocol."""

    text: str = ""
    points: tuple[Point, ...] = ()
    """Points as read in the adapter's own declared grammar."""
    form: str | None = None
    """The grammar's form that matched (`grounding-tokens`, `molmo2-coords`, ...); None where none did."""
    seen_size: tuple[int, int] | None = None
    """Width, height of the image the model's coordinates refer to, where it is not the original."""
    prompt_tokens: int | None = None
    generated_tokens: int | None = None
    seconds: float | None = None
    """Wall time of the batch divided by its samples."""
    error: str | None = None
    masks: tuple[ObjectMasks, ...] | None = None
    """What a segmenter made of the points; None where none was asked."""
    note: str | None = None
    """What is wrong with the media that the model saw all the same: a clip that ends after its video does."""


# --- models --------------------------------------------------------------------------------------


CoordinateSpace = Literal["pixels", "thousandths", "percent", "unit"]
"""What a written coordinate counts: pixels, or 1000, 100 or 1 at the right and the lower edge."""


class Capabilities(Struct, frozen=True):
    media: tuple[Literal["image", "images", "video"], ...] = ("image",)
    grammar: str = "grounding-tokens"
    """How a point is written: `grounding-tokens`, `molmo2-coords`, `none`, ..."""
    coordinates: CoordinateSpace = "pixels"
    force_single_point: bool = False
    needs_target: bool = False
    """True for sanity models that look at the answer."""


@runtime_checkable
class Prepared(Interface):
    """A query made ready on the CPU; adapters add what they need."""

    @property
    def length(self) -> int:
        """Prompt length in tokens: batches are grouped by it."""

    @property
    def nbytes(self) -> int:
        """Host memory it holds."""


@runtime_checkable
class ModelAdapter(Interface):
    """Query in, points out. `prepare` runs on many threads, `generate` on one."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def identity(self) -> dict[str, Any]:
        """What makes the answers: weights, revision, semantics. JSON values; part of the run's identity."""

    def prepare(self, query: Query) -> Prepared:
        """Decode, tile and tokenize. Raises `SampleError` for a sample that cannot be asked."""

    def generate(self, batch: Sequence[Prepared]) -> list[Prediction]:
        """One prediction for each prepared query, in order."""


class Footprint(Struct, frozen=True):
    """Host memory that a prepared query will hold, at most."""

    media: str | None
    """Names its media as they are prepared: queries of the same name share them. None: shared with no other."""
    media_bytes: int
    own_bytes: int
    """Beside the media."""


@runtime_checkable
class MeasuringAdapter(ModelAdapter, Interface):
    """A model that knows what a query will take in host memory before it is prepared."""

    def footprint(self, query: Query) -> Footprint:
        """From headers alone: no pixel is decoded. Runs on many threads, and may raise what `prepare` will raise."""


@runtime_checkable
class StreamingAdapter(ModelAdapter, Interface):
    """A model that takes the next query as soon as it is done with one, and need not wait for a batch."""

    def stream(self, prepared: Iterable[Prepared], at_once: int | None) -> Iterator[tuple[int, Prediction]]:
        """Each query's index (in the order asked, from 0) and prediction, as soon as it is done.

        Queries are taken from `prepared` only when there is room for them. at_once: how many are at work together;
        None: as many as there is room for.
        """


class PointPrompt(Struct, frozen=True):
    """Where a segmenter is told that an object is."""

    object_id: str
    frame: int
    """Zero-based within the clip."""
    x: float
    y: float


@runtime_checkable
class Segmenter(Interface):
    """Points and frames in, masks out."""

    @property
    def name(self) -> str: ...

    def identity(self) -> dict[str, Any]:
        """What makes the masks: weights, settings. JSON values."""

    def segment(self, clip: Clip, prompts: Sequence[PointPrompt]) -> list[ObjectMasks]:
        """Each object's masks in the clip's frames, from its prompts on. Raises `SampleError`."""


# --- benchmarks ----------------------------------------------------------------------------------


class SampleScore(Struct, frozen=True):
    """One sample under one scorer."""

    values: dict[str, float]
    """Metric -> value. A metric that does not apply to the sample is absent."""
    outcome: Literal["hit", "miss", "format"] = "miss"
    """`format`: nothing could be read from the answer."""


class Metric(Struct, frozen=True):
    """One number of a benchmark's summary."""

    name: str
    value: float
    """In 0..1 where the metric is a rate."""
    count: int
    """Samples behind it."""
    interval: tuple[float, float] | None = None
    """95 % interval."""
    slice: str | None = None
    """None: all samples; else `category=counting`."""


@runtime_checkable
class Scorer(Interface):
    """How an answer is read and counted: parse, score, average."""

    @property
    def name(self) -> str: ...

    @property
    def headline(self) -> str:
        """The metric that a table shows."""

    def score(self, target: Target, prediction: Prediction, size: tuple[int, int]) -> SampleScore:
        """Score one stored prediction. size: width, height of the original media."""

    def summarize(
        self, scores: Sequence[SampleScore], slices: Sequence[Mapping[str, str]], clusters: Sequence[str]
    ) -> list[Metric]:
        """Average over samples. clusters: each sample's media hash (queries on one picture are not independent)."""


@runtime_checkable
class GroupScorer(Scorer, Interface):
    """A scorer that scores the answers of a group together, as one prediction (`TrackTarget.group`).

    `score` scores an answer as if it were alone in its group.
    """

    def score_group(self, members: Sequence[tuple[TrackTarget, Prediction, tuple[int, int]]]) -> list[SampleScore]:
        """One score a member, in their order; members are those that the run holds, in the order of their places."""


class ProtocolSpec(Struct, frozen=True):
    """A named pair of elicitation and scorer, with its source."""

    name: str
    elicitation: str
    scorer: str
    source: str
    """Paper section, or repository, file and commit."""
    differs: str = ""
    """What a reader must know: how it departs from the metric's definition."""
    also: tuple[str, ...] = ()
    """Other elicitations that the source uses, for models that it asks otherwise: the first that a model can follow
    is taken."""
    verified: bool = False
    """A fixture from the source proves it."""


class Card(Struct, frozen=True):
    """What is known of a benchmark."""

    name: str
    title: str
    description: str
    source: str
    revision: str
    license: str
    redistribution: bool
    """Whether pictures may be passed on (thumbnails on a site, for instance)."""
    size: int | None
    """Expected number of samples."""
    suites: tuple[str, ...] = ()
    in_average: bool = True
    """Whether the suite's average counts it."""
    media: Literal["image", "images", "video"] = "image"
    citation: str = ""


@runtime_checkable
class Benchmark(Interface):
    @property
    def card(self) -> Card: ...

    @property
    def elicitations(self) -> Mapping[str, Elicitation]: ...

    @property
    def scorers(self) -> Mapping[str, Scorer]: ...

    @property
    def protocols(self) -> Mapping[str, ProtocolSpec]:
        """The first is the default."""

    def samples(self, data_dir: str | None = None) -> Iterable[Sample]:
        """All samples in the published order; media are lazy."""
