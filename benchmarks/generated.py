"""What the generated demo benchmarks share: held-out scenes, made when samples are first asked for.

Scenes are kept in memory and not on disk: a benchmark takes half a second, and no file can then be stale or
damaged, or written by two processes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from mpeval.types import Card, Elicitation, ProtocolSpec, Sample, Scorer

if TYPE_CHECKING:
    import numpy as np

    from mpeval.media import Media

    from .scenes import SceneQuery
    from .scenes.clips import ClipQuery, ClipScene

MediaKind = Literal["image", "video"]
REVISION = "scenes-1"
"""Raise it whenever `scenes` draws anything differently: runs on other pictures are other runs."""


@dataclass(frozen=True)
class GeneratedBenchmark:
    """A benchmark whose samples are computed."""

    card: Card
    elicitations: Mapping[str, Elicitation]
    scorers: Mapping[str, Scorer]
    protocols: Mapping[str, ProtocolSpec]
    make: Callable[[], list[Sample]]

    def samples(self, data_dir: str | None = None) -> Iterable[Sample]:
        """All samples in the published order. data_dir is not used: nothing is stored."""
        return iter(self._made)

    @cached_property
    def _made(self) -> list[Sample]:
        return self.make()


def demo_card(name: str, title: str, description: str, size: int, media: MediaKind = "image") -> Card:
    """The card of a generated benchmark of the demo suite."""
    return Card(
        name=name,
        title=title,
        description=description,
        source="generated: mpeval.benchmarks.scenes, split heldout",
        revision=REVISION,
        license="Apache-2.0",
        redistribution=True,
        size=size,
        suites=("demo",),
        media=media,
    )


def demo_protocols(source: str, differs: str, verified: bool = False) -> dict[str, ProtocolSpec]:
    """The definition, and the release's program: its source, how it departs, whether fixtures prove it."""
    return {
        "strict": ProtocolSpec("strict", "short", "strict", "this benchmark's own definition"),
        "paper": ProtocolSpec("paper", "short", "paper", source, differs=differs, verified=verified),
    }


def scene_media(image: np.ndarray) -> Media:
    """A picture, uint8 [height, width, 3], as PNG bytes."""
    import io

    from PIL import Image

    from mpeval.media import Media

    stored = io.BytesIO()
    Image.fromarray(image).save(stored, format="PNG", compress_level=1)
    return Media.image(stored.getvalue())


def clip_media(clip: ClipScene) -> Media:
    """A generated clip's frames as they are, without a codec's losses."""
    from mpeval.media import Media

    return Media("video", frames=clip.frames, times=clip.times)


def count_slice(query: SceneQuery | ClipQuery) -> str:
    """How many targets a query has, in the words of a slice: 0, 1, 2, 3+."""
    return str(query.count) if query.count < 3 else "3+"
