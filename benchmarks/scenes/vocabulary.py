"""Every word and symbol that a scene's texts can contain, and the names of the things drawn."""

from __future__ import annotations

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 40, 40),
    "orange": (246, 140, 20),
    "yellow": (242, 220, 40),
    "green": (40, 165, 60),
    "cyan": (50, 205, 220),
    "blue": (40, 80, 225),
    "purple": (135, 45, 180),
    "pink": (248, 135, 195),
}
SHAPES = {
    "circle": "circles",
    "square": "squares",
    "triangle": "triangles",
    "star": "stars",
    "cross": "crosses",
    "diamond": "diamonds",
}
"""Singular -> plural. Labels are plural whatever the count, so that a label tells nothing of it."""
SIZES = ("small", "large")
RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
"""Words -> direction (x, y) from the reference."""
ROWS = ("top", "middle", "bottom")
COLUMNS = ("left", "center", "right")

ICONS = ("plus", "minus", "close", "check", "left", "right", "up", "down", "heart", "star", "pause", "bars")
BUTTON_WORDS = ("ok", "no", "save", "open", "help", "send", "copy", "edit", "home", "quit")
ORDINALS = ("first", "second", "third", "fourth")
VERBS: dict[str, tuple[str, ...]] = {
    "icon": ("click", "press"),
    "word": ("click", "press"),
    "dot": ("click", "pick"),
    "toggle": ("click", "switch"),
    "slider": ("click", "drag"),
    "play": ("click", "press"),
    "box": ("click", "check"),
    "tab": ("click", "open"),
}
"""Family of controls -> the verbs an instruction can start with."""
NOUNS = {
    "icon": "button",
    "word": "button",
    "dot": "dot",
    "toggle": "toggle",
    "slider": "slider",
    "play": "play button",
    "box": "box",
    "tab": "tab",
}
"""Family of controls -> what an instruction calls one."""


def _vocabulary() -> list[str]:
    texts = [*COLOURS, *SHAPES, *SHAPES.values(), *SIZES, *RELATIONS, *ROWS, *COLUMNS]
    texts += [*ICONS, *BUTTON_WORDS, *ORDINALS, *NOUNS.values()]
    texts += [verb for verbs in VERBS.values() for verb in verbs]
    texts += ["point to", "how many", "shapes", "the", ","]
    return sorted({word for text in texts for word in text.split()})


VOCABULARY = _vocabulary()
"""Sorted; a text splits into these at spaces."""
