"""What may be generated next while pointing: the constraint machine, for a whole batch at once.

A sample is in one of three phases. In TEXT it may write any token or begin a point with PATCH; PATCH leads to
SUBPATCH, SUBPATCH to LOCATION, LOCATION back to TEXT; a triple is never broken. Image tokens never decrease, patches
within one image token increase, and after no-more-points the answer holds no further point (paper, section
4.2). The two released programs decide differently where a choice is forbidden; both are here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from mpeval.engine.config import TokenIds
from mpeval.engine.model import NO_MORE_POINTS
from mpeval.grounding.heads import LOCATIONS

TEXT, SUBPATCH_NEXT, LOCATION_NEXT = 0, 1, 2
FINISHED = 3
"""Row of `ExtendedIds.barred` for a sample that points no more."""
FORBIDDEN = float("-inf")
HF_SMALL = -100_000.0
"""What hf writes where a token has no score of its own."""


@dataclass
class StepScores:
    """One decoding step's raw scores, before any constraint."""

    tokens: Tensor
    """[batch, vocabulary]."""
    patch: Tensor | None = None
    """[batch, P + 1], no-more-points last; None right after the prefill, when no point can begin."""
    subpatch: Tensor | None = None
    """[batch, S]; meaningful where the last token was PATCH."""
    subpatch_valid: Tensor | None = None
    """[batch, S] bool: patches that the chosen image token really pools."""
    location: Tensor | None = None
    """[batch, 9]; meaningful where the last token was SUBPATCH."""
    words: Tensor | None = None
    """[batch]: the next tokens, where it is known that all samples write text."""


@dataclass
class Choice:
    """One decoded token a sample; `patch`, `subpatch` and `location` are -1 where the token is not theirs."""

    token: Tensor
    patch: Tensor
    subpatch: Tensor
    location: Tensor


@dataclass
class PointerState:
    """Where each sample of a batch stands."""

    phase: Tensor
    patch: Tensor
    """The last selected image token; -1 before the first. Kept after no-more-points: hf still rotates by it."""
    subpatch: Tensor
    """The last selected patch within it; -1 before the first."""
    earlier_patch: Tensor
    """The image token of the last *finished* point: differs from `patch` while a triple is open."""
    earlier_subpatch: Tensor
    """The patch of the point before the last."""
    located: Tensor
    """bool: the last token was LOCATION."""
    finished: Tensor
    """bool: no-more-points was selected, or there is nothing to point at."""
    pool_width: Tensor
    """Patches behind one image token of this sample at most (4 in images, 9 in video)."""
    started: bool = False
    """Whether a token was generated: the first is never a point."""

    @classmethod
    def initial(cls, can_point: Tensor, pool_width: Tensor) -> PointerState:
        """can_point [batch] bool: whether the sample has anything to point at; pool_width [batch]."""
        none = torch.full_like(can_point, -1, dtype=torch.long)
        no = torch.zeros_like(can_point)
        return cls(torch.zeros_like(none), none, none, none, none, no, ~can_point, pool_width)

    def advance(self, choice: Choice, tokens: TokenIds) -> PointerState:
        """The state after `choice` is fed."""
        is_patch, is_subpatch = choice.token == tokens.patch, choice.token == tokens.subpatch
        is_location = choice.token == tokens.location
        begins = is_patch & (choice.patch != NO_MORE_POINTS)
        return PointerState(
            phase=begins * SUBPATCH_NEXT + is_subpatch * LOCATION_NEXT,
            patch=torch.where(begins, choice.patch, self.patch),
            subpatch=torch.where(is_subpatch, choice.subpatch, self.subpatch),
            earlier_patch=torch.where(is_location, self.patch, self.earlier_patch),
            earlier_subpatch=torch.where(is_subpatch, self.subpatch, self.earlier_subpatch),
            located=is_location,
            finished=self.finished | (is_patch & ~begins),
            pool_width=self.pool_width,
            started=True,
        )

    def after_words(self) -> PointerState:
        """`advance` where no sample's token is a pointing one: in place."""
        self.located.zero_()
        self.started = True
        return self


class Constraints(Protocol):
    def choose(self, state: PointerState, scores: StepScores, forced: int | Tensor | None = None) -> Choice:
        """The next token of each sample, and what it points at.

        forced: a token that every sample must write; or one for each [batch], -1 for those that are free.
        """

    def rotation(self, before: PointerState, after: PointerState) -> Tensor:
        """[batch]: the image token whose position rotates the next PATCH query, -1 for none."""


class NativeConstraints:
    """Mask what is forbidden, then take the argmax (allenai/molmo2, olmo/models/molmo_point/molmo_point.py)."""

    def __init__(self, tokens: TokenIds) -> None:
        self.tokens = tokens

    def choose(self, state: PointerState, scores: StepScores, forced: int | Tensor | None = None) -> Choice:
        token = self.token_scores(state, scores, forced).argmax(-1)
        none = torch.full_like(token, -1)
        patch = subpatch = location = none
        if scores.patch is not None:
            assert scores.subpatch is not None and scores.location is not None
            column = self.patch_scores(state, scores, forced_end=_is_forced(forced)).argmax(-1)
            column = column.masked_fill(column == scores.patch.shape[-1] - 1, NO_MORE_POINTS)
            patch = torch.where(token == self.tokens.patch, column, none)
            best = self.subpatch_scores(state, scores).argmax(-1)
            subpatch = torch.where(token == self.tokens.subpatch, best, none)
            location = torch.where(token == self.tokens.location, scores.location.argmax(-1), none)
        return Choice(token, patch, subpatch, location)

    def rotation(self, before: PointerState, after: PointerState) -> Tensor:
        return after.patch.masked_fill(after.finished, -1)

    def token_scores(self, state: PointerState, scores: StepScores, forced: int | Tensor | None = None) -> Tensor:
        """[batch, vocabulary] with forbidden tokens at -inf."""
        t = self.tokens
        out = scores.tokens.clone()
        in_text = state.phase == TEXT
        may_point = in_text & ~state.finished if state.started else torch.zeros_like(in_text)
        out[:, t.patch] = out[:, t.patch].masked_fill(~may_point, FORBIDDEN)
        out[:, t.subpatch] = FORBIDDEN
        out[:, t.location] = FORBIDDEN
        if forced is not None:
            ids = torch.as_tensor(forced, device=out.device).expand(len(out))
            alone = torch.full_like(out, FORBIDDEN).scatter_(1, ids.clamp(min=0)[:, None], 0.0)
            out = torch.where((ids >= 0)[:, None], alone, out)
        out = _only(out, state.phase == SUBPATCH_NEXT, t.subpatch)
        return _only(out, state.phase == LOCATION_NEXT, t.location)

    def patch_scores(self, state: PointerState, scores: StepScores, forced_end: bool | Tensor = False) -> Tensor:
        """[batch, P + 1] with forbidden image tokens at -inf.

        forced_end: in a forced single point, the second PATCH must be no-more-points ([batch] where samples differ).
        """
        assert scores.patch is not None
        columns = torch.arange(scores.patch.shape[-1], device=scores.patch.device)[None]
        used_up = self._used_up(state, scores)
        out = scores.patch.masked_fill(columns < (state.patch + used_up)[:, None], FORBIDDEN)
        first = state.patch < 0
        out[:, -1] = out[:, -1].masked_fill(first, FORBIDDEN)
        return out if forced_end is False else _only(out, ~first & forced_end, out.shape[-1] - 1, keep=True)

    def subpatch_scores(self, state: PointerState, scores: StepScores) -> Tensor:
        """[batch, S]: absent patches, and those up to the last one chosen in the same image token, at -inf."""
        assert scores.subpatch is not None and scores.subpatch_valid is not None
        columns = torch.arange(scores.subpatch.shape[-1], device=scores.subpatch.device)[None]
        again = (state.patch == state.earlier_patch) & (state.phase == SUBPATCH_NEXT)
        taken = again[:, None] & (columns <= state.subpatch[:, None])
        return scores.subpatch.masked_fill(taken | ~scores.subpatch_valid, FORBIDDEN)

    def _used_up(self, state: PointerState, scores: StepScores) -> Tensor:
        """[batch] 0 or 1: no patch is left after the last one in the last image token.

        The release compares with the pooling size, which lets an image token at a ragged edge be chosen twice;
        we count the patches that are there.
        """
        assert scores.subpatch_valid is not None
        last = scores.subpatch_valid.shape[-1] - 1 - scores.subpatch_valid.flip(-1).long().argmax(-1)
        return ((state.patch >= 0) & (state.subpatch >= last)).long()


@dataclass(frozen=True)
class ExtendedIds:
    """What hf's extended ids stand for: the vocabulary, then image tokens with no-more-points, patches, ninths."""

    special: Tensor
    """[vocabulary] bool: PATCH, SUBPATCH and LOCATION, which are written by the ids behind the vocabulary."""
    patch: Tensor
    """[extended]: the image token of an id (no-more-points as the last one), a large number for others."""
    subpatch: Tensor
    """[extended]: the patch, a large number for others."""
    barred: Tensor
    """[4, extended] bool: what may not be chosen in TEXT, SUBPATCH_NEXT and LOCATION_NEXT, and when it is finished."""
    fields: Tensor
    """[extended, 4]: token, patch, subpatch and location of the `Choice` that an id stands for."""

    @classmethod
    def of(cls, vocabulary: int, patches: int, subpatches: int, tokens: TokenIds, device: torch.device) -> ExtendedIds:
        """patches: image tokens with no-more-points."""
        id = torch.arange(vocabulary + patches + subpatches + LOCATIONS, device=device)
        offset = id - vocabulary
        is_point = offset >= 0
        is_patch = is_point & (offset < patches)
        is_subpatch = (offset >= patches) & (offset < patches + subpatches)
        is_location = offset >= patches + subpatches
        other = torch.iinfo(torch.long).max
        patch, subpatch = offset.masked_fill(~is_patch, other), (offset - patches).masked_fill(~is_subpatch, other)
        token = id.masked_fill(is_patch, tokens.patch).masked_fill(is_subpatch, tokens.subpatch)
        token = token.masked_fill(is_location, tokens.location)
        selected = offset.masked_fill(offset == patches - 1, NO_MORE_POINTS).masked_fill(~is_patch, -1)
        refined = (offset - patches).masked_fill(~is_subpatch, -1)
        location = (offset - patches - subpatches).masked_fill(~is_location, -1)
        special = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        special[[tokens.patch, tokens.subpatch, tokens.location]] = True
        fields = torch.stack((token, selected, refined, location), dim=1)
        barred = torch.stack((is_subpatch | is_location, ~is_subpatch, ~is_location, is_point))
        return cls(special, patch, subpatch, barred, fields)


class HfConstraints:
    """One extended vocabulary, the patch's argmax before the masks (olmo/hf_model/modeling_molmo_point.py)."""

    def __init__(self, tokens: TokenIds) -> None:
        self.tokens = tokens
        self._ids: dict[tuple[int, int, int, torch.device], ExtendedIds] = {}

    def choose(self, state: PointerState, scores: StepScores, forced: int | Tensor | None = None) -> Choice:
        if forced is not None:
            raise ValueError("hf semantics has no forced decoding: the released program has none")
        sizes = self._sizes(scores)
        if scores.patch is None:  # no sample can point next: what else the ids stand for is barred
            token = scores.tokens.masked_fill(self._extended(scores.tokens, sizes).special, HF_SMALL).argmax(-1)
            none = torch.full_like(token, -1)
            return Choice(token, none, none, none)
        chosen = self.process(state, self.extend(scores, sizes), sizes).argmax(-1)
        return Choice(*self._extended(scores.tokens, sizes).fields[chosen].unbind(-1))

    def rotation(self, before: PointerState, after: PointerState) -> Tensor:
        # hf rotates by the image token selected before the token that is fed
        return before.patch

    def extend(self, scores: StepScores, sizes: tuple[int, int]) -> Tensor:
        """[batch, vocabulary + (P + 1) + S + 9]: PATCH's score sits on the best image token, all else on its own."""
        patch_score = scores.tokens[:, self.tokens.patch]
        tokens = scores.tokens.masked_fill(self._extended(scores.tokens, sizes).special, HF_SMALL)
        batch = len(tokens)
        patch = tokens.new_full((batch, sizes[0]), HF_SMALL)
        if scores.patch is not None:
            patch = patch.scatter(1, scores.patch.argmax(-1, keepdim=True), patch_score[:, None])
        subpatch = tokens.new_full((batch, sizes[1]), HF_SMALL)
        if scores.subpatch is not None and scores.subpatch_valid is not None:
            subpatch = scores.subpatch.masked_fill(~scores.subpatch_valid, HF_SMALL)
        location = tokens.new_full((batch, LOCATIONS), HF_SMALL) if scores.location is None else scores.location
        return torch.cat((tokens, patch, subpatch, location), dim=-1)

    def process(self, state: PointerState, extended: Tensor, sizes: tuple[int, int]) -> Tensor:
        """`extended` with what hf's logit processor forbids at -inf."""
        ids = self._extended(extended[:, : extended.shape[-1] - sum(sizes) - LOCATIONS], sizes)

        # In text: no earlier image token, nor the last one where its last patch is taken. Right after
        # LOCATION the processor does not yet see the patch just taken.
        seen = torch.where(state.located, state.earlier_subpatch, state.subpatch)
        bound = state.patch + ((state.patch >= 0) & (seen == state.pool_width - 1))
        taken = state.subpatch.masked_fill(state.patch != state.earlier_patch, -1)
        phase = state.phase.masked_fill(state.finished, FINISHED)
        # Where a phase bars all image tokens or all patches anyway, their bounds bar nothing more.
        forbidden = ids.barred[phase] | (ids.patch < bound[:, None]) | (ids.subpatch <= taken[:, None])
        return extended.masked_fill(forbidden, FORBIDDEN)

    def stuck(self, state: PointerState) -> Tensor:
        """[batch] bool: an image token was chosen again whose last patch is taken; the released program dies here."""
        again = (state.phase == SUBPATCH_NEXT) & (state.patch == state.earlier_patch)
        return again & (state.subpatch == state.pool_width - 1)

    def _extended(self, tokens: Tensor, sizes: tuple[int, int]) -> ExtendedIds:
        """tokens [batch, vocabulary]. Made once for each size, and kept: a step is short."""
        key = (tokens.shape[-1], *sizes, tokens.device)
        if key not in self._ids:
            self._ids[key] = ExtendedIds.of(*key[:3], self.tokens, tokens.device)
        return self._ids[key]

    def _sizes(self, scores: StepScores) -> tuple[int, int]:
        patch = 0 if scores.patch is None else scores.patch.shape[-1]
        return patch, 0 if scores.subpatch is None else scores.subpatch.shape[-1]


def _is_forced(forced: int | Tensor | None) -> bool | Tensor:
    return forced >= 0 if isinstance(forced, Tensor) else forced is not None


def _only(scores: Tensor, rows: Tensor, column: int, keep: bool = False) -> Tensor:
    """Leave `column` alone in the chosen rows: everything else becomes -inf. keep: with its own score, else 0."""
    alone = torch.full_like(scores, FORBIDDEN)
    alone[:, column] = scores[:, column] if keep else 0.0
    return torch.where(rows[:, None], alone, scores)
