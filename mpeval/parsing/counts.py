"""What an answer says in words: how many there are, or that there are none."""

from __future__ import annotations

import re

_TAG = re.compile(r"<[^<>]*>")
_INTEGER = r"(\d{1,3}(?:,\d{3}){1,2}|\d{1,9})"
_END = r"\b(?![.,]\d)"
"""Of an integer: the 2 of 2.5 is none."""
_STATED = tuple(
    re.compile(rf"{before} {_INTEGER}{_END}", re.ASCII | re.IGNORECASE)
    for before in (r"\btotal of", r"\btotal number\b[^.]{0,200}? is:?", r"\bthere (?:is|are)")
)


def states_none(text: str) -> bool:
    """Whether the answer says that there is nothing: "There are none.", "none"."""
    words = _TAG.sub(" ", text)
    return bool(re.search(r"\bthere (?:is|are) none\b", words, re.IGNORECASE)) or _bare(words).lower() == "none"


def stated_count(text: str) -> int | None:
    """The number of things that the answer states in words, 0 for "There are none."; None where it states
    none.

    A bare integer (1,234 too), else "a total of N", "the total number of ... is N" or "There are N" (the last such
    statement of the first of these forms found), outside the tags that hold points.
    """
    words = _TAG.sub(" ", text)
    if bare := re.fullmatch(_INTEGER, _bare(words), re.ASCII):
        return int(bare[1].replace(",", ""))
    for pattern in _STATED:
        if found := pattern.findall(words):
            return int(found[-1].replace(",", ""))
    return 0 if states_none(text) else None


def _bare(words: str) -> str:
    return words.strip().rstrip(".").strip()
