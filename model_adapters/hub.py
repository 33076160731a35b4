"""Checkpoints from the Hub: fetched once into the Hub's own cache, resumed where a fetch was interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mpeval.errors import UserError

SETTINGS = ("*.json",)
EVERYTHING = ("*.json", "*.safetensors")


def fetch(
    name: str,
    repository: str,
    revision: str | None,
    patterns: Sequence[str] = EVERYTHING,
    option: str = "--model",
    what: str = "the files",
) -> Path:
    """The folder of a repository's files at one commit, whose hash is the folder's name.

    revision: commit, branch or tag (None: the main branch). What is in the cache is not fetched again, and without a
    network the cache is used. name, option, what: for the message: who needs what, and where a folder is given.

    Raises `UserError` that says what to do where the files cannot be had.
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import OfflineModeIsEnabled

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # the client raises its own, its HTTP library's and OSError
        offline = isinstance(error.__cause__, OfflineModeIsEnabled)
        first_line = (str(error).splitlines() or [type(error).__name__])[0].removeprefix("Got: ")
        raise UserError(
            f"{name} needs {what} of {repository}, which are not whole in {constants.HF_HUB_CACHE} and cannot be "
            f"fetched from the Hub ({'HF_HUB_OFFLINE is set' if offline else first_line}): connect this machine to it, "
            f"or put the files into a folder and write {option} {name}:DIR"
        ) from error


def cached(repository: str, revision: str | None) -> Path | None:
    """The folder of a repository's files where all of them are in the cache; asks nobody."""
    from huggingface_hub import snapshot_download

    try:
        patterns = list(EVERYTHING)
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, local_files_only=True))
    except Exception:  # not there or not whole: all the same to the caller
        return None
