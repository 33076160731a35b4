"""Continuous batching: whatever comes and goes beside a sample, it answers as it does alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from mpeval.engine import attention, decoder
from mpeval.engine import prefill as prefill_module
from mpeval.engine.generate import Generation, GenerationInput, Rules, feed, generate, generate_stream, prefill
from mpeval.engine.memory import bytes_a_slot, slots_that_fit
from mpeval.engine.model import VisionLanguageModel
from mpeval.grounding.constraints import Choice
from mpeval.grounding.semantics import HF, NATIVE

from .test_generate import pointing_model
from .tiny_config import image_input, random_model, text_input, video_input


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads wait for each other at matrices this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def two_images(seed: int) -> GenerationInput:
    """Two pictures in one prompt."""
    first, second = image_input(seed, 2), image_input(seed + 1, 3)
    pooling = np.concatenate([first.pooling, second.pooling + 16 * len(first.pixels)])
    return GenerationInput([*first.ids, *second.ids[1:]], np.concatenate([first.pixels, second.pixels]), pooling)


def mixed(count: int) -> list[GenerationInput]:
    rng = np.random.default_rng(0)
    makers = [
        lambda seed: image_input(seed, crops=int(rng.integers(2, 6)), text=int(rng.integers(1, 20))),
        lambda seed: video_input(seed, frames=int(rng.integers(2, 7)), text=int(rng.integers(1, 20))),
        lambda seed: text_input(seed, text=int(rng.integers(1, 40))),
        two_images,
    ]
    return [makers[int(rng.integers(len(makers)))](seed) for seed in range(count)]


def streamed(model: VisionLanguageModel, samples: Sequence[GenerationInput], slots: int, how: Rules):
    found = dict(generate_stream(model, iter(samples), slots, how))
    assert sorted(found) == list(range(len(samples)))
    return [found[index] for index in range(len(samples))]


def alone(model: VisionLanguageModel, samples: Sequence[GenerationInput], how: Rules) -> list[Generation]:
    return [generate(model, [each], how.max_new_tokens, how.stop_ids, how.forced_ids)[0] for each in samples]


def varied_ends(answers: Sequence[Generation]) -> list[int]:
    """Stop ids that cut some of these answers short, some late and some never."""
    texts = [{id: place for place, id in reversed(list(enumerate(a.ids))) if id < 256} for a in answers]
    counts = Counter(id for text in texts for id, place in text.items() if place > 0)
    return [id for id, count in counts.most_common() if count <= len(answers) // 6][:3]


# --- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("semantics", [NATIVE, HF], ids=lambda s: s.name)
@pytest.mark.parametrize("count", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_a_stream_answers_like_one_at_a_time(semantics, count):
    model, samples = pointing_model(semantics, seed=1), mixed(count)
    how = Rules(24, varied_ends(streamed(model, samples, 8, Rules(24, ()))))
    together, single = streamed(model, samples, 5, how), alone(model, samples, how)
    for index, (ours, theirs) in enumerate(zip(together, single, strict=True)):
        assert ours == theirs, f"sample {index}"
    lengths = sorted(len(answer.ids) for answer in single)
    assert lengths[2] < 10 and lengths[-3] == 24, "answers must end at very different lengths"
    assert sum(len(answer.triples) for answer in single) > count // 2, "the test must see points"


def test_a_model_without_pointing_heads_streams_too():
    model, samples = random_model("molmo2", seed=3), [text_input(1), image_input(2), text_input(3, 20)]
    samples = [replace(each, ids=[258 if id == 261 else id for id in each.ids]) for each in samples]
    how = Rules(8, [])
    assert streamed(model, samples, 2, how) == alone(model, samples, how)


def test_each_sample_is_forced_from_its_own_first_token():
    model, samples = random_model(seed=5), [image_input(seed, crops=2 + seed % 3) for seed in range(7)]
    how = Rules(16, [255], [100, 101, 264, 265, 266, 49, 264, 104])
    ours = streamed(model, samples, 3, how)
    assert ours == alone(model, samples, how)
    assert all(len(answer.triples) == 1 and answer.ids[:3] == [100, 101, 264] for answer in ours)


def test_a_place_is_taken_as_soon_as_it_is_free():
    """Two slots: while the first sample writes on, the others pass through the second one after the other."""
    model, samples = random_model(), [text_input(seed) for seed in range(5)]
    longest = generate(model, [samples[0]], 24, [])[0].ids
    others = {id for answer in alone(model, samples[1:], Rules(24, ())) for id in answer.ids[2:3]}
    stops = sorted(others - set(longest))
    order = [index for index, _ in generate_stream(model, iter(samples), 2, Rules(24, stops))]
    assert len(stops) > 1 and order.index(0) > 2


def test_samples_are_taken_only_when_there_is_room():
    model, taken = random_model(), []

    def source() -> Iterator[GenerationInput]:
        for seed in range(6):
            taken.append(seed)
            yield text_input(seed)

    answers = generate_stream(model, source(), 2, Rules(3, ()))
    next(answers)
    assert len(taken) == 2


def test_a_slot_that_is_left_may_hold_more_than_the_others_read():
    """At the end of the samples nobody takes the place of the longest one."""
    model, samples = random_model(), [*(text_input(seed) for seed in range(3)), text_input(3, 1100)]
    single = alone(model, samples, Rules(12, ()))
    said = {id for answer in single[:3] for id in answer.ids}
    stops = [next(id for id in single[3].ids[:8] if id not in said)]
    how = Rules(12, stops)
    assert streamed(model, samples, 4, how) == alone(model, samples, how)


def test_seconds_add_up_to_the_time_of_the_run():
    import time

    model, begun = random_model(), time.perf_counter()
    answers = streamed(model, mixed(6), 2, Rules(8, ()))
    assert 0 < sum(answer.seconds for answer in answers) <= time.perf_counter() - begun


# --- shared media ----------------------------------------------------------------------------------


def question(media: GenerationInput, seed: int, name: str | None = "screen") -> GenerationInput:
    """Another question on the same media."""
    end = max(place for place, id in enumerate(media.ids) if id in (257, 263)) + 1
    text = np.random.default_rng(seed).integers(2, 90, 3 + seed % 9).tolist()
    return replace(media, ids=[*media.ids[:end], *text], media=name)


@pytest.fixture
def crops_seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many crops each call of the encoder saw."""
    from mpeval.engine.vision import VisionEncoder

    seen: list[int] = []
    forward = VisionEncoder.forward

    def counted(self: VisionEncoder, pixels: torch.Tensor) -> torch.Tensor:
        seen.append(len(pixels))
        return forward(self, pixels)

    monkeypatch.setattr(VisionEncoder, "forward", counted)
    return seen


@pytest.fixture
def tokens_seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each call of the decoder saw, prompts and steps."""
    seen: list[int] = []
    forward = decoder.Decoder.forward

    def counted(self, x, *rest):
        seen.append(x.shape[0] * x.shape[1])
        return forward(self, x, *rest)

    monkeypatch.setattr(decoder.Decoder, "forward", counted)
    return seen


@pytest.mark.parametrize("slots", [1, 16])
def test_64_questions_on_one_screen_run_the_encoder_and_the_media_once(slots, crops_seen, tokens_seen):
    model, screen = pointing_model(seed=1), image_input(3, crops=5, text=1)
    samples = [question(screen, seed) for seed in range(64)]
    ours = streamed(model, samples, slots, Rules(4, ()))
    assert crops_seen == [5]
    prompts = sum(len(each.ids) for each in samples)
    media = len(samples[0].ids) - 3
    steps_and_padding = 64 * 3 + 64 * 12
    assert sum(tokens_seen) <= prompts - 63 * media + steps_and_padding
    apart = [replace(each, media=None) for each in samples[:6]]
    assert ours[:6] == alone(model, apart, Rules(4, ()))


def test_questions_on_several_media_share_what_is_theirs_and_nothing_else():
    model = pointing_model(seed=1)
    media = [image_input(1, 3, 1), video_input(2, 4, 1), image_input(3, 5, 1), video_input(4, 2, 1)]
    order = np.random.default_rng(1).integers(0, 4, 30)
    samples = [question(media[each], seed, f"media {each}") for seed, each in enumerate(order)]
    ours = streamed(model, samples, 4, Rules(10, ()))
    assert ours == alone(model, samples, Rules(10, ()))
    assert sum(len(answer.triples) for answer in ours) > 10


def test_the_same_name_before_another_prompt_is_not_shared(crops_seen):
    """Where text before the media differs, so does what the media see."""
    model, first = random_model(), image_input(1, 3, 4)
    other = replace(first, ids=[1, 7, *first.ids[2:]], media="screen")
    first = replace(first, media="screen")
    assert streamed(model, [first, other], 1, Rules(6, ())) == alone(model, [first, other], Rules(6, ()))
    assert len(crops_seen) == 4


def test_pixels_are_made_only_where_the_encoder_runs():
    made = []

    def normalize(pixels: torch.Tensor) -> torch.Tensor:
        made.append(len(pixels))
        return pixels.float() / 255

    screen = image_input(3, crops=4, text=1)
    screen = replace(screen, pixels=(np.abs(screen.pixels) * 255).astype(np.uint8), normalize=normalize)
    streamed(random_model(), [question(screen, seed) for seed in range(5)], 2, Rules(3, ()))
    assert made == [4]


@torch.inference_mode()
def test_scores_behind_shared_media_are_those_of_the_whole_prompt():
    """Teacher-forced, token by token, within 1e-4: the issue's line; here it is 1e-5."""
    model, screen = pointing_model(), image_input(3, crops=5, text=1)
    samples = [question(screen, seed) for seed in range(3)]
    apart = [replace(each, media=None) for each in samples]
    for rows in zip(forced_scores(model, samples), forced_scores(model, apart), strict=True):
        for ours, theirs in zip(*rows, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-5)


def forced_scores(model: VisionLanguageModel, samples: Sequence[GenerationInput]) -> list[tuple[torch.Tensor, ...]]:
    """Token and patch scores of a batch along one forced answer."""
    from mpeval.engine.generate import constraints_for

    decoding, out = prefill(model, samples, 8), []
    for step in [(50, -1, -1, -1), (51, -1, -1, -1), (264, 5, -1, -1), (265, -1, 1, -1)]:
        out.append((decoding.scores.tokens,) + (() if decoding.scores.patch is None else (decoding.scores.patch,)))
        choice = Choice(*(torch.tensor([value]).expand(len(samples)) for value in step))
        feed(model, decoding, choice, constraints_for(model))
    return out


# --- memory ----------------------------------------------------------------------------------------


@torch.inference_mode()
def test_a_prefill_in_parts_gives_the_same_scores(monkeypatch: pytest.MonkeyPatch, crops_seen):
    model, samples = random_model(), [image_input(1, 5, 20), video_input(2, 6, 9), two_images(3), text_input(4, 30)]
    whole = prefill(model, samples, 1).scores.tokens
    crops_seen.clear()
    monkeypatch.setattr(decoder, "TOKENS_AT_ONCE", 7)
    monkeypatch.setattr(attention, "DENSE", 0)
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(prefill_module, "CROPS_AT_ONCE", 3)
    monkeypatch.setattr(prefill_module, "TOKENS_TOGETHER", 120)
    assert torch.allclose(prefill(model, samples, 1).scores.tokens, whole, atol=1e-5)
    assert max(crops_seen) == 3 and sum(crops_seen) == 5 + 6 + 5


def test_a_cache_grows_for_a_longer_sample():
    model = pointing_model(seed=1)
    samples = [text_input(0, 2), image_input(1, 2, 2), video_input(2, 8, 30), image_input(3, 6, 40), text_input(5, 90)]
    assert streamed(model, samples, 2, Rules(12, ())) == alone(model, samples, Rules(12, ()))


@pytest.mark.parametrize("moment", [0, 1, 7])
def test_where_memory_ends_nothing_is_lost(moment, monkeypatch: pytest.MonkeyPatch):
    """More than two samples at a time are too many, from some moment on."""
    model, samples = pointing_model(seed=1), mixed(9)
    expected = alone(model, samples, Rules(10, ()))
    longest = max(len(each.ids) for each in samples)
    forward, calls, failed = decoder.Decoder.forward, [], []

    def short_of_memory(self, x, *rest):
        calls.append(len(x))
        # a prefill has all prompts in one row, a step has a row for each sample
        if len(calls) > moment and (len(x) > 2 or x.shape[1] > 2 * longest):
            failed.append(len(calls))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x, *rest)

    monkeypatch.setattr(decoder.Decoder, "forward", short_of_memory)
    assert streamed(model, samples, 8, Rules(10, ())) == expected
    assert failed and failed[0] == moment + 1


def test_a_single_sample_that_does_not_fit_says_so(monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(decoder.Decoder, "forward", full)
    with pytest.raises(RuntimeError, match="can't allocate"):
        streamed(random_model(), mixed(3), 2, Rules(4, ()))


def test_an_error_of_another_kind_is_not_tried_again(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def broken(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("a matrix of another shape")

    monkeypatch.setattr(decoder.Decoder, "forward", broken)
    with pytest.raises(RuntimeError, match="another shape"):
        streamed(random_model(), mixed(3), 2, Rules(4, ()))
    assert len(calls) == 1


def test_as_many_slots_as_memory_holds(monkeypatch: pytest.MonkeyPatch):
    from mpeval.engine import memory

    model, sample = random_model(), image_input(1, 5)
    needed = bytes_a_slot(model, sample, 20)
    # 2 layers, 2 key heads of 16, keys and values, float32
    assert needed > (len(sample.ids) + 20) * 2 * 2 * 16 * 2 * 4
    for free, slots in ((0, 1), (5.5 * needed, 5), (1e12, 16)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free / memory.SHARE)
        assert slots_that_fit(model, sample, 20) == slots
