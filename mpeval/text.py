"""Text of models and datasets, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with control characters escaped: an answer must not steer the terminal that shows it.

    `\\x1b[31m` is printed as these characters; line breaks become `\\n`; letters of all scripts stay.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def shortened(text: str, longest: int) -> str:
    """The text on one line, safe to print, cut to so many characters."""
    shown = printable(" ".join(text[: 4 * longest].split()))
    return shown if len(shown) <= longest else f"{shown[: longest - 4]} ..."


def unicode(text: str) -> str:
    """The text with a question mark for half a surrogate pair, which JSON may spell and UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode()
