"""`mpeval point`: ask a model about one picture or video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mpeval.errors import SampleError, UserError
from mpeval.text import printable

if TYPE_CHECKING:
    from mpeval.media import Media
    from mpeval.types import ModelAdapter, Point, Prediction, Query

_MAX_NEW_TOKENS, _TRACKING_TOKENS = 256, 2048
_VIDEOS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts"}
"""Suffixes of files that are read as videos; all others as pictures."""


@click.command(name="point")
@click.option("--model", required=True, help="A model from `mpeval list models`.")
@click.option("--out", type=click.Path(path_type=Path), help="Picture to write (default: NAME-points.png here).")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, mps.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--tracking", is_flag=True, help="Show the model a video's frames as tracking benchmarks do.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("query")
def command(model: str, out: Path | None, device: str, as_json: bool, tracking: bool, file: Path, query: str) -> int:
    """Ask a model to point at something in FILE, a picture or a video.

    QUERY goes to the model as it stands, "Point to the cups" for instance. Prints each point in pixels, with its time
    in a video, and saves a picture with the points drawn on it; of a video, the frames that it points at.
    """
    from mpeval.registry import ModelOptions, load_model
    from mpeval.types import Elicitation, Query

    media = _media(file)
    if tracking and media.kind != "video":
        raise UserError(f"--tracking is for videos, and {file} is read as a picture: leave it out")
    out = _writable(out or Path(f"{file.stem}-points.png"))
    elicitation = Elicitation("point", max_new_tokens=_MAX_NEW_TOKENS)
    if tracking:
        elicitation = Elicitation("track", max_new_tokens=_TRACKING_TOKENS, sampling="tracking")
    prediction = _ask(load_model(model, ModelOptions(device=device)), model, Query("0", media, query, elicitation))
    if prediction.error:
        click.echo(printable(f"mpeval: {model} gave no answer: {prediction.error}"), err=True)
        return 1
    _save(media, prediction, out, query)
    click.echo(_as_json(prediction, out) if as_json else _as_text(prediction, out))
    return 0


def _media(file: Path) -> Media:
    from mpeval.media import Media

    media = Media.video(file) if file.suffix.lower() in _VIDEOS else Media.image(file)
    try:
        _ = media.clip if media.kind == "video" else media.pixels()
    except SampleError as error:
        raise UserError(f"{error}; give a picture or video file, PNG, JPEG or MP4 for instance") from error
    return media


def _ask(adapter: ModelAdapter, name: str, query: Query) -> Prediction:
    from mpeval.types import Prediction

    kind = query.media.kind
    if adapter.capabilities.needs_target:
        raise UserError(f"model '{name}' answers from the target, and a {kind} alone has none: take another model")
    if kind not in adapter.capabilities.media:
        raise UserError(f"model '{name}' takes {', '.join(adapter.capabilities.media)}, not {kind}: take another model")
    try:
        prepared = adapter.prepare(query)
    except SampleError as error:
        return Prediction(error=str(error))
    return adapter.generate([prepared])[0]


def _writable(out: Path) -> Path:
    """The file to write, checked before a model is loaded for nothing."""
    from PIL import Image

    Image.init()
    if out.suffix.lower() not in Image.EXTENSION:
        raise UserError(f"cannot write a picture to {out}: give --out a name that ends in .png or .jpg")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        existed = out.exists()
        out.open("ab").close()
        if not existed:
            out.unlink()
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
    return out


def _save(media: Media, prediction: Prediction, out: Path, query: str) -> None:
    from mpeval.contact_sheet import contact_sheet
    from mpeval.drawing import draw

    if media.kind == "video":
        picture = contact_sheet(media, prediction.points, caption=query)
    else:
        picture = draw(media.pixels()[0], prediction.points, caption=query)
    try:
        picture.save(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error


def _as_text(prediction: Prediction, out: Path) -> str:
    lines = [f"{number}: {_described(point)}" for number, point in enumerate(prediction.points, 1)]
    if not lines:
        lines = ["no points"]
    if prediction.text:
        lines.append(f"answer: {printable(prediction.text)}")
    return "\n".join([*lines, f"picture: {out.resolve()}"])


def _described(point: Point) -> str:
    parts = [f"x {point.x:.1f}", f"y {point.y:.1f}"]
    if point.time is not None:
        parts.append(f"{point.time:.2f} s")
    if point.time is not None and point.object_id is not None:
        parts.append(f"object {printable(point.object_id)}")
    return ", ".join(parts)


def _as_json(prediction: Prediction, out: Path) -> str:
    import msgspec

    timed = any(point.time is not None for point in prediction.points)
    found = {
        "points": [[point.x, point.y] for point in prediction.points],
        **({"times": [point.time for point in prediction.points]} if timed else {}),
        **({"objects": [point.object_id for point in prediction.points]} if timed else {}),
        "text": prediction.text,
        "picture": str(out.resolve()),
    }
    return msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
