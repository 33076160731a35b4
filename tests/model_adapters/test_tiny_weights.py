"""The shipped miniatures: small, in the released layout, and better than chance by far."""

from __future__ import annotations

import pytest

from mpeval.benchmarks.scenes import generate
from mpeval.media import Media
from mpeval.model_adapters.molmo import TINY_WEIGHTS, molmo2_tiny, molmopoint_tiny
from mpeval.model_adapters.tiny.clip_evaluate import evaluate_clips, heldout_clips
from mpeval.model_adapters.tiny.evaluate import score
from mpeval.registry import ModelEntry, ModelOptions
from mpeval.types import Elicitation, Query

OPTIONS = ModelOptions(device="cpu", dtype="float32")
ENTRIES = [molmopoint_tiny, molmo2_tiny]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_miniature_is_small_and_complete(entry: ModelEntry) -> None:
    folder = TINY_WEIGHTS / entry.name
    files = {file.name: file.stat().st_size for file in folder.iterdir()}
    assert {"config.json", "preprocessor_config.json", "tokenizer.json", "model.safetensors"} <= files.keys()
    assert sum(files.values()) <= 8e6
    assert entry.weight_bytes is not None
    weights = entry.weight_bytes(None, OPTIONS)
    assert weights is not None and 0.99 * files["model.safetensors"] < weights < files["model.safetensors"]


def test_grounding_tokens_find_controls_on_held_out_screens() -> None:
    adapter = molmopoint_tiny.load(None, OPTIONS)
    asked = Elicitation("test", max_new_tokens=48)
    drawn = [generate("screen", seed, "heldout") for seed in range(500, 512)]
    pairs = [(query, Media("image", frames=(scene.image,))) for scene in drawn for query in scene.queries[:3]]
    prepared = [adapter.prepare(Query("", media, query.prompt, asked)) for query, media in pairs]
    answers = adapter.generate(prepared)
    right = [score(query, answer) for (query, _), answer in zip(pairs, answers, strict=True)]
    assert sum(right) / len(right) >= 0.8


def test_grounding_tokens_follow_shapes_through_held_out_clips() -> None:
    found = evaluate_clips(TINY_WEIGHTS / "molmopoint-tiny", heldout_clips(6), labels=1)
    assert found["video_points"] >= 0.75
    assert found["track"] >= 0.7


def test_text_coordinates_are_written_as_molmo2_writes_them() -> None:
    """Right or wrong, its answers keep to the form: a point in coordinates, or that there is none."""
    adapter = molmo2_tiny.load(None, OPTIONS)
    scenes = [generate("screen", seed, "heldout") for seed in range(500, 510)]
    asked = Elicitation("test", max_new_tokens=48)
    prepared = [
        adapter.prepare(Query("", Media("image", frames=(scene.image,)), scene.queries[0].prompt, asked))
        for scene in scenes
    ]
    answers = adapter.generate(prepared)
    assert {answer.form for answer in answers} <= {"molmo2-coords", "none"}
    pointed = [answer for answer in answers if answer.form == "molmo2-coords"]
    assert len(pointed) >= 5
    assert all(len(answer.points) == 1 for answer in pointed)
