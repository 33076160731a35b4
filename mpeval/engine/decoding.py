"""Samples in slots, between two steps of decoding; and one step for all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine import fused
from mpeval.engine.attention import Steps
from mpeval.engine.config import TokenIds
from mpeval.engine.model import NO_MORE_POINTS, VisionLanguageModel
from mpeval.grounding.constraints import (
    TEXT,
    Choice,
    Constraints,
    HfConstraints,
    NativeConstraints,
    PointerState,
    StepScores,
)
from mpeval.grounding.heads import PointerKeys
from mpeval.grounding.memory import PointerMemory

Rows = TypeVar("Rows", Choice, PointerState)

Prefix = tuple[str, tuple[int, ...]]
"""Which media, and the prompt's ids up to their end."""

SPANS = {"cpu": 64}
"""Positions that a step reads are rounded up to a multiple of this; elsewhere `LONG_SPAN`, since a step that was
captured knows one span only."""
LONG_SPAN = 256
GROWTH = 1.25
"""A cache that must grow, because a longer sample came, grows by this at least: the next may be longer still."""


@dataclass(frozen=True)
class GenerationInput:
    """One prompt with its media, ready to be batched."""

    ids: Sequence[int]
    pixels: np.ndarray | Tensor = field(default_factory=lambda: np.zeros((0, 0, 0), dtype=np.float32))
    """Normalised crops, float [crops, patches, 3 * patch_size ** 2]; empty without media."""
    pooling: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    """[image tokens, S]: patches (over the sample's crops, flattened) behind each image token; -1: none."""
    normalize: Callable[[Tensor], Tensor] | None = None
    """Makes the encoder's input of `pixels` that are still uint8: run on the device, and only where they are needed."""
    media: str | None = None
    """Names the pixels: samples of the same name and the same ids up to the media's end share what is computed of
    them. None: shared with no other."""

    def crops(self, device: torch.device) -> Tensor:
        """The encoder's input: float [crops, patches, 3 * patch_size ** 2]."""
        pixels = torch.as_tensor(self.pixels).to(device)
        return pixels if self.normalize is None else self.normalize(pixels)


class Decoding:
    """Samples at work, each in a slot of one cache.

    Tensors stay where they are and are written in place, so that a captured step finds them again.
    """

    def __init__(self, model: VisionLanguageModel, slots: int, capacity: int) -> None:
        """capacity: tokens of a prompt with its answer; grows where a longer sample comes."""
        device, heads = model.device, model.point_predictor
        nothing = torch.zeros(slots, dtype=torch.long, device=device)
        self.model = model
        self.cache = model.new_cache(slots, capacity)
        self.memory = None if heads is None else PointerMemory(heads, slots, model.dtype)
        self.state = apart(PointerState.initial(nothing.bool(), nothing))
        self.rows = torch.arange(slots, device=device)
        self.lengths = nothing.clone()
        """[slots]: tokens in the cache."""
        self.alive = nothing.bool()
        """[slots] bool: a sample is at work there and is not done."""
        self.filled = [0] * slots
        """`lengths` as the host knows them, without asking the device. May be too large, never too small."""
        self.busy = [False] * slots
        """Slots with a sample whose answer was not taken yet, as the host knows."""
        self.prefixes: list[Prefix | None] = [None] * slots
        """Whose media each slot holds; they stay there for others until the slot is taken by other media."""
        self.order = list(range(slots))
        """Slots in the order in which they are taken: those without media, then those whose media lie longest."""
        self.hidden = torch.zeros(slots, model.config.decoder.width, dtype=model.dtype, device=device)
        """[slots, width]: states of the last tokens before the final norm."""
        self.scores = StepScores(torch.zeros(slots, 0, device=device))

    @property
    def slots(self) -> int:
        return len(self.filled)

    @property
    def keys(self) -> PointerKeys | None:
        return None if self.memory is None else self.memory.first(self.slots)

    @property
    def span(self) -> int:
        """Positions that the next step reads: as many as the longest sample takes, rounded up."""
        longest = max(n for n, busy in zip(self.filled, self.busy, strict=True) if busy)
        multiple = SPANS.get(self.lengths.device.type, LONG_SPAN)
        return min(-(-(longest + 1) // multiple) * multiple, self.cache.capacity)

    def fed(self) -> None:
        """The host's account of a step: each sample at work is a token longer."""
        self.filled = [n + busy for n, busy in zip(self.filled, self.busy, strict=True)]

    @property
    def held(self) -> tuple[object, ...]:
        """What a captured step has the addresses of, and what may be replaced by something larger."""
        return (self.cache.keys, None if self.memory is None else self.memory.keys)

    def make_room(self, capacity: int) -> None:
        """Grow the cache where it holds fewer tokens a slot."""
        if capacity > self.cache.capacity:
            self.cache.grow(max(capacity, int(GROWTH * self.cache.capacity)))

    def release(self, slot: int) -> None:
        """A sample's answer was taken: its slot is free, its media stay there for a while."""
        self.busy[slot] = False
        self.order.remove(slot)
        self.order.insert(0 if self.prefixes[slot] is None else len(self.order), slot)

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """Give a slot the media of another: `length` tokens of the cache and what the heads remember."""
        self.cache.copy(source, target, length)
        if self.memory is not None:
            self.memory.copy(source, target)

    def keep(self, slots: Sequence[int]) -> Tensor:
        """Go on with these slots alone (ascending), moved to the front; returns them as an index [slots]."""
        for target, source in enumerate(slots):
            if target != source:
                self.copy_prefix(source, target, self.filled[source])
        index = torch.tensor(slots, device=self.lengths.device)
        self.lengths, self.alive = front(self.lengths, index), front(self.alive, index)
        self.rows, self.state = self.rows[: len(slots)], front_rows(self.state, index)
        self.filled = [self.filled[slot] for slot in slots]
        self.busy = [self.busy[slot] for slot in slots]
        self.prefixes = [self.prefixes[slot] for slot in slots]
        self.order = list(range(len(slots)))
        return index


def constraints_for(model: VisionLanguageModel) -> Constraints | None:
    """The constraint machine of the model's semantics; None for a model without grounding tokens."""
    if model.point_predictor is None:
        return None
    tokens = model.config.tokens
    return NativeConstraints(tokens) if model.semantics.mask_first else HfConstraints(tokens)


def feed(model: VisionLanguageModel, decoding: Decoding, choice: Choice, constraints: Constraints | None) -> None:
    """Run one chosen token a slot through the decoder; `decoding` moves on to the next step's scores.

    Slots without a sample at work are run along: what they write lies behind what they hold, and nobody reads it.
    """
    advance(model, decoding, choice, constraints, decoding.span)
    decoding.fed()


def advance(
    model: VisionLanguageModel,
    decoding: Decoding,
    choice: Choice,
    constraints: Constraints | None,
    span: int,
    look: bool = False,
) -> None:
    """`feed` as the device sees it: no number of it comes from the host but `span`.

    look: leave out what only pointing needs where no sample's token is a pointing one, or none can be next. The answers
    are the same; the host must look at the tokens for it, which costs nothing on a CPU and a wait elsewhere.
    """
    keys, tokens, state = decoding.keys, model.config.tokens, decoding.state
    words = look and not _has_pointing(choice.token, tokens)
    x = _embed_words(model, choice.token) if words else _embed_choice(model, decoding, keys, choice)
    steps = Steps(decoding.cache, decoding.rows, decoding.lengths, span)
    if fused.can_fuse(model.transformer, x):
        hidden = fused.step(model.transformer, x, decoding.lengths, steps)
    else:
        hidden = model.transformer(x[:, None], decoding.lengths[:, None], steps)[:, 0]
    decoding.lengths.add_(decoding.alive)
    scores = StepScores(model.logits(hidden))
    if constraints is not None:
        after = state.after_words() if words else state.advance(choice, tokens)
        if look and (words or not bool((after.phase != TEXT).any())):
            scores.words = _next_words(scores.tokens, tokens)
        if keys is not None and scores.words is None:
            assert model.point_predictor is not None
            heads = model.point_predictor
            scores.patch = heads.patch_logits(hidden, None, keys, constraints.rotation(state, after))
            last = after.patch.clamp(min=0)
            scores.subpatch, scores.subpatch_valid = heads.subpatch_logits(hidden, decoding.rows, keys, last)
            scores.location = heads.location_logits(hidden)
        if after is not state:
            write(state, after)
    decoding.hidden, decoding.scores = hidden, scores


def _next_words(scores: Tensor, tokens: TokenIds) -> Tensor | None:
    """The next tokens [slots] of samples in text, of which none has a pointing token as its best; None if one has.

    Constraints only take tokens away, and put PATCH nowhere else than where it scores, so that a word which is the best
    of all tokens stays the best (of equal scores, the first one in both semantics).
    """
    best = scores.argmax(-1)
    return None if _has_pointing(best, tokens) else best


def _has_pointing(ids: Tensor, tokens: TokenIds) -> bool:
    special = (tokens.patch, tokens.subpatch, tokens.location)
    return any(id in special for id in ids.tolist())


def _embed_words(model: VisionLanguageModel, token: Tensor) -> Tensor:
    """Input embeddings [slots, width] of tokens that do not point; on a CPU."""
    base = model.transformer.wte.embedding
    return F.embedding(token, base) if max(token.tolist()) < len(base) else model.embed(token)


def _embed_choice(model: VisionLanguageModel, decoding: Decoding, keys: PointerKeys | None, choice: Choice) -> Tensor:
    """Input embeddings [slots, width]: PATCH adds its image token's feature, SUBPATCH uses its ViT feature."""
    x = model.embed(choice.token.clamp(min=0))
    if keys is None:
        return x
    tokens, rows = model.config.tokens, decoding.rows
    points = (choice.token == tokens.patch) & (choice.patch != NO_MORE_POINTS)
    image = keys.image_features[rows, choice.patch.masked_fill(~points, 0)]
    x = torch.where(points[:, None], x + image, x)
    refines = choice.token == tokens.subpatch
    pooled = keys.pooling[rows, decoding.state.patch.clamp(min=0), choice.subpatch.clamp(min=0)]
    refined = model.embed_subpatch(x, keys.features[pooled.clamp(min=0)])
    return torch.where(refines[:, None], refined, x)


def take(old: Rows, index: Tensor) -> Rows:
    """Some of the samples."""
    return replace(old, **{name: value[index] for name, value in _tensors(old).items()})


def put(old: Rows, index: Tensor, new: Rows) -> None:
    """Write the samples of `new` to the places `index` of `old`."""
    values = _tensors(new)
    for name, value in _tensors(old).items():
        value.index_copy_(0, index, values[name])


def write(old: Rows, new: Rows) -> None:
    """Write `new` over `old`, in place."""
    held, values = [], []
    for name, value in vars(new).items():
        if not isinstance(value, Tensor):
            setattr(old, name, value)
        elif value is not getattr(old, name):
            held.append(getattr(old, name))
            values.append(value)
    torch._foreach_copy_(held, values)


def apart(rows: Rows) -> Rows:
    """A copy whose fields share no memory."""
    copies: dict[str, Any] = {name: value.clone() for name, value in _tensors(rows).items()}
    return replace(rows, **copies)


def front(table: Tensor, index: Tensor) -> Tensor:
    """Move some of the rows to the front, in place; returns them, where they lie."""
    first = table[: len(index)]
    return first.copy_(table[index])


def front_rows(rows: Rows, index: Tensor) -> Rows:
    """`front` of every field."""
    moved: dict[str, Any] = {name: front(value, index) for name, value in _tensors(rows).items()}
    return replace(rows, **moved)


def _tensors(rows: Choice | PointerState) -> dict[str, Any]:
    return {name: value for name, value in vars(rows).items() if isinstance(value, Tensor)}
