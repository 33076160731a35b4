"""SHA-256 of files, computed once for all questions on them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpeval.errors import SampleError
from mpeval.once import Once

KEEP_BYTES = 8 << 20
"""For what is known: some 50,000 files."""
CHUNK = 1 << 20
SETTLED = 2_000_000_000
"""Nanoseconds after its last change from which on a file's times tell whether it was changed again."""


@dataclass(frozen=True, eq=False)
class _Known:
    sha256: str
    nbytes: int


_KNOWN: Once[_Known] = Once(KEEP_BYTES)


def sha256_of(files: Sequence[Path]) -> str:
    """Of the files' bytes one after the other, 64 hexadecimal digits. A file that was changed since is read again.

    On many threads: those that want the same wait for the one that reads. Raises `SampleError` for a file that cannot
    be read.
    """
    key, changed = "", 0
    for file in files:
        try:
            found = file.stat()
        except OSError as error:
            raise _unreadable(file, error) from error
        key += f"{found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {file}\n"
        changed = max(changed, found.st_mtime_ns, found.st_ctime_ns)
    if time.time_ns() - changed < SETTLED:
        return _read(files)
    return _KNOWN.get(key, lambda: _Known(_read(files), len(key) + 100)).sha256


def _read(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        try:
            with file.open("rb") as stream:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise _unreadable(file, error) from error
    return digest.hexdigest()


def _unreadable(file: Path, error: OSError) -> SampleError:
    return SampleError(f"cannot read {file}: {error.strerror or error}")
