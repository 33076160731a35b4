"""demo-photos: a dozen photographs and four web pages, to try the harness on real pictures.

The outlines on the photographs were drawn by hand and checked by eye (`photos.json`); those on the pages come from
the pages' own elements (`pages.json`, written by `render_pages`). Licences: LICENSES.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mpeval.scorers import PointAccuracy
from mpeval.types import Card, Elicitation, ProtocolSpec, Sample, Scorer, Target

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class DemoPhotos:
    card: Card
    elicitations: dict[str, Elicitation]
    scorers: dict[str, Scorer]
    protocols: dict[str, ProtocolSpec]

    def samples(self, data_dir: str | None = None) -> Iterable[Sample]:
        """All samples, photographs first. data_dir is not used: the pictures are part of the package."""
        import json

        import msgspec

        from mpeval.media import Media

        for source in ("photos", "pages"):
            for row in json.loads((_HERE / f"{source}.json").read_text(encoding="utf-8")):
                target: Target = msgspec.convert(row["target"], Target)
                yield Sample(
                    id=row["id"],
                    media=Media.image(_HERE / "pictures" / row["picture"]),
                    query=row["query"],
                    target=target,
                    slices={"source": source, "target": row["target"]["type"]},
                )


benchmark = DemoPhotos(
    card=Card(
        name="demo-photos",
        title="Demo: photographs and web pages",
        description="One point on a thing in a real photograph or on a control of a rendered web page, or none.",
        source="shipped: photographs from scikit-image, scikit-learn, scipy and matplotlib; pages of our own",
        revision="photos-1",
        license="public domain, CC0 and CC-BY-2.0, by picture: benchmarks/demo_photos/LICENSES.md",
        redistribution=True,
        size=99,
        suites=("demo",),
        in_average=False,
    ),
    elicitations={"short": Elicitation("short", "point to {query}", max_new_tokens=64)},
    scorers={"strict": PointAccuracy(), "paper": PointAccuracy.paper()},
    protocols={
        "strict": ProtocolSpec("strict", "short", "strict", "this benchmark's own definition"),
        "paper": ProtocolSpec(
            "paper",
            "short",
            "paper",
            "ScreenSpot: allenai/molmo2 at f3cb108, olmo/eval/evaluators.py, ScreenSpotEvaluator",
            differs="guesses the form of points in the text; its own targets are boxes alone",
        ),
    },
)
