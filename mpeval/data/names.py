"""Names of a dataset's files: one spelling to compare them by, and whether one stays where it belongs.

Names in published zips are not all what they should be: without the UTF-8 flag `zipfile` takes them for cp437,
and an accent may be one character (NFC) or two (NFD).
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from pathlib import PurePosixPath

LONGEST_NAME = 240
"""Bytes of a name within a folder: file systems take 255, and suffixes come on top."""


def normal(name: str) -> str:
    """A path's name as it is compared: `/` between its parts, no `.` among them, NFC."""
    return unicodedata.normalize("NFC", str(PurePosixPath(name.replace("\\", "/"))))


def is_inside(name: str) -> bool:
    """Whether a relative path stays below the folder that it is put into, on any system that can have it at all."""
    path = PurePosixPath(normal(name))
    if "\0" in name or any(len(part.encode("utf-8", "replace")) > LONGEST_NAME for part in path.parts):
        return False
    return not path.is_absolute() and ".." not in path.parts and not re.match("[A-Za-z]:", str(path))


def recovered(name: str) -> str:
    """The normalised form of a name; UTF-8 that somebody took for cp437 is read again.

    Programs that unpack a zip, or pack it anew, pass the mistaken name on, now marked as UTF-8.
    """
    with contextlib.suppress(UnicodeError):  # raised where it was no such mistake
        name = name.encode("cp437").decode("utf-8")
    return normal(name)
