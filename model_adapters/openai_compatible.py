"""Any model behind an OpenAI-compatible server: a commercial API, vLLM, SGLang, llama.cpp, Ollama.

`--model api:FILE.toml`; the file says where the server is, how the model is told to write points and how these are
read. docs/api-models.md explains every key and has examples.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from mpeval.errors import SampleError, UserError
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Capabilities, Prediction, Query

if TYPE_CHECKING:
    import numpy as np

    from mpeval.parsing.molmo2 import MediaKind

    from .openai_compatible_settings import Settings

Size = tuple[int, int]
JPEG_QUALITY = 95


@dataclass(frozen=True)
class PreparedQuery:
    """A query as one user message."""

    content: tuple[dict[str, Any], ...]
    sizes: tuple[Size, ...]
    """Width, height of each picture as the dataset has it."""
    seen_size: Size | None
    """Width, height of the picture that the model's coordinates refer to, where it is not the original."""
    kind: MediaKind
    max_new_tokens: int
    nbytes: int
    length: int = 0
    """Requests are not padded: any may share a batch."""


class ApiModel:
    """A `ModelAdapter` over a server. A batch is sent with `concurrency` requests at a time."""

    def __init__(self, settings: Settings) -> None:
        from .openai_compatible_requests import Client

        self.name = settings.name or settings.model
        self.settings = settings
        self.device, self.dtype = "server", "unknown"
        self.capabilities = Capabilities(("image", "images"), settings.grammar, settings.coordinates)
        self._client = Client(settings)
        self._ended: UserError | None = None
        """Why no further request makes sense."""

    def identity(self) -> dict[str, Any]:
        return self.settings.identity()

    def prepare(self, query: Query) -> PreparedQuery:
        """Raises `SampleError` for a picture that cannot be decoded."""
        pictures = query.media.pixels()
        sizes = tuple((picture.shape[1], picture.shape[0]) for picture in pictures)
        sent = [sent_size(size, self.settings) for size in sizes]
        urls = [data_url(*each, self.settings.image_format) for each in zip(pictures, sent, strict=True)]
        resized = sent[0] != sizes[0] and self.settings.coordinates_of == "sent"
        width, height = seen = sent[0] if resized else sizes[0]
        suffix = self.settings.prompt_suffix.replace("{width}", str(width)).replace("{height}", str(height))
        text = f"{query.prompt}\n{suffix}" if suffix else query.prompt
        images = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        return PreparedQuery(
            content=(*images, {"type": "text", "text": text}),
            sizes=sizes,
            seen_size=seen if resized else None,
            kind=query.media.kind,
            max_new_tokens=query.elicitation.max_new_tokens,
            nbytes=sum(map(len, urls)) + len(text),
        )

    def generate(self, batch: Sequence[Any]) -> list[Prediction]:
        """One prediction for each `PreparedQuery`, in order; a sample that failed has its error.

        Raises `UserError` where no sample can be answered. Answers of the same batch are kept first: they are paid
        for, and the error is raised with the next batch.
        """
        if self._ended:
            raise self._ended
        predictions = [Prediction(error="not answered")] * len(batch)
        left = iter(range(len(batch)))

        def work() -> None:
            for index in left:
                predictions[index] = self._answer(batch[index])

        # Daemons, unlike those of an executor: Ctrl-C does not wait for what a server is still thinking about.
        threads = [Thread(target=work, daemon=True) for _ in range(min(self.settings.concurrency, len(batch)))]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:
            self._client.close()
            raise
        if self._ended and all(prediction.error is not None for prediction in predictions):
            raise self._ended
        return predictions

    def summary(self) -> str:
        """One line on what was asked and what it cost; empty where nothing was answered."""
        client, settings = self._client, self.settings
        if not client.answered and not client.retried:
            return ""
        line = (
            f"{self.name}: {client.answered} requests answered, {client.retried} sent again; "
            f"{client.prompt_tokens:,} tokens in, {client.generated_tokens:,} out"
        )
        if settings.input_price is not None and settings.output_price is not None:
            cost = client.prompt_tokens * settings.input_price + client.generated_tokens * settings.output_price
            line += f", ${cost / 1e6:.4f}"
        return f"{line}; {self._ended}" if self._ended else line

    def _answer(self, asked: PreparedQuery) -> Prediction:
        from mpeval.parsing.grammars import read

        if self._ended:
            return Prediction(error=f"not asked: {self._ended}")
        try:
            answer = self._client.ask(asked.content, asked.max_new_tokens)
        except SampleError as error:
            return Prediction(error=str(error))
        except UserError as error:
            self._ended = error
            return Prediction(error=str(error))
        settings = self.settings
        form, points = read(
            answer.text, settings.grammar, settings.coordinates, asked.sizes, asked.kind, asked.seen_size
        )
        return Prediction(
            text=answer.text,
            points=tuple(points),
            form=form,
            seen_size=asked.seen_size,
            prompt_tokens=answer.prompt_tokens,
            generated_tokens=answer.generated_tokens,
        )


def sent_size(size: Size, settings: Settings) -> Size:
    """Width, height in which a picture is sent: no side above the limit, both multiples of what is asked."""
    longest, multiple, limit = max(size), settings.image_side_multiple, settings.max_image_side
    scale = min(1.0, (limit or longest) / longest)
    steps = [round(side * scale / multiple) for side in size]
    if limit:
        steps = [min(each, limit // multiple) for each in steps]  # rounded up, a side could be above the limit
    width, height = (max(1, each) * multiple for each in steps)
    return width, height


def data_url(picture: np.ndarray, size: Size, image_format: str) -> str:
    """A picture, uint8 [height, width, 3], resized to width, height and written into a URL."""
    from PIL import Image

    image = Image.fromarray(picture)
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    stored = io.BytesIO()
    image.save(stored, format=image_format, quality=JPEG_QUALITY)
    return f"data:image/{image_format};base64,{base64.b64encode(stored.getvalue()).decode()}"


def _load(argument: str | None, options: ModelOptions) -> ApiModel:
    from .openai_compatible_settings import read_settings

    path = Path(argument or "")
    settings = read_settings(path)
    try:
        return ApiModel(settings)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


entry = ModelEntry(
    "api",
    "Any model behind an OpenAI-compatible server, described by a TOML file",
    load=_load,
    argument="FILE.toml",
)
