"""A decoding step with kernels of its own: what the decoder computes.

Without a GPU the kernels run in Triton's interpreter (`conftest.py`).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mpeval.engine import fused
from mpeval.engine.attention import Steps
from mpeval.engine.cache import Cache
from mpeval.engine.config import ModelConfig
from mpeval.engine.decoder import Decoder
from mpeval.engine.rotary import rotate

from .tiny_config import released_config

EPS = 1e-6
HEADS, KV_HEADS, WIDTH = 4, 2, 16
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture
def kernels() -> ModuleType:
    pytest.importorskip("triton", reason="Triton is not installed: it comes with torch's builds for GPUs")
    from mpeval.engine import kernels

    return kernels


def randoms(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, generator=generator).to(DEVICE, dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("width", [64, 96, 1])
@torch.inference_mode()
def test_add_norm(kernels, width, dtype):
    x, delta, weight = randoms((3, width), (3, width), (width,), dtype=dtype)
    before = x.clone()
    total, normed = kernels.add_norm(x, delta, weight, EPS)
    assert_close(total, x + delta)
    assert torch.equal(x, before)
    assert_close(normed, F.rms_norm(total, (width,), None, EPS) * weight)
    total, normed = kernels.add_norm(x, None, weight, EPS)
    assert total is x
    assert_close(normed, F.rms_norm(x, (width,), None, EPS) * weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("width", [8, 1024, 1500])
@torch.inference_mode()
def test_gate(kernels, width, dtype):
    both = randoms((2, 2 * width), dtype=dtype)[0]
    value, gate = both.chunk(2, dim=-1)
    assert_close(kernels.gate(both), F.silu(gate) * value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("width", [16, 12])
@torch.inference_mode()
def test_rotate_and_store(kernels, width, dtype):
    qkv, q_norm, k_norm, table, keys, values = randoms(
        (3, (HEADS + 2 * KV_HEADS) * width), (width,), (width,), (3, 2, width), *2 * [(9, KV_HEADS, width)], dtype=dtype
    )
    cos, sin = table.unbind(1)  # as rows of a table: not one behind the other
    places = torch.tensor([7, 0, 4], device=DEVICE)
    expected_keys, expected_values = keys.clone(), values.clone()
    out = kernels.rotate_and_store(qkv, (q_norm, k_norm), EPS, (cos, sin), (keys, values), places)

    q, k, v = qkv.unflatten(-1, (-1, width)).split((HEADS, KV_HEADS, KV_HEADS), dim=1)
    turned = [
        rotate(F.rms_norm(each, (width,), None, EPS) * norm, cos[:, None], sin[:, None])
        for each, norm in ((q, q_norm), (k, k_norm))
    ]
    assert_close(out, turned[0])
    expected_keys[places], expected_values[places] = turned[1], v
    assert_close(keys, expected_keys)
    assert torch.equal(values, expected_values)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """But for the last bit: sums are added up in another order, and the interpreter cuts where a GPU rounds."""
    assert found.dtype == expected.dtype and found.shape == expected.shape
    last_bit = 2 * torch.finfo(found.dtype).eps
    assert torch.allclose(found.float(), expected.float(), rtol=last_bit, atol=last_bit)


def decoder_of(**text: object) -> Decoder:
    released = released_config()
    released["text_config"] |= text
    torch.manual_seed(0)
    decoder = Decoder(ModelConfig.from_json(released).decoder)
    for weight in decoder.parameters():
        torch.nn.init.normal_(weight, 1.0 if weight.dim() == 1 else 0.0, 0.3)
    return decoder


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8}


@pytest.mark.parametrize(
    "text",
    [{}, {"qkv_bias": True}, {"rope_scaling": YARN, "rope_scaling_layers": [1]}],
    ids=["plain", "bias", "yarn in one layer"],
)
@torch.inference_mode()
def test_a_step_is_the_decoders(kernels, text):
    decoder = decoder_of(**text).to(DEVICE)
    x, filled = randoms((3, 64), (2, 4 * 32, KV_HEADS, WIDTH))
    lengths = torch.tensor([0, 17, 30], device=DEVICE)

    def steps() -> Steps:
        cache = Cache(decoder.config, 4, 32, torch.float32, DEVICE)
        cache.keys.view_as(filled).copy_(filled)
        return Steps(cache, torch.arange(3, device=DEVICE), lengths, 32)

    theirs, ours = steps(), steps()
    expected = decoder(x[:, None], lengths[:, None], theirs)[:, 0]
    assert torch.allclose(fused.step(decoder, x, lengths, ours), expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(ours.cache.keys, theirs.cache.keys, atol=1e-5)
    assert torch.allclose(ours.cache.values, theirs.cache.values, atol=1e-5)


def works(dtype: torch.dtype = torch.bfloat16) -> bool:
    fused._works.cache_clear()
    return fused._works(HEADS, KV_HEADS, WIDTH, EPS, dtype, DEVICE)


def test_kernels_are_tried_before_they_are_used(kernels, monkeypatch, caplog):
    assert works() and works(torch.float32) and not caplog.records
    gate = kernels.gate
    for wrong, said in [
        (lambda both: 1.1 * gate(both), "wrong results here"),
        (lambda both: 1 / 0, "division by zero"),
    ]:
        caplog.clear()
        monkeypatch.setattr(kernels, "gate", wrong)
        assert not works()
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
        assert said in caplog.text and "slower" in caplog.text
    monkeypatch.setattr(kernels, "gate", lambda both: _raise(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        works()
    fused._works.cache_clear()


def _raise(error: Exception) -> None:
    raise error


def test_what_it_is_not_made_for(monkeypatch):
    monkeypatch.setattr(fused, "_works", lambda *_: True)
    assert not fused.can_fuse(decoder_of(), torch.zeros(1, 64)), "on a CPU"

    class OnGpu:
        is_cuda, dtype, device = True, torch.bfloat16, torch.device("cuda", 0)

    x: Any = OnGpu()
    assert fused.can_fuse(decoder_of(), x)
    for other in ({"norm_after": True}, {"qk_norm_type": "olmo"}, {"use_qk_norm": False}):
        assert not fused.can_fuse(decoder_of(**other), x)


COMPILE = """
import sys, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mpeval.engine import kernels

def compile(kernel, types, **constants):
    names = [name for name in kernel.arg_names if name not in constants]
    signature = dict(zip(names, types.split(), strict=True)) | dict.fromkeys(constants, "constexpr")
    source = ASTSource(fn=kernel, signature={name: signature[name] for name in kernel.arg_names}, constexprs=constants)
    for capability in (80, 90):
        made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=kernels.FUSED)
        assert made.asm["cubin"]

compile(kernels._add_norm, "*bf16 *bf16 *bf16 *bf16 *bf16 i32 fp32", ADDS=True, COLUMNS=4096)
compile(kernels._add_norm, "*bf16 *bf16 *bf16 *bf16 *bf16 i32 fp32", ADDS=False, COLUMNS=4096)
compile(
    kernels._rotate_and_store, "*bf16 *bf16 *bf16 *bf16 *bf16 *i64 *bf16 *bf16 *bf16 i32 i32 fp32",
    HEADS=32, KV_HEADS=8, WIDTH=128, COLUMNS=128,
)
compile(kernels._gate, "*bf16 *bf16 i32", BLOCK=1024)
print("all compiled")
"""


def test_they_compile_for_gpus_of_two_generations(tmp_path):
    """In the sizes of an 8B model; no GPU is needed for it."""
    pytest.importorskip("triton", reason="Triton is not installed: it comes with torch's builds for GPUs")
    environment = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    environment.pop("TRITON_INTERPRET", None)
    done = subprocess.run([sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("all compiled\n", ""), done.stderr
