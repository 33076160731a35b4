"""A batch must answer as its samples do alone, whatever is beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.engine import decoding
from mpeval.engine.generate import GenerationInput, feed, generate, prefill
from mpeval.engine.model import NO_MORE_POINTS
from mpeval.grounding.constraints import Choice
from mpeval.grounding.semantics import HF, NATIVE

from .tiny_config import image_input, random_model, text_input, video_input

MIXED = [
    image_input(1),
    video_input(2),
    image_input(3, crops=5, text=11),
    text_input(4),
    video_input(5, frames=6),
    image_input(6, crops=3, text=1),
    text_input(7, text=30),
    image_input(8, crops=2, text=20),
]


def pointing_model(semantics=NATIVE, seed=0):
    """Random weights whose PATCH token is made likely, so that every answer holds points."""
    model = random_model(seed=seed, semantics=semantics)
    assert model.lm_head is not None
    with torch.no_grad():
        model.lm_head.new_output_embeddings[264 - 256] += 0.6
    return model


@pytest.mark.parametrize("semantics", [NATIVE, HF], ids=lambda s: s.name)
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_mixed_batch_equals_one_at_a_time(semantics, seed):
    model = pointing_model(semantics, seed)
    together = generate(model, MIXED, 24, stop_ids=[255])
    alone = [generate(model, [sample], 24, stop_ids=[255])[0] for sample in MIXED]
    for i, (batched, single) in enumerate(zip(together, alone, strict=True)):
        assert (batched.ids, batched.choices) == (single.ids, single.choices), f"sample {i}"
        assert batched.error == single.error
    assert sum(len(answer.triples) for answer in together) > 6, "the test must see points"


@pytest.mark.parametrize("semantics", [NATIVE, HF], ids=lambda s: s.name)
@pytest.mark.parametrize("seed", [0, 1, 4])
def test_pointing_heads_are_left_out_only_where_they_decide_nothing(semantics, seed, monkeypatch):
    model = pointing_model(semantics, seed)
    assert model.point_predictor is not None
    heads, run = [0], model.point_predictor.patch_logits

    def counted(*args):
        heads[0] += 1
        return run(*args)

    monkeypatch.setattr(model.point_predictor, "patch_logits", counted)

    def answers():
        heads[0] = 0
        found = [generate(model, [sample], 24, stop_ids=[255])[0] for sample in MIXED]
        return [(each.ids, each.choices, each.error) for each in found], heads[0]

    saving, asked = answers()
    monkeypatch.setattr(decoding, "_has_pointing", lambda ids, tokens: True)
    always, asked_always = answers()
    assert saving == always
    assert 0 < asked < asked_always


@torch.inference_mode()
def test_batched_scores_equal_single_ones():
    """Not only the argmax: the scores themselves, along one and the same forced continuation."""
    model = pointing_model()
    steps = [
        Choice(*(torch.tensor([v]) for v in step)) for step in [(50, -1, -1, -1), (51, -1, -1, -1), (264, 5, -1, -1)]
    ]
    samples = [image_input(1), image_input(3, crops=5, text=11), video_input(5, frames=6)]

    def scores(batch):
        decoding, out = prefill(model, batch, 8), []
        for step in steps:
            wide = Choice(*(getattr(step, f).expand(len(batch)) for f in ("token", "patch", "subpatch", "location")))
            feed(model, decoding, wide, _constraints(model))
            out.append((decoding.scores.tokens, decoding.scores.patch))
        return out

    together, alone = scores(samples), [scores([sample]) for sample in samples]
    for step, (tokens, patch) in enumerate(together):
        for row, sample in enumerate(alone):
            single_tokens, single_patch = sample[step]
            assert torch.allclose(tokens[row], single_tokens[0], atol=1e-5)
            count = single_patch.shape[1] - 1
            assert torch.allclose(patch[row, :count], single_patch[0, :count], atol=1e-5)
            assert torch.allclose(patch[row, -1], single_patch[0, -1], atol=1e-5)


@pytest.mark.parametrize("connector", [{"pooling_attention_mask": False}, {"positional_embeddings": 9}], ids=str)
@torch.inference_mode()
def test_a_wider_window_beside_it_changes_no_image_token(connector):
    """A video's windows are wider than an image's: what fills the image's up is no patch, not even a zero."""
    model = random_model(**connector)
    alone = prefill(model, [image_input(1)], 1).scores.tokens[0]
    beside = prefill(model, [image_input(1), video_input(2)], 1).scores.tokens[0]
    assert torch.allclose(alone, beside, atol=1e-5)


def _constraints(model):
    from mpeval.engine.generate import constraints_for

    return constraints_for(model)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), crops=st.integers(2, 5), bias=st.floats(0.1, 0.6))
def test_every_answer_obeys_the_constraints(seed, crops, bias):
    model = random_model(seed=seed % 7)
    assert model.lm_head is not None
    with torch.no_grad():
        model.lm_head.new_output_embeddings[264 - 256] += bias
    sample = image_input(seed, crops)
    answer = generate(model, [sample], 40, stop_ids=[])[0]
    check_constraints(answer, sample)


def check_constraints(answer, sample):
    ids, choices = answer.ids, answer.choices
    assert ids[0] not in (264, 265, 266)
    pointable = {i for i, token in enumerate(t for t in sample.ids if t in (258, 261)) if token == 258}
    seen, last, over = set(), (-1, -1), False
    for i, token in enumerate(ids):
        if token == 264 and choices[i] == NO_MORE_POINTS:
            assert last != (-1, -1), "native never ends a list before its first point"
            over = True
        elif token == 264:
            assert not over
            if i + 2 < len(ids):
                assert ids[i + 1 : i + 3] == [265, 266]
                patch = (choices[i], choices[i + 1])
                assert choices[i] in pointable and patch not in seen and patch > last
                assert sample.pooling[patch] >= 0
                seen.add(patch)
                last = patch
        elif token in (265, 266):
            assert ids[i - 1] == token - 1


def test_ragged_pooling_is_never_chosen_where_nothing_is():
    """Image tokens at an edge pool fewer patches; the absent ones may not be selected."""
    model = pointing_model()
    sample = image_input(11)
    pooling = sample.pooling.copy()
    pooling[4:, 2:] = -1
    sample = GenerationInput(sample.ids, sample.pixels, pooling)
    for seed in range(4):
        model = pointing_model(seed=seed)
        check_constraints(generate(model, [sample], 40, stop_ids=[])[0], sample)


def test_forced_single_point_points_once():
    model = random_model(seed=5)
    script = [100, 101, 102, 103, 264, 265, 266, 49, 264, 104]
    for answer in generate(model, MIXED[:3], 16, stop_ids=[255], forced_ids=script):
        assert answer.ids[: len(script)] == script[: len(answer.ids)]
        assert len(answer.triples) == 1
        assert answer.choices[8] == NO_MORE_POINTS


def test_stop_ids_end_an_answer_and_are_not_part_of_it():
    model = random_model()
    free = generate(model, [image_input(1)], 20, stop_ids=[])[0]
    stop = free.ids[5]
    cut = generate(model, [image_input(1)], 20, stop_ids=[stop])[0]
    assert cut.ids == free.ids[: free.ids.index(stop)]


def test_without_media_nothing_is_pointed_at():
    answer = generate(pointing_model(), [text_input(1)], 16, stop_ids=[])[0]
    assert answer.triples == [] and not {264, 265, 266} & set(answer.ids)


def test_pixels_decide_the_answer():
    """A guard against a model that ignores its image: other pixels, other scores."""
    model = random_model()
    a, b = image_input(1), image_input(1)
    b = GenerationInput(b.ids, -np.asarray(b.pixels), b.pooling)
    difference = prefill(model, [a], 1).scores.tokens - prefill(model, [b], 1).scores.tokens
    assert difference.abs().max() > 1e-3
