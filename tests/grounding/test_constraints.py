"""The constraint machine, rule by rule, on scores written by hand."""

from __future__ import annotations

import torch

from mpeval.engine.config import ModelConfig
from mpeval.engine.model import NO_MORE_POINTS
from mpeval.grounding.constraints import Choice, HfConstraints, NativeConstraints, PointerState, StepScores

from ..engine.tiny_config import released_config

TOKENS = ModelConfig.from_json(released_config()).tokens
PATCH, SUBPATCH, LOCATION = TOKENS.patch, TOKENS.subpatch, TOKENS.location
VOCABULARY, IMAGE_TOKENS, POOL = 384, 5, 4


def start(can_point=True):
    return PointerState.initial(torch.tensor([can_point]), torch.tensor([POOL]))


def step(state, token, value=-1):
    """Feed one token; value: what it selects."""
    parts = {PATCH: "patch", SUBPATCH: "subpatch", LOCATION: "location"}
    fields = dict(token=token, patch=-1, subpatch=-1, location=-1)
    if token in parts:
        fields[parts[token]] = value
    return state.advance(Choice(**{k: torch.tensor([v]) for k, v in fields.items()}), TOKENS)


def point(state, patch, subpatch, location=4):
    return step(step(step(state, PATCH, patch), SUBPATCH, subpatch), LOCATION, location)


def scores(best_token=PATCH, patch=None, subpatch=None, valid=None):
    tokens = torch.zeros(1, VOCABULARY)
    tokens[0, best_token] = 5
    tokens[0, 7] = 4  # the best of text
    return StepScores(
        tokens,
        torch.tensor([patch or [0.0, 1, 2, 3, 4, 0.5]]),
        torch.tensor([subpatch or [3.0, 2, 1, 0]]),
        torch.tensor([valid or [True] * POOL]),
        torch.arange(9.0)[None],
    )


def chosen(constraints, state, values, **forced):
    c = constraints.choose(state, values, **forced)
    return int(c.token), int(c.patch), int(c.subpatch), int(c.location)


native, hf = NativeConstraints(TOKENS), HfConstraints(TOKENS)


def test_the_first_token_is_never_a_point():
    assert chosen(native, start(), scores())[0] == 7
    # hf has no patch scores right after the prefill
    after_prefill = StepScores(scores().tokens)
    assert chosen(hf, start(), after_prefill)[0] == 7


def test_a_triple_is_never_broken():
    state = step(step(start(), 60), PATCH, 2)
    for constraints in (native, hf):
        assert chosen(constraints, state, scores(best_token=9)) == (SUBPATCH, -1, 0, -1)
        assert chosen(constraints, step(state, SUBPATCH, 1), scores(best_token=9)) == (LOCATION, -1, -1, 8)


def test_no_more_points_needs_a_point_first_in_native_only():
    state = step(start(), 60)
    end_first = [0.0, 1, 2, 3, 4, 9]
    assert chosen(native, state, scores(patch=end_first)) == (PATCH, 4, -1, -1)
    assert chosen(hf, state, scores(patch=end_first)) == (PATCH, NO_MORE_POINTS, -1, -1)


def test_image_tokens_never_decrease():
    state = step(point(step(start(), 60), 3, 0), 49)
    back = [9.0, 1, 2, 3, 4, 0.5]
    assert chosen(native, state, scores(patch=back)) == (PATCH, 4, -1, -1)
    # hf takes the argmax first, and a forbidden one means no point at all
    assert chosen(hf, state, scores(patch=back)) == (7, -1, -1, -1)


def test_patches_increase_within_an_image_token():
    state = step(step(point(step(start(), 60), 3, 1), 49), PATCH, 3)
    for constraints in (native, hf):
        assert chosen(constraints, state, scores()) == (SUBPATCH, -1, 2, -1)
    another = step(step(point(step(start(), 60), 3, 1), 49), PATCH, 4)
    for constraints in (native, hf):
        assert chosen(constraints, another, scores()) == (SUBPATCH, -1, 0, -1)


def test_a_used_up_image_token_is_not_chosen_again():
    same = [0.0, 1, 2, 9, 4, 0.5]
    state = step(point(step(start(), 60), 3, POOL - 1), 49)
    assert chosen(native, state, scores(patch=same)) == (PATCH, 4, -1, -1)
    assert chosen(hf, state, scores(patch=same)) == (7, -1, -1, -1)


def test_hf_does_not_see_the_patch_just_taken_and_gets_stuck():
    same = [0.0, 1, 2, 9, 4, 0.5]
    state = point(step(start(), 60), 3, POOL - 1)
    assert chosen(hf, state, scores(patch=same)) == (PATCH, 3, -1, -1)
    assert bool(hf.stuck(step(state, PATCH, 3)))
    assert chosen(native, state, scores(patch=same)) == (PATCH, 4, -1, -1)


def test_a_ragged_image_token_is_used_up_by_its_own_patches():
    same = [0.0, 1, 2, 9, 4, 0.5]
    valid = [True, True, False, False]
    state = step(point(step(start(), 60), 3, 1), 49)
    assert chosen(native, state, scores(patch=same, valid=valid)) == (PATCH, 4, -1, -1)
    open_triple = step(step(start(), 60), PATCH, 3)
    assert chosen(native, open_triple, scores(subpatch=[0.0, 1, 8, 9], valid=valid)) == (SUBPATCH, -1, 1, -1)


def test_nothing_is_pointed_at_after_no_more_points_or_without_media():
    over = step(step(point(step(start(), 60), 3, 1), PATCH, NO_MORE_POINTS), 62)
    nothing = step(start(can_point=False), 60)
    for state in (over, nothing):
        for constraints in (native, hf):
            assert chosen(constraints, state, scores())[0] == 7


def test_forced_tokens_end_the_list_with_no_more_points():
    state = step(start(), 60)
    assert chosen(native, start(), scores(), forced=100)[0] == 100
    assert chosen(native, state, scores(patch=[0.0, 1, 2, 3, 4, 9]), forced=PATCH) == (PATCH, 4, -1, -1)
    after = step(point(state, 2, 0), 49)
    assert chosen(native, after, scores(), forced=PATCH) == (PATCH, NO_MORE_POINTS, -1, -1)


def test_queries_are_rotated_by_the_last_selected_image_token():
    before = step(start(), 60)
    after = step(before, PATCH, 3)
    assert int(native.rotation(before, after)) == 3
    assert int(hf.rotation(before, after)) == -1
    assert int(hf.rotation(after, step(after, SUBPATCH, 0))) == 3
    over = step(after, PATCH, NO_MORE_POINTS)
    assert int(native.rotation(after, over)) == -1
