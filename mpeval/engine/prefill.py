"""Prompts into slots: media through the encoder, and whatever another slot holds already is not computed again.

Media stand before the question, and nothing of them looks ahead at it: the cache of a prompt up to its last media token
is the same for every question on these media. So only the first question runs the encoder and the decoder over
them; others copy its slot up to there and run their own text alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from mpeval.engine.attention import Layout, Prompts, Questions
from mpeval.engine.batch import MediaInputs, join_media, right_pad
from mpeval.engine.decoding import Decoding, GenerationInput, Prefix, put
from mpeval.engine.model import VisionLanguageModel
from mpeval.engine.prompt import is_media
from mpeval.grounding.constraints import PointerState, StepScores

CROPS_AT_ONCE = 32
"""Crops of all new samples that go through the encoder together."""
TOKENS_TOGETHER = 16_384
"""Prompt tokens, and padding between questions, that are prefilled together; a longer prompt goes alone."""


@torch.inference_mode()
def prefill(model: VisionLanguageModel, batch: Sequence[GenerationInput], max_new_tokens: int) -> Decoding:
    """All samples of a batch in a slot each; leaves the scores of the first generated token."""
    capacity = max(len(sample.ids) for sample in batch) + max_new_tokens
    decoding = Decoding(model, len(batch), capacity)
    places = choose_slots(decoding, batch)
    hidden = admit(decoding, places, batch, max_new_tokens)
    decoding.hidden = hidden[torch.tensor(places, device=model.device).argsort()]
    decoding.scores = StepScores(model.logits(decoding.hidden))
    return decoding


def prefix_of(sample: GenerationInput, model: VisionLanguageModel) -> Prefix | None:
    """What a sample shares with others on the same media: None without a name for them."""
    if sample.media is None:
        return None
    media = is_media(sample.ids, model.config.tokens).nonzero()[0]
    end = int(media[-1]) + 1 if len(media) else 0
    # the question must hold a token: the answer begins behind it
    return (sample.media, tuple(sample.ids[:end])) if 0 < end < len(sample.ids) else None


def choose_slots(decoding: Decoding, samples: Sequence[GenerationInput]) -> list[int]:
    """A free slot for each sample: where its media are already, else one whose media were left longest ago."""
    free = [slot for slot in decoding.order if not decoding.busy[slot]]
    chosen: dict[int, int] = {}
    prefixes = [prefix_of(sample, decoding.model) for sample in samples]
    for index, prefix in enumerate(prefixes):
        held = next((slot for slot in free if prefix is not None and decoding.prefixes[slot] == prefix), None)
        if held is not None:
            chosen[index] = held
            free.remove(held)
    for index in range(len(samples)):
        if index not in chosen:
            chosen[index] = free.pop(0)
    return [chosen[index] for index in range(len(samples))]


def admit(
    decoding: Decoding, places: Sequence[int], samples: Sequence[GenerationInput], max_new_tokens: int
) -> Tensor:
    """Prefill samples into free slots (`choose_slots`); returns the states [samples, width] of their last tokens."""
    model = decoding.model
    decoding.make_room(max(len(sample.ids) for sample in samples) + max_new_tokens)
    prefixes = [prefix_of(sample, model) for sample in samples]
    whole, questions = _split(decoding, places, prefixes)
    hidden = torch.zeros(len(samples), model.config.decoder.width, dtype=model.dtype, device=model.device)
    layouts = {index: Layout.of(is_media(samples[index].ids, model.config.tokens)) for index in whole}
    # those of one layout attend together
    whole.sort(key=lambda index: (layouts[index].length, layouts[index].end), reverse=True)
    for part in _parts(whole, [len(sample.ids) for sample in samples], padded=False):
        hidden[part] = _prefill_whole(
            decoding, [places[i] for i in part], [samples[i] for i in part], [layouts[i] for i in part]
        )
    for index in whole:
        decoding.prefixes[places[index]] = prefixes[index]
    starts = {index: len((prefixes[index] or ("", ()))[1]) for index in questions}
    for index in questions:
        prefix = prefixes[index]
        source = decoding.prefixes.index(prefix)
        if decoding.prefixes[places[index]] != prefix:
            decoding.copy_prefix(source, places[index], starts[index])
            decoding.prefixes[places[index]] = prefix
    own = {index: len(samples[index].ids) - starts[index] for index in questions}
    for part in _parts(questions, own, padded=True):
        hidden[part] = _prefill_questions(
            decoding, [places[i] for i in part], [samples[i].ids[starts[i] :] for i in part], [starts[i] for i in part]
        )
    _begin(decoding, places, samples)
    return hidden


def _split(
    decoding: Decoding, places: Sequence[int], prefixes: Sequence[Prefix | None]
) -> tuple[list[int], list[int]]:
    """Which samples are prefilled whole, and which find their media in a slot, or in one of the former."""
    taken = set(places)
    held = {
        prefix
        for slot, prefix in enumerate(decoding.prefixes)
        # a slot that is given to a sample with other media will not hold these any more
        if prefix is not None and (slot not in taken or prefixes[places.index(slot)] == prefix)
    }
    whole, questions = list[int](), list[int]()
    for index, prefix in enumerate(prefixes):
        if prefix is not None and prefix in held:
            questions.append(index)
        else:
            whole.append(index)
            held.add(prefix) if prefix is not None else None
    return whole, questions


def _parts(
    indices: Sequence[int], lengths: Sequence[int] | dict[int, int], padded: bool
) -> Iterator[list[int]]:
    """Cut into parts that hold `TOKENS_TOGETHER` at most, when padded to their longest or as they are."""
    part: list[int] = []
    for index in indices:
        tokens = [lengths[each] for each in (*part, index)]
        if part and (max(tokens) * len(tokens) if padded else sum(tokens)) > TOKENS_TOGETHER:
            yield part
            part = []
        part.append(index)
    if part:
        yield part


def _prefill_whole(
    decoding: Decoding, places: list[int], samples: list[GenerationInput], layouts: list[Layout]
) -> Tensor:
    """Run prompts one behind the other, without padding."""
    model = decoding.model
    ids = torch.tensor([id for sample in samples for id in sample.ids], device=model.device)[None]
    media = _media(model, samples)
    features = None if media is None else model.encode(media, CROPS_AT_ONCE)
    prompts = Prompts(decoding.cache, places, layouts)
    hidden = model.transformer(model.embed(ids, features), prompts.positions[None], prompts)
    if decoding.memory is not None:
        keys = None if features is None else model.pointer_keys(ids, hidden, features)
        start = 0
        for row, (slot, sample) in enumerate(zip(places, samples, strict=True)):
            end = start + len(sample.pixels) * _patches_per_crop(model)
            if keys is None or start == end:
                decoding.memory.forget(slot)
            else:
                decoding.memory.put(slot, keys, row, len(sample.pooling), slice(start, end))
            start = end
    lengths = torch.tensor([len(sample.ids) for sample in samples], device=model.device)
    return hidden[0, lengths.cumsum(0) - 1]


def _prefill_questions(decoding: Decoding, places: list[int], texts: list[Sequence[int]], starts: list[int]) -> Tensor:
    """Run prompts' last tokens, whose media the slots hold already; they hold no media themselves."""
    model, device = decoding.model, decoding.model.device
    ids, real = (t.to(device) for t in right_pad(texts))
    n = ids.shape[1]
    begin = torch.tensor(starts, device=device)
    questions = Questions(decoding.cache, torch.tensor(places, device=device), begin, n, max(starts) + n)
    hidden = model.transformer(model.embed(ids), questions.positions, questions)
    return hidden[torch.arange(len(ids), device=device), real.sum(-1) - 1]


def _begin(decoding: Decoding, places: Sequence[int], samples: Sequence[GenerationInput]) -> None:
    """Note that these slots have a sample at work, which has said nothing yet."""
    device = decoding.model.device
    index = torch.tensor(places, device=device)
    can_point = torch.tensor([len(sample.pooling) > 0 for sample in samples], device=device)
    widths = torch.tensor([sample.pooling.shape[-1] for sample in samples], device=device)
    put(decoding.state, index, PointerState.initial(can_point, widths))
    lengths = torch.tensor([len(sample.ids) for sample in samples], device=device)
    decoding.lengths.index_copy_(0, index, lengths)
    decoding.alive.index_fill_(0, index, True)
    for slot, sample in zip(places, samples, strict=True):
        decoding.filled[slot], decoding.busy[slot] = len(sample.ids), True


def _media(model: VisionLanguageModel, samples: Sequence[GenerationInput]) -> MediaInputs | None:
    media = join_media([s.crops(model.device) for s in samples], [s.pooling for s in samples], _patches_per_crop(model))
    return None if media is None else media.to(model.device, model.dtype)


def _patches_per_crop(model: VisionLanguageModel) -> int:
    rows, columns = model.config.vision.patch_grid
    return rows * columns
