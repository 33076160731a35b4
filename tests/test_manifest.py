"""The manifest: names and identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpeval.manifest import difference, identity_hash, run_folder, run_identity
from mpeval.types import Capabilities, Card, Elicitation

PLAIN = Elicitation("plain")


class Model:
    name = "m/odel:1"
    capabilities = Capabilities()

    def __init__(self, weights: str = "abc") -> None:
        self.weights = weights

    def identity(self) -> dict[str, Any]:
        return {"weights": self.weights}

    def prepare(self, query: Any) -> Any: ...

    def generate(self, batch: Any) -> Any: ...


def identity(
    weights: str = "abc", revision: str = "r1", elicitation: Elicitation = PLAIN, seed: int = 0
) -> dict[str, Any]:
    card = Card("bench", "Bench", "", "", revision, "", True, None)
    return run_identity(Model(weights), card, elicitation, seed)


def test_the_folder_is_readable_and_the_identity_s_own() -> None:
    folder = run_folder(Path("out"), identity())
    assert folder.parent == Path("out/m-odel-1/bench")
    assert folder.name == f"plain-{identity_hash(identity())[:8]}"


def test_all_that_decides_the_answers_is_identity() -> None:
    others = [
        identity(weights="abd"),
        identity(revision="r2"),
        identity(seed=1),
        identity(elicitation=Elicitation("plain", max_crops=3)),
        identity(elicitation=Elicitation("plain", "Where is {query}?")),
    ]
    assert len({identity_hash(each) for each in [identity(), *others]}) == 6
    assert identity_hash(identity()) == identity_hash(identity())


def test_a_field_at_its_default_changes_no_identity() -> None:
    assert identity(elicitation=Elicitation("plain", max_crops=None)) == identity()
    assert "max_crops" not in identity()["elicitation"]


def test_the_first_difference_in_words() -> None:
    assert difference(identity(), identity()) == ""
    assert difference(identity(), identity(weights="x")) == "model.weights: abc there, x here"
    crops = identity(elicitation=Elicitation("plain", max_crops=3))
    assert difference(crops, identity()) == "elicitation.max_crops: 3 there, None here"
