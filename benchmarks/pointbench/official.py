"""How PointBench's own script asks and reads families of models other than Molmo (pointarena/pointarena at dcd82f2,
model_evaluator.py). It scores them as it scores Molmo."""

from __future__ import annotations

from collections.abc import Mapping

from mpeval.parsing import pointarena
from mpeval.types import Elicitation, ProtocolSpec

from .scorers import MOLMO_FORMS, PointBenchAccuracy, Reader

BLOCK = " " * 12
"""The blanks are the source's: its prompts are indented blocks."""

_PIXELS = (
    "\n{margin}{query}.\n{margin}The image dimensions are width={width}px, height={height}px.\n"
    "{margin}The answer should follow the json format: {json_form}\n{margin}IMPORTANT: {how_many}"
    "The point{plural} MUST be in [x, y] format where x is the horizontal position (left-to-right) and y is the "
    "vertical position (top-to-bottom) in PIXEL COORDINATES (not normalized).\n{margin}Example: For a point in the "
    f"center of the image, return [width/2, height/2].\n{BLOCK}"
)
_TEXT = f"\n{BLOCK}{{query}}\n{BLOCK}\n{BLOCK}"
_XML = (
    f"\n{BLOCK}{{query}}\n{BLOCK}Output its coordinates in XML format <points x y>object</points>.\n{BLOCK}\n{BLOCK}"
)

ELICITATIONS = {
    each.name: each
    for each in (
        Elicitation("official-openai", _PIXELS, 1024),
        Elicitation("official-gemini", _TEXT, 1024),
        Elicitation("official-qwen", _XML, 200),
    )
}


def wordings(counting: bool) -> dict[str, str]:
    """What differs between prompts in the category `counting` and outside of it."""
    return {
        "margin": BLOCK if counting else BLOCK[4:],
        "json_form": '[{"point": <point>}, ...]. ' if counting else '[{"point": <point>}]. ',
        "how_many": "" if counting else "Return EXACTLY ONE POINT. ",
        "plural": "s" if counting else "",
    }


def _scorer(name: str, read: Reader) -> PointBenchAccuracy:
    return PointBenchAccuracy(name, read, "truncate", first_alone=True, not_read=MOLMO_FORMS)


SCORERS = {
    each.name: each
    for each in (
        _scorer("official-openai", pointarena.openai_points),
        _scorer("official-gemini", pointarena.gemini_points),
        _scorer("official-qwen", pointarena.qwen_points),
    )
}

_NO_LIMIT = "it sets no limit of new tokens, or that of 1024 that stands here; "
_FAMILIES: Mapping[str, tuple[str, str]] = {
    "official-openai": (
        "call_openai, call_claude and call_grok",
        'for models of OpenAI, Anthropic and xAI: reads strict JSON, [{"point": [x, y]}], in pixels of the original '
        f"picture; {_NO_LIMIT}",
    ),
    "official-gemini": (
        "call_gemini",
        'for Gemini: reads JSON, [{"point": [y, x]}], or pairs [y, x], in thousandths, y first; ' + _NO_LIMIT,
    ),
    "official-qwen": (
        "call_qwen",
        "for Qwen2.5-VL: reads <points x1=... y1=...>, x=... y=..., point_2d, pairs in brackets or neighbouring "
        "numbers, in pixels of the original picture; ",
    ),
}


def protocols(mask_differs: str) -> dict[str, ProtocolSpec]:
    """mask_differs: what is to be said of masks."""
    return {
        name: ProtocolSpec(
            name,
            name,
            name,
            f"pointarena/pointarena at dcd82f2, model_evaluator.py, {functions}",
            differs=f"as official, {reads}of a model that writes as Molmo does, the points that its adapter read "
            "count; left out are the system's message and the point that it tells for the category steerable; "
            f"{mask_differs}",
            verified=True,
        )
        for name, (functions, reads) in _FAMILIES.items()
    }
