"""SAM 2's weights: where they lie and what they are. Only safetensors and JSON are read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpeval.errors import UserError

if TYPE_CHECKING:
    import torch

REPOSITORY = "facebook/sam2.1-hiera-large"
FILES = ("config.json", "model.safetensors")

_SHARED = "shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding"
"""One tensor under two names, of which a file may hold one only."""


def sam2_folder(folder: str | None, segmenter: str) -> Path:
    """The folder of the weights: the one given, or the Hub's cache, filled where there is a network.

    segmenter: its name on the command line, for the message. Raises `UserError` naming the repository and the folder
    expected.
    """
    from mpeval.model_adapters import hub

    if folder is None:
        found = hub.fetch(segmenter, REPOSITORY, None, FILES, "--segmenter", " and ".join(FILES))
    else:
        found = Path(folder).expanduser()
    missing = [name for name in FILES if not (found / name).is_file()]
    if missing:
        raise UserError(f"{found} lacks {' and '.join(missing)} of {REPOSITORY}: put the published files there")
    return found


@lru_cache(maxsize=4)
def identity_of(folder: Path) -> dict[str, Any]:
    """The hash of the weights and of their configuration."""
    digests = {}
    for name in FILES:
        with (folder / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def published_config(folder: Path) -> Any:
    """`Sam2VideoConfig` of a folder. Raises `UserError`, also without transformers."""
    try:
        from transformers import Sam2VideoConfig
    except ImportError as error:
        raise UserError(f"SAM 2 needs transformers 5 ({_line(error)}): pip install 'mpeval[segment]'") from error
    with readable(folder):
        config = Sam2VideoConfig.from_pretrained(folder, local_files_only=True)
        if config.model_type != "sam2_video":
            raise ValueError(f"{FILES[0]} is of a model of type {config.model_type}")
        return config


def published_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Name -> tensor, as they lie in the file."""
    from safetensors.torch import load_file

    weights = load_file(folder / FILES[1])
    for one, other in (_SHARED, _SHARED[::-1]):
        if one in weights:
            weights.setdefault(other, weights[one])
    return weights


@contextmanager
def readable(folder: Path) -> Iterator[None]:
    """Turn whatever damaged weights raise into one line."""
    try:
        yield
    except Exception as error:  # safetensors, JSON and shapes each raise their own
        raise UserError(f"{folder} holds no readable SAM 2 weights ({_line(error)}): fetch its files again") from error


def _line(error: Exception) -> str:
    """An error's beginning: PyTorch lists every tensor that is missing."""
    line = " ".join(str(error).split()) or type(error).__name__
    return line if len(line) <= 200 else line[:200] + "..."
