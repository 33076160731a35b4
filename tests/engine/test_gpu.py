"""The ways that the engine takes on a GPU, on a pretended one: its answers are the CPU's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine import attention, decoding, flash, fused, generate
from mpeval.engine.generate import Rules
from mpeval.engine.rotary import rotate
from mpeval.grounding.forced_text import Script
from mpeval.grounding.semantics import HF, NATIVE

from .pretend_gpu import DEVICE, PretendGpu, pretended_gpu, to_gpu
from .test_generate import pointing_model
from .test_stream import alone, mixed, one_thread, streamed, varied_ends
from .tiny_config import image_input, random_model, text_input

__all__ = ["one_thread"]


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[PretendGpu]:
    monkeypatch.setattr(decoding, "LONG_SPAN", 32)
    monkeypatch.setattr(fused, "_works", lambda *_: False)  # there is nothing to run Triton's kernels on
    with pretended_gpu(monkeypatch) as gpu:
        yield gpu


@pytest.mark.parametrize("kernel", ["flash", "mask"])
@pytest.mark.parametrize("semantics", [NATIVE, HF], ids=lambda s: s.name)
def test_a_gpu_answers_like_a_cpu(semantics, kernel: str, gpu: PretendGpu, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flash, "_works", lambda *_: kernel == "flash")
    model, samples = pointing_model(semantics, seed=1), mixed(6)
    rules = Rules(16, varied_ends(streamed(model, samples, 6, Rules(16, ()))))
    expected = alone(model, samples, rules)
    assert streamed(to_gpu(model), samples, 2, rules) == expected
    assert sum(len(answer.triples) for answer in expected) > 4, "the test must see points"
    assert 1 < len(gpu.captured) < gpu.replayed
    assert all((graph["_flash_attention_forward"] > 0) == (kernel == "flash") for graph in gpu.captured)


def torch_kernels() -> SimpleNamespace:
    """What Triton's kernels compute (`test_fused.py`), from torch's own operations."""

    def add_norm(x: Tensor, delta: Tensor | None, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
        total = x if delta is None else x + delta
        return total, F.rms_norm(total, weight.shape, None, eps) * weight

    def rotate_and_store(
        qkv: Tensor, norms: tuple[Tensor, Tensor], eps: float, rotation: tuple[Tensor, Tensor],
        cache: tuple[Tensor, Tensor], places: Tensor,
    ) -> Tensor:  # fmt: skip
        keys, values = cache
        heads = qkv.unflatten(-1, (-1, keys.shape[-1]))
        q, k, v = heads.split_with_sizes((heads.shape[1] - 2 * keys.shape[1], *2 * [keys.shape[1]]), dim=1)
        cos, sin = (each[:, None] for each in rotation)
        q, k = (
            rotate(F.rms_norm(each, norm.shape, None, eps) * norm, cos, sin)
            for each, norm in zip((q, k), norms, strict=True)
        )
        keys.index_copy_(0, places, k)
        values.index_copy_(0, places, v)
        return q

    def gate(both: Tensor) -> Tensor:
        value, opened = both.chunk(2, dim=-1)
        return F.silu(opened) * value

    return SimpleNamespace(add_norm=add_norm, rotate_and_store=rotate_and_store, gate=gate)


@pytest.mark.parametrize("kernel", ["flash", "mask"])
def test_a_fused_step_is_captured(kernel: str, gpu: PretendGpu, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "mpeval.engine.kernels", torch_kernels())
    monkeypatch.setattr(flash, "_works", lambda *_: kernel == "flash")
    monkeypatch.setattr(fused, "_works", lambda *_: True)
    monkeypatch.setattr(torch.cuda, "device_of", lambda tensor: nullcontext())
    model, samples = pointing_model(HF, seed=1), mixed(6)
    rules = Rules(16, varied_ends(streamed(model, samples, 6, Rules(16, ()))))
    expected = alone(model, samples, rules)
    assert streamed(to_gpu(model), samples, 2, rules) == expected
    assert 1 < len(gpu.captured) < gpu.replayed


def test_what_is_forced_is_captured(gpu: PretendGpu):
    rules = Rules(16, [255], [100, 101, 264, 265, 266, 49, 264, 104])
    model, samples = random_model(seed=5), [image_input(seed, crops=2 + seed % 3) for seed in range(4)]
    expected = alone(model, samples, rules)
    assert streamed(to_gpu(model), samples, 2, rules) == expected
    assert gpu.replayed > 4 and all(len(answer.triples) == 1 for answer in expected)


def test_what_a_script_allows_is_captured(gpu: PretendGpu):
    script = Script.single_point(lambda text: [ord(each) for each in text], 255)
    model, samples = random_model("molmo2", seed=3), [text_input(seed) for seed in range(4)]
    rules = Rules(24, [255], (), script)
    expected = streamed(model, samples, 2, rules)
    assert streamed(to_gpu(model), samples, 2, rules) == expected
    assert gpu.replayed > 4


def test_graphs_go_on_when_the_cache_has_grown(gpu: PretendGpu, caplog: pytest.LogCaptureFixture):
    """The graphs of the old cache are gone, and their pool of memory with them."""
    model, samples = random_model(), [text_input(0, 5), text_input(1, 6), text_input(2, 90), image_input(3, crops=6)]
    expected = alone(model, samples, Rules(12, ()))
    assert streamed(to_gpu(model), samples, 1, Rules(12, ())) == expected
    assert len(gpu.captured) >= 3 and "CUDA graphs" not in caplog.text


def test_the_host_asks_no_more_often_than_it_looks(gpu: PretendGpu):
    model, samples = pointing_model(seed=1), [image_input(1), text_input(2)]
    stream = generate._Stream(to_gpu(model), 2, Rules(64, ()))
    stream.at_work.update(enumerate(samples))
    stream._admit(list(enumerate(samples)), 2)
    assert stream.table is not None
    before = gpu.asked
    for _ in range(16):
        stream._step(stream.table)
    assert gpu.asked == before and gpu.replayed > 10


def test_bfloat16(gpu: PretendGpu):
    """The kernel is tried first, on the device: it knows no float32."""
    model = to_gpu(pointing_model(seed=1).to(torch.bfloat16))
    assert not attention.has_flash(torch.zeros(1, 1, 1, 2, 16, device=DEVICE))
    answers = streamed(model, mixed(3), 3, Rules(12, ()))
    assert all(len(answer.ids) == 12 for answer in answers) and gpu.replayed > 4
    assert all(graph["_flash_attention_forward"] == 2 for graph in gpu.captured)


def test_out_of_memory_amid_the_stream(gpu: PretendGpu, monkeypatch: pytest.MonkeyPatch):
    model, samples, steps = pointing_model(seed=1), mixed(4), []
    expected = alone(model, samples, Rules(8, ()))
    run = generate._Stream._step

    def bounded(self, table) -> None:
        steps.append(table.decoding.slots)
        if len(steps) == 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        run(self, table)

    monkeypatch.setattr(generate._Stream, "_step", bounded)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: steps.append(0))
    assert streamed(to_gpu(model), samples, 4, Rules(8, ())) == expected
    assert steps[:5] == [4] * 4 + [0] and max(steps[5:]) == 2


# --- the pretended GPU itself ----------------------------------------------------------------------


def test_two_devices_do_not_mix(gpu: PretendGpu):
    with pytest.raises(RuntimeError, match="cuda:0 and on the CPU"):
        torch.zeros(3, device=DEVICE) + torch.zeros(3)
    assert (torch.zeros(3, device=DEVICE) + torch.ones(())).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "forbidden",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=x.device),
        lambda x: x.cpu(),
        lambda x: bool((x > 0).any()),
        lambda x: x.nonzero(),
    ],
    ids=["item", "mask", "tensor", "cpu", "bool", "nonzero"],
)
def test_a_capture_asks_the_host_nothing(forbidden, gpu: PretendGpu):
    x, graph = torch.ones(3, device=DEVICE), torch.cuda.CUDAGraph()
    forbidden(x)
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"), torch.cuda.graph(
        graph, None, None, "thread_local"
    ):
        forbidden(x)


def test_a_graph_is_replayed_without_its_python(gpu: PretendGpu):
    x, added, graph = torch.ones(3, device=DEVICE), 1.0, torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, None, None, "thread_local"):
        x += added
    assert x.tolist() == [1, 1, 1], "capturing runs nothing"
    added = 100.0
    graph.replay()
    graph.replay()
    assert x.tolist() == [3, 3, 3]


