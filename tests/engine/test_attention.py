"""Every way to attend gives what one dense mask gives."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mpeval.engine import attention, flash
from mpeval.engine import cache as cache_module
from mpeval.engine.attention import Layout, Prompts, Questions, Steps, attend
from mpeval.engine.cache import Cache
from mpeval.engine.config import ModelConfig

from .tiny_config import released_config

CONFIG = ModelConfig.from_json(released_config()).decoder
TEXT, ONE_PICTURE, AT_THE_START, AT_THE_END = "ttttttt", "tttmmmmmmtt", "mmmmtttt", "ttmmmm"
VIDEO, NOTHING_BUT_MEDIA = "ttmtmmtmmmttt", "mmmm"
PROMPTS = [TEXT, ONE_PICTURE, ONE_PICTURE, AT_THE_START, VIDEO, AT_THE_END, NOTHING_BUT_MEDIA, "t", TEXT]


def media(prompt: str) -> np.ndarray:
    return np.array([token == "m" for token in prompt])


def heads(count: int, tokens: int, seed: int) -> torch.Tensor:
    """[1, tokens, count, head_dim]."""
    return torch.randn(1, tokens, count, CONFIG.head_dim, generator=torch.Generator().manual_seed(seed))


def dense(prompt: str, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal, and media in both directions."""
    is_media, n = torch.from_numpy(media(prompt)), len(prompt)
    seen = torch.ones(n, n, dtype=torch.bool).tril() | (is_media[:, None] & is_media)
    return attend(q, k, v, seen)


def new_cache(slots: int, capacity: int = 16) -> Cache:
    return Cache(CONFIG, slots, capacity, torch.float32, torch.device("cpu"))


def test_a_cache_grows_without_holding_all_of_it_twice(monkeypatch: pytest.MonkeyPatch):
    """The old keys are gone before there is new memory for the values."""
    cache, wider, alive = new_cache(3), cache_module._wider, list[bool]()
    cache.window(2, 8)
    cache.keys.fill_(1.0)
    cache.values.fill_(2.0)
    old = weakref.ref(cache.keys)

    def noted(table: torch.Tensor, capacity: int) -> torch.Tensor:
        alive.append(old() is not None)
        return wider(table, capacity)

    monkeypatch.setattr(cache_module, "_wider", noted)
    cache.grow(20)
    assert alive == [True, False] and cache.capacity == 20 and len(cache.layers) == CONFIG.layers
    assert cache.keys[:, :, :16].eq(1).all() and cache.values[:, :, :16].eq(2).all() and not cache.keys[:, :, 16:].any()


@pytest.mark.parametrize("dense_below", [0, 256])
@pytest.mark.parametrize("rows", [1, 3, 2048])
def test_prompts_attend_as_through_one_mask(dense_below, rows, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention, "DENSE", dense_below)
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", rows)
    tokens = sum(map(len, PROMPTS))
    q, k, v = heads(CONFIG.heads, tokens, 1), heads(CONFIG.kv_heads, tokens, 2), heads(CONFIG.kv_heads, tokens, 3)
    cache, slots = new_cache(len(PROMPTS) + 1), [3, 1, 4, 0, 9, 2, 6, 8, 5]
    prompts = Prompts(cache, slots, [Layout.of(media(prompt)) for prompt in PROMPTS])
    for layer in (0, 1):
        out, start = prompts(layer, q, k, v), 0
        for slot, prompt in zip(slots, PROMPTS, strict=True):
            own = slice(start, start + len(prompt))
            expected = dense(prompt, q[:, own], k[:, own], v[:, own])
            assert torch.allclose(out[:, own], expected, atol=1e-6), prompt
            assert torch.equal(cache.keys[layer, slot, : len(prompt)], k[0, own])
            assert torch.equal(cache.values[layer, slot, : len(prompt)], v[0, own])
            start = own.stop
    assert not cache.keys[:, 7].any(), "the slot that nobody took"


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(alphabet="tm", min_size=1, max_size=24), first=st.integers(0, 23))
def test_a_layout_sees_what_the_rule_says(prompt: str, first: int):
    layout = Layout.of(media(prompt))
    first = min(first, len(prompt) - 1)
    seen = layout.seen(first, len(prompt), torch.device("cpu"))
    for i in range(first, len(prompt)):
        for j in range(len(prompt)):
            assert bool(seen[i - first, j]) == (j <= i or prompt[i] == prompt[j] == "m")


def test_prompts_need_no_mask_where_media_lie_together(monkeypatch: pytest.MonkeyPatch):
    """A mask bars the fastest kernels: only the question's few rows have one."""
    masks = []

    def noted(q, k, v, mask=None, causal=False):
        masks.append(None if mask is None else tuple(mask.shape[2:]))
        return attend(q, k, v, mask, causal)

    monkeypatch.setattr(attention, "attend", noted)
    monkeypatch.setattr(attention, "DENSE", 0)
    n = len(ONE_PICTURE)
    q, k = heads(CONFIG.heads, 2 * n, 1), heads(CONFIG.kv_heads, 2 * n, 2)
    layout = Layout.of(media(ONE_PICTURE))
    Prompts(new_cache(2), [0, 1], [layout, layout])(0, q, k, k)
    assert masks == [None, None, (2, n)]


def filled(slots: int, seed: int) -> Cache:
    cache = new_cache(slots)
    generator = torch.Generator().manual_seed(seed)
    for table in (cache.keys, cache.values):
        table.copy_(torch.randn(table.shape, generator=generator))
    return cache


def one_token(slots: int) -> list[torch.Tensor]:
    """Queries, keys and values [slots, 1, heads, head_dim]."""
    kinds = ((CONFIG.heads, 2), (CONFIG.kv_heads, 3), (CONFIG.kv_heads, 4))
    return [heads(count, slots, seed)[0][:, None] for count, seed in kinds]


def test_a_step_reads_what_its_slot_holds_and_no_more():
    cache, lengths = filled(4, 1), torch.tensor([0, 5, 11])
    q, k, v = one_token(3)
    before = cache.keys.clone(), cache.values.clone()
    out = Steps(cache, torch.arange(3), lengths, span=13)(1, q, k, v)
    for slot, length in enumerate(lengths.tolist()):
        keys = torch.cat([before[0][1, slot, :length], k[slot]])[None]
        values = torch.cat([before[1][1, slot, :length], v[slot]])[None]
        assert torch.allclose(out[slot, 0], attend(q[slot][None], keys, values)[0, 0], atol=1e-6)
        assert torch.equal(cache.keys[1, slot, : length + 1], keys[0])
    assert torch.equal(cache.keys[0], before[0][0]) and torch.equal(cache.keys[1, 3], before[0][1, 3])


@pytest.mark.parametrize("positions", [1, 1 << 15])
def test_questions_read_what_lies_before_them(positions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention, "READ_AT_ONCE", positions)
    cache, starts, n = filled(3, 1), torch.tensor([6, 13]), 3
    slots = torch.tensor([2, 0])
    q, k, v = (
        heads(count, 2 * n, seed)[0].unflatten(0, (2, n))
        for count, seed in ((CONFIG.heads, 2), (CONFIG.kv_heads, 3), (CONFIG.kv_heads, 4))
    )
    before = cache.keys.clone(), cache.values.clone()
    out = Questions(cache, slots, starts, n, span=16)(0, q, k, v)
    for row, (slot, start) in enumerate(zip(slots.tolist(), starts.tolist(), strict=True)):
        for place in range(n):
            keys = torch.cat([before[0][0, slot, :start], k[row, : place + 1]])[None]
            values = torch.cat([before[1][0, slot, :start], v[row, : place + 1]])[None]
            expected = attend(q[row, place][None, None], keys, values)[0, 0]
            assert torch.allclose(out[row, place], expected, atol=1e-6)


# --- the flash kernel's arguments --------------------------------------------------------------------


def slow_flash(q, k, v, starts_q, starts_k, longest_q, longest_k, dropout, causal, debug, *, seqused_k):
    """What the kernel computes, by its documentation (torch.nn.attention.varlen): the first of its results."""
    assert longest_q == 1 and not (dropout or causal or debug)
    assert seqused_k.dtype == starts_k.dtype == starts_q.dtype == torch.int32
    assert int(seqused_k.max()) <= longest_k
    parts = []
    for row in range(len(starts_q) - 1):
        first = int(starts_k[row])
        own = slice(first, first + int(seqused_k[row]))
        assert own.stop <= int(starts_k[row + 1]) <= len(k)
        parts.append(attend(q[None, starts_q[row] : starts_q[row + 1]], k[None, own], v[None, own])[0])
    return (torch.cat(parts),)


def use(kernel: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops.aten, "_flash_attention_forward", kernel)


def test_a_step_through_the_flash_kernel_is_the_same(monkeypatch: pytest.MonkeyPatch):
    use(slow_flash, monkeypatch)
    lengths, rows = torch.tensor([0, 5, 15]), torch.arange(3)
    q, k, v = one_token(3)
    expected = Steps(filled(4, 1), rows, lengths, span=16)(1, q, k, v)
    monkeypatch.setattr(attention, "has_flash", lambda cache: True)
    assert torch.allclose(Steps(filled(4, 1), rows, lengths, span=16)(1, q, k, v), expected, atol=1e-6)


def test_the_kernel_is_tried_before_it_is_used(monkeypatch: pytest.MonkeyPatch):
    use(slow_flash, monkeypatch)
    asked = (torch.bfloat16, 2, 16, torch.device("cpu"))
    flash._works.cache_clear()
    assert flash._works(*asked)
    assert not flash._works(torch.float32, *asked[1:])
    for wrong in (lambda *a, **k: (slow_flash(*a, **k)[0] * 1.5,), lambda *a, **k: 1 / 0):
        flash._works.cache_clear()
        use(wrong, monkeypatch)
        assert not flash._works(*asked)
    flash._works.cache_clear()
    assert not flash.has_flash(new_cache(1).keys), "no GPU here"
